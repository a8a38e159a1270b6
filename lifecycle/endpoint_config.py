"""The configuration of a deployment's endpoint: what may be asked for, and what it means. Pure but for settings."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import Invalid
from core.translation import gettext as _
from serving.operations.targets import Scale

EXTERNAL = "external"
FIXED_ONLY = {"instances"}
SCALED_ONLY = {"min_instances", "max_instances"}


@dataclass(frozen=True)
class EndpointConfig:
    """`instances` holds without auto-scaling; `min_instances` to `max_instances` with it. The other pair is None."""

    backend: str
    instance_type: str | None
    auto_scaling: bool
    instances: int | None
    min_instances: int | None
    max_instances: int | None
    slo_p95_ms: float
    slo_error_rate: float

    @property
    def is_external(self) -> bool:
        return self.backend == EXTERNAL

    @property
    def scale(self) -> Scale:
        """What the serving side is asked for."""
        minimum = self.min_instances if self.auto_scaling else self.instances
        maximum = self.max_instances if self.auto_scaling else self.instances
        if not (minimum and maximum and self.instance_type):
            raise ValueError("A model served elsewhere has no scale here.")
        return Scale(instance_type=self.instance_type, minimum=minimum, maximum=maximum, initial=minimum)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def read(stored: dict[str, Any]) -> EndpointConfig:
    """The configuration kept with a deployment."""
    return EndpointConfig(**stored)


def build(asked: dict[str, Any], *, current: EndpointConfig | None = None) -> EndpointConfig:
    """Check what was asked for, over `current` or the defaults. Raises Invalid naming each field that cannot be."""
    values = {**(current.as_json() if current else _defaults(asked)), **asked}
    if current and values["backend"] != current.backend:
        raise Invalid(
            _("The backend of a deployment cannot change. Deploy again instead."), fields={"backend": "fixed"}
        )
    problems: dict[str, object] = {}
    config = (
        _external(values, asked, problems) if values["backend"] == EXTERNAL else _own(values, asked, problems)
    )
    if problems:
        raise Invalid(
            " ".join(f"endpoint_config.{name}: {problem}" for name, problem in problems.items()),
            fields={f"endpoint_config.{name}": problem for name, problem in problems.items()},
        )
    return config


def check_external_endpoint(url: str) -> str:
    """The address people use for a model served elsewhere: shown, never called from here."""
    if not _is_plain_web_address(url):
        raise Invalid(
            _("Give the address as http:// or https:// with a host and without credentials."),
            fields={"endpoint": _("not a web address")},
        )
    return url


def _is_plain_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  a port that is no number is only found out when it is read
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.password)
    )


def _defaults(asked: dict[str, Any]) -> dict[str, Any]:
    return {
        "backend": settings.SERVING_BACKEND,
        "instance_type": None if asked.get("backend") == EXTERNAL else settings.DEFAULT_INSTANCE_TYPE,
        "auto_scaling": False,
        "instances": None,
        "min_instances": None,
        "max_instances": None,
        "slo_p95_ms": settings.DEFAULT_SLO_P95_MS,
        "slo_error_rate": settings.DEFAULT_SLO_ERROR_RATE,
    }


def _external(values: dict[str, Any], asked: dict[str, Any], problems: dict[str, object]) -> EndpointConfig:
    for name in sorted({"instance_type", "auto_scaling", *FIXED_ONLY, *SCALED_ONLY} & set(asked)):
        problems[name] = _("This model is served elsewhere: its replicas are not run from here.")
    return EndpointConfig(**values)


def _own(values: dict[str, Any], asked: dict[str, Any], problems: dict[str, object]) -> EndpointConfig:
    if values["backend"] != settings.SERVING_BACKEND:
        problems["backend"] = _("This server runs models with “%(own)s”; choose that or “external”.") % {
            "own": settings.SERVING_BACKEND
        }
    if values["instance_type"] not in settings.INSTANCE_TYPES:
        problems["instance_type"] = _("Choose one of: %s.") % ", ".join(settings.INSTANCE_TYPES)
    if values["auto_scaling"]:
        for name in sorted(FIXED_ONLY & set(asked)):
            problems[name] = _("With auto_scaling give min_instances and max_instances instead.")
        minimum = 1 if values["min_instances"] is None else values["min_instances"]
        maximum = max(minimum, 2) if values["max_instances"] is None else values["max_instances"]
        values = {**values, "instances": None, "min_instances": minimum, "max_instances": maximum}
        _check_counts(values, ("min_instances", "max_instances"), problems)
        if not problems and values["min_instances"] > values["max_instances"]:
            problems["max_instances"] = _("It is below min_instances.")
    else:
        for name in sorted(SCALED_ONLY & {name for name in asked if asked[name] is not None}):
            problems[name] = _("It only counts with auto_scaling: true.")
        instances = 1 if values["instances"] is None else values["instances"]
        values = {**values, "instances": instances, "min_instances": None, "max_instances": None}
        _check_counts(values, ("instances",), problems)
    return EndpointConfig(**values)


def _check_counts(values: dict[str, Any], names: tuple[str, ...], problems: dict[str, object]) -> None:
    for name in names:
        if not 1 <= values[name] <= settings.MAX_INSTANCES:
            problems[name] = _("Use a number from 1 to %d.") % settings.MAX_INSTANCES
