"""Settings that would do nothing, or not what was meant, are refused before anything starts."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from lifecycle.states import Environment, Stage
from serving.backend_choice import CHOICES

PROFILE = {"cpu", "memory_bytes", "timeout_seconds"}


def settings_make_sense(**_: Any) -> list[CheckMessage]:
    """A system check: Django's commands refuse to run while it finds something."""
    return [*(Error(problem) for problem in _problems()), *(Warning(doubt) for doubt in _doubts())]


def _problems() -> Iterator[str]:
    known = {*Stage.values, *Environment.values}
    # A misspelt stage would silently need no approval.
    if unknown := set(settings.APPROVAL_REQUIRED_STAGES) - known:
        yield f"APPROVAL_REQUIRED_STAGES names {_listed(unknown)}. Choose from: {_listed(known)}."
    if settings.SERVING_BACKEND not in CHOICES:
        yield f"SERVING_BACKEND is “{settings.SERVING_BACKEND}”. Choose one of: {_listed(CHOICES)}."
    if not 0 <= settings.SERVING_SAMPLE_RATE <= 1:
        yield f"SERVING_SAMPLE_RATE is {settings.SERVING_SAMPLE_RATE}. It is a share, from 0 to 1."
    if settings.MAX_INSTANCES < 1:
        yield f"MAX_INSTANCES is {settings.MAX_INSTANCES}. A deployment needs at least 1."
    if not 1 <= settings.PORT <= 65535:
        yield f"PORT is {settings.PORT}. A port is a number from 1 to 65535."
    if not isinstance(settings.INSTANCE_TYPES, dict) or not settings.INSTANCE_TYPES:
        yield "INSTANCE_TYPES is a JSON object of profiles by name."
        return
    for name, profile in settings.INSTANCE_TYPES.items():
        if not _is_profile(profile):
            yield f"INSTANCE_TYPES: “{name}” needs {_listed(PROFILE)}, each a number above 0, and nothing else."
    if settings.DEFAULT_INSTANCE_TYPE not in settings.INSTANCE_TYPES:
        yield (
            f"DEFAULT_INSTANCE_TYPE is “{settings.DEFAULT_INSTANCE_TYPE}”, which INSTANCE_TYPES lacks. "
            f"Choose one of: {_listed(settings.INSTANCE_TYPES)}."
        )


def _doubts() -> Iterator[str]:
    # No error: the MLflow client reads a variable of this name, so it may be set for other reasons.
    if settings.MLFLOW_TRACKING_URI:
        yield "MLFLOW_TRACKING_URI is set and has no effect: nothing is copied to another MLflow server yet."


def _is_profile(profile: Any) -> bool:
    return (
        isinstance(profile, dict)
        and set(profile) == PROFILE
        and all(type(value) in (int, float) and value > 0 for value in profile.values())
    )


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
