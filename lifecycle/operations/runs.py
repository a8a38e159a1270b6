"""Log, change, delete and restore runs."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid, NotFound
from core.lookups import one_or_none
from core.models import User
from core.names import check_visible
from core.operations import audit
from core.operations.changes import differences
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Experiment, Run
from lifecycle.models.runs import refuse_completion_before_start
from lifecycle.operations.metrics import Point
from lifecycle.operations.run_data import Parameter, write
from lifecycle.states import FINISHED_RUNS, ExperimentStatus, RunStatus

NAMES = {"name", "dataset_name", "dataset_version"}


def find_run(user: User, run_id: str, *, deleted: bool = False) -> Run:
    """The run of that id that `user` may see; a deleted one only when asked for. Raises NotFound."""
    runs = Run.objects.visible_to(user)
    if not deleted:
        runs = runs.kept()
    run = one_or_none(runs.filter(run_id=run_id)) if "\x00" not in run_id else None
    if run is None:
        raise NotFound(_("There is no run “%(run_id)s”.") % {"run_id": run_id})
    return run


@transaction.atomic
def create_run(
    *,
    actor: User,
    experiment: Experiment,
    status: str = RunStatus.RUNNING,
    started_at: datetime | None = None,
    completed_at: datetime | None = None,
    parameters: list[Parameter] | None = None,
    metrics: list[Point] | None = None,
    tags: dict[str, str] | None = None,
    **fields: Any,
) -> Run:
    """Log a run, with what is known of it already. It starts now unless it is scheduled or the caller says
    when.

    `fields` are name, notes, dataset_name and dataset_version. Raises Conflict when the experiment is
    archived, Invalid when the times contradict the status or each other.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    # Locked, so that it cannot be archived between this look and the insert.
    experiment = Experiment.objects.locked(experiment.pk)
    if experiment.status == ExperimentStatus.ARCHIVED:
        raise Conflict(_("“%(name)s” is archived and takes no new runs.") % {"name": experiment.name})
    _check_names(fields)
    started_at, completed_at = _times(status, started_at, completed_at)
    run = Run.objects.create(
        experiment=experiment,
        created_by=actor,
        status=status,
        started_at=started_at,
        completed_at=completed_at,
        **fields,
    )
    write(run, parameters=parameters, metrics=metrics, tags=tags)
    audit.record(
        actor=actor,
        action="run.create",
        target=run,
        domain=Domain.LIFECYCLE,
        changes={"experiment": experiment.name},
    )
    return run


def _check_names(fields: dict[str, Any]) -> None:
    for field in NAMES & set(fields):
        check_visible(fields[field], field=field)


def _times(
    status: str, started_at: datetime | None, completed_at: datetime | None
) -> tuple[datetime | None, datetime | None]:
    if completed_at and status not in FINISHED_RUNS:
        raise _completed_without_finishing(status)
    now = timezone.now()
    if status in FINISHED_RUNS:
        completed_at = completed_at or now
    if status != RunStatus.SCHEDULED:
        started_at = started_at or min(now, completed_at or now)
    refuse_completion_before_start(started_at, completed_at)
    return started_at, completed_at


def _completed_without_finishing(status: str) -> Invalid:
    problem = _("A run that is “%(status)s” has not completed.") % {"status": status}
    return Invalid(problem, fields={"completed_at": problem})


@transaction.atomic
def update_run(
    *,
    actor: User | None,
    run: Run,
    status: str | None = None,
    completed_at: datetime | None = None,
    parameters: list[Parameter] | None = None,
    metrics: list[Point] | None = None,
    tags: dict[str, str] | None = None,
    **changes: Any,
) -> Run:
    """Change a run: `changes` to name, notes, dataset_name and dataset_version, a move to another status,
    more parameters and metrics, and tags, which are replaced whole.

    Raises Conflict when the move is not allowed or a logged parameter would change: nothing is changed then.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    run = Run.objects.locked(run.pk)
    _check_names(changes)
    if completed_at and (status or run.status) not in FINISHED_RUNS:
        raise _completed_without_finishing(status or run.status)
    if status and status != run.status:
        run.move_to(status, actor=actor, at=completed_at)
    elif completed_at:
        refuse_completion_before_start(run.started_at, completed_at)
        changes["completed_at"] = completed_at
    write(run, parameters=parameters, metrics=metrics)
    _change(actor, run, changes, tags)
    return run


def _change(actor: User | None, run: Run, changes: dict[str, Any], tags: dict[str, str] | None) -> None:
    changed = differences(run, changes)
    told: dict[str, Any] = {field: [str(before), str(after)] for field, (before, after) in changed.items()}
    for field in changed:
        setattr(run, field, changes[field])
    before = {} if tags is None else dict(run.tag_rows.values_list("name", "value"))
    if tags is not None and tags != before:
        run.tag_rows.exclude(name__in=tags).delete()
        write(run, tags=tags)
        told["tags"] = [before, tags]
    if told:
        run.save(update_fields=[*changed, "updated_at"])
        audit.record(actor=actor, action="run.update", target=run, domain=Domain.LIFECYCLE, changes=told)


def delete_run(*, actor: User | None, run: Run) -> None:
    """Put a run aside: it is no longer listed or found, and nothing of it is lost. Raises Conflict when it
    is.
    """
    _set_deleted(actor, run, timezone.now(), action="run.delete", refusal=_("This run is deleted already."))


def restore_run(*, actor: User | None, run: Run) -> None:
    """Undo `delete_run`. Raises Conflict when the run is not deleted."""
    _set_deleted(actor, run, None, action="run.restore", refusal=_("This run is not deleted."))


@transaction.atomic
def _set_deleted(actor: User | None, run: Run, at: datetime | None, *, action: str, refusal: str) -> None:
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if not Run.objects.filter(pk=run.pk, deleted_at__isnull=at is not None).update(deleted_at=at):
        raise Conflict(refusal)
    run.deleted_at = at
    audit.record(actor=actor, action=action, target=run, domain=Domain.LIFECYCLE)
