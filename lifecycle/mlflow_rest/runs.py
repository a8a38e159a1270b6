"""runs/*: an MLflow run is one of ours."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import transaction

from core.errors import AlreadyExists, Conflict, NotFound
from core.milliseconds import EARLIEST, LATEST, moment_of
from core.models import User
from core.translation import gettext as _
from lifecycle.mlflow_rest import experiments, messages, run_messages
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import BadRequest, InvalidParameter
from lifecycle.mlflow_rest.messages import (
    TAGS,
    integer,
    one_of,
    optional,
    required,
    text,
)
from lifecycle.mlflow_rest.run_messages import COLUMNS_OF_TAGS, STATUSES
from lifecycle.mlflow_rest.run_names import random_name
from lifecycle.models import Run
from lifecycle.operations import runs
from lifecycle.states import FINISHED_RUNS, RUN_MOVES, RunStatus

MAX_NAME, MAX_USER = 500, 256


def find(actor: User, run_id: str) -> Run:
    """The run of that id, deleted or not. Raises NotFound."""
    try:
        return runs.find_run(actor, run_id, deleted=True)
    except NotFound as error:
        raise NotFound(_("Run with id=%(id)s not found") % {"id": run_id}) from error


def find_active(actor: User, run_id: str) -> Run:
    """The run, to be changed. Raises InvalidParameter when it is deleted."""
    run = find(actor, run_id)
    if run.deleted_at is not None:
        raise InvalidParameter(_("The run %(id)s is deleted. Restore it first.") % {"id": run_id})
    return run


@transaction.atomic
def create(
    actor: User,
    *,
    experiment_id: str,
    user_id: str,
    start_time: int | None,
    tags: list[dict[str, str]],
    run_name: str,
) -> dict[str, Any]:
    if not experiment_id:
        raise BadRequest(_("Say in “experiment_id” what experiment the run belongs to."))
    experiment = experiments.find(actor, experiment_id)
    told = _tags(tags)
    columns = columns_in(told)
    named = columns.pop("name", "")
    if run_name.strip() and named and run_name.strip() != named:
        raise InvalidParameter(_("“run_name” and the tag mlflow.runName say different names."))
    try:
        run = runs.create_run(
            actor=actor,
            experiment=experiment,
            name=checked_name(run_name) or named or random_name(),
            mlflow_user=checked_length("user_id", user_id, MAX_USER),
            started_at=_moment("start_time", start_time),
            tags=told,
            **columns,
        )
    except Conflict as error:  # the experiment is archived
        raise InvalidParameter(error.detail) from error
    return {"run": run_messages.just_made(run, told)}


def _tags(given: list[dict[str, str]]) -> dict[str, str]:
    try:
        return messages.as_tags(given)
    except AlreadyExists as error:
        raise BadRequest(error.detail) from error


def get(actor: User, *, run_id: str) -> dict[str, Any]:
    return {"run": run_messages.shown([find(actor, run_id)])[0]}


@transaction.atomic
def update(
    actor: User, *, run_id: str, status: str | None, end_time: int | None, run_name: str
) -> dict[str, Any]:
    run = Run.objects.locked(find_active(actor, run_id).pk)
    if status and status != run.status and status not in RUN_MOVES[run.status]:
        # MLflow lets a run go from any status to any other: here it does so by running again.
        run = runs.update_run(actor=actor, run=run, status=RunStatus.RUNNING)
    # A client that resumes a run tells when it ended before; while it goes on it has no end here.
    ended = _moment("end_time", end_time) if (status or run.status) in FINISHED_RUNS else None
    if ended and run.started_at:
        ended = max(ended, run.started_at)  # clocks differ, and a run that ended should not fail for it
    changes = {"name": checked_name(run_name)} if run_name.strip() else {}
    run = runs.update_run(actor=actor, run=run, status=status, completed_at=ended, **changes)
    return {"run_info": run_messages.info(run)}


def delete(actor: User, *, run_id: str) -> dict[str, Any]:
    run = find(actor, run_id)
    with suppress(Conflict):  # as in MLflow, one that is deleted already is deleted
        runs.delete_run(actor=actor, run=run)
    return {}


def restore(actor: User, *, run_id: str) -> dict[str, Any]:
    run = find(actor, run_id)
    with suppress(Conflict):
        runs.restore_run(actor=actor, run=run)
    return {}


def columns_in(tags: dict[str, str]) -> dict[str, str]:
    """What tags say that are columns here; they are taken out of `tags`. An empty name changes none."""
    found = {column: tags.pop(tag) for tag, column in COLUMNS_OF_TAGS.items() if tag in tags}
    if "name" in found:
        found["name"] = checked_name(found["name"])
    return {column: value for column, value in found.items() if value or column != "name"}


def checked_name(name: str) -> str:
    """A run's name without the spaces around it: people would not see them."""
    return checked_length("run_name", name.strip(), MAX_NAME)


def checked_length(field: str, value: str, limit: int) -> str:
    if len(value) > limit:
        raise InvalidParameter(
            _("“%(field)s” has at most %(limit)s characters.") % {"field": field, "limit": limit}
        )
    return value


def _moment(field: str, milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    if not EARLIEST <= milliseconds <= LATEST:
        raise InvalidParameter(_("“%(field)s” is a time before the year 1 or after 9999.") % {"field": field})
    return moment_of(milliseconds)


BY_ID = {"run_id": required(text, former_name="run_uuid")}
CALLS = {
    "runs/create": {
        "POST": Call(
            create,
            {
                "experiment_id": optional(text),
                "user_id": optional(text),
                "start_time": optional(integer, None),
                "tags": TAGS,
                "run_name": optional(text),
            },
        )
    },
    "runs/get": {"GET": Call(get, BY_ID)},
    "runs/update": {
        "POST": Call(
            update,
            BY_ID
            | {
                "status": optional(one_of(STATUSES), None),
                "end_time": optional(integer, None),
                "run_name": optional(text),
            },
        )
    },
    "runs/delete": {"POST": Call(delete, BY_ID)},
    "runs/restore": {"POST": Call(restore, BY_ID)},
}
