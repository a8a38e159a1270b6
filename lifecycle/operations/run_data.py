"""What runs log besides metrics: parameters and tags; and all three at once."""

import json
from typing import Any, TypedDict

from django.db import transaction

from core.errors import Conflict, Invalid, NotFound
from core.models import User
from core.names import check_key
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Run, RunParameter, RunTag
from lifecycle.operations.metrics import Point, write_points

# A list in a tag is read and written whole each time, and with every search that finds its run.
MAX_LIST = 2_000_000


class Parameter(TypedDict):
    name: str
    value: str


@transaction.atomic
def log_to_run(
    *,
    actor: User | None,
    run: Run,
    parameters: list[Parameter] | None = None,
    metrics: list[Point] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """Append what a run tells: all of it is kept, or nothing. Data: no audit row.

    Raises Conflict for a parameter that would change, and what `write_points` raises.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    Run.objects.lock(run.pk)
    write(run, parameters=parameters, metrics=metrics, tags=tags)


def write(
    run: Run,
    *,
    parameters: list[Parameter] | None = None,
    metrics: list[Point] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    """As `log_to_run`, for an operation that has looked at rights and locked the run, or made it."""
    if parameters:
        _write_parameters(run, parameters)
    if metrics:
        write_points(run, metrics)
    if tags:
        _write_tags(run, tags)


def _write_parameters(run: Run, parameters: list[Parameter]) -> None:
    """The same value again is fine; another one raises Conflict, since runs are compared by their parameters."""
    wanted = _by_name(parameters)
    RunParameter.objects.bulk_create(
        (RunParameter(run=run, name=check_key(name), value=value) for name, value in wanted.items()),
        ignore_conflicts=True,
    )
    kept = dict(run.parameters.filter(name__in=wanted).values_list("name", "value"))
    changed = {
        name: _("It was logged as “%(value)s” and never changes.") % {"value": kept[name]}
        for name, value in wanted.items()
        if kept[name] != value
    }
    if changed:
        raise Conflict(
            _("Parameters never change once logged: %(names)s. Log another run.")
            % {"names": ", ".join(changed)},
            fields={f"parameters.{name}": problem for name, problem in changed.items()},
        )


def _by_name(parameters: list[Parameter]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for parameter in parameters:
        if wanted.setdefault(parameter["name"], parameter["value"]) != parameter["value"]:
            problem = _("“%(name)s” is given twice with different values.") % {"name": parameter["name"]}
            raise Invalid(problem, fields={"parameters": problem})
    return wanted


def _write_tags(run: Run, tags: dict[str, str]) -> None:
    """Those not named stay."""
    RunTag.objects.bulk_create(
        (RunTag(run=run, name=check_key(name), value=value) for name, value in tags.items()),
        update_conflicts=True,
        unique_fields=["run", "name"],
        update_fields=["value"],
    )


@transaction.atomic
def append_to_tag(*, actor: User | None, run: Run, name: str, item: Any) -> None:
    """Add `item` to the list that the tag holds as JSON; the first one begins it.

    Raises Invalid when the tag holds something else, which is left as it is, and when the list would become too long.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    Run.objects.lock(run.pk)
    kept = run.tag_rows.filter(name=name).values_list("value", flat=True).first()
    told = json.dumps([*_listed(name, kept or "[]"), item])
    if len(told) > MAX_LIST:
        raise Invalid(
            _("The list in tag %(name)s would have more than %(limit)s characters.")
            % {"name": name, "limit": MAX_LIST}
        )
    _write_tags(run, {name: told})


def _listed(name: str, tag: str) -> list[Any]:
    try:
        found = json.loads(tag)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise Invalid(_("The tag %(name)s is no list in JSON.") % {"name": name})
    return found


def delete_tag(*, actor: User | None, run: Run, name: str) -> None:
    """Take one tag away. Raises NotFound when it is not there."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if not run.tag_rows.filter(name=name).delete()[0]:
        raise NotFound(_("The run has no tag “%(name)s”.") % {"name": name})
