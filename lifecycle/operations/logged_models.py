"""Make, finalize, change and delete logged models, and note which runs read and wrote them."""

from collections.abc import Collection
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from core.errors import Conflict, Invalid, NotFound
from core.lookups import one_or_none
from core.models import User
from core.operations import audit
from core.operations.changes import changed_pairs
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Experiment, LoggedModel, Run, RunModel
from lifecycle.names import check_logged_model_name
from lifecycle.states import ExperimentStatus, LoggedModelStatus, ModelRole

MAX_MODELS_A_REQUEST = 1000


class ModelUse(TypedDict):
    """A logged model by its id, and the step of the run at which it was written (0 for one that was read)."""

    model_id: str
    step: int


def find_logged_model(user: User, model_id: str, *, deleted: bool = False) -> LoggedModel:
    """The logged model of that id that `user` may see; a deleted one only when asked for. Raises NotFound."""
    models = LoggedModel.objects.visible_to(user).select_related("experiment", "source_run", "created_by")
    if not deleted:
        models = models.kept()
    model = one_or_none(models.filter(model_id=model_id)) if "\x00" not in model_id else None
    if model is None:
        raise _not_found(model_id)
    return model


def _not_found(model_id: str) -> NotFound:
    return NotFound(_("There is no logged model “%(model_id)s”.") % {"model_id": model_id})


@transaction.atomic
def create_logged_model(
    *,
    actor: User,
    experiment: Experiment,
    name: str,
    model_type: str = "",
    source_run: Run | None = None,
    parameters: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
) -> LoggedModel:
    """Make a logged model whose files are to come: it is pending until it is finalized.

    Raises Conflict when the experiment is archived, Invalid for a name, parameter or tag that cannot be.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    experiment = Experiment.objects.locked(experiment.pk)
    if experiment.status == ExperimentStatus.ARCHIVED:
        raise Conflict(_("“%(name)s” is archived and takes no new models.") % {"name": experiment.name})
    model = LoggedModel.objects.create(
        experiment=experiment,
        name=check_logged_model_name(name),
        model_type=model_type,
        source_run=source_run,
        parameters=changed_pairs({}, parameters or {}),
        tags=changed_pairs({}, tags or {}),
        created_by=actor,
    )
    audit.record(
        actor=actor,
        action="logged_model.create",
        target=model,
        domain=Domain.LIFECYCLE,
        changes={
            "experiment": experiment.name,
            "source_run": source_run.run_id if source_run else None,
        },
    )
    return model


@transaction.atomic
def finalize(*, actor: User, model: LoggedModel, status: LoggedModelStatus) -> LoggedModel:
    """Say that the model's files are all there, or that they will not be."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model = LoggedModel.objects.locked(model.pk)
    before, model.status = model.status, status
    if before != status:
        model.save(update_fields=["status", "updated_at"])
        audit.record(
            actor=actor,
            action=f"logged_model.{status}",
            target=model,
            domain=Domain.LIFECYCLE,
            changes={"status": [before, str(status)]},
        )
    return model


@transaction.atomic
def delete_logged_model(*, actor: User, model: LoggedModel) -> None:
    """Put a logged model aside: it is no longer found, and nothing of it is lost. Raises Conflict when it is."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    now = timezone.now()
    if not LoggedModel.objects.kept().filter(pk=model.pk).update(deleted_at=now, updated_at=now):
        raise Conflict(_("This logged model is deleted already."))
    audit.record(actor=actor, action="logged_model.delete", target=model, domain=Domain.LIFECYCLE)


@transaction.atomic
def change_tags(
    *,
    actor: User,
    model: LoggedModel,
    tags: dict[str, str] | None = None,
    without: Collection[str] = (),
) -> None:
    """Set `tags` and take those named `without` away; the others stay. Tags are data: no audit row.

    Raises NotFound for a tag that is not there.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    kept = LoggedModel.objects.locked(model.pk)
    if missing := set(without) - kept.tags.keys():
        raise NotFound(_("The model has no tag “%(name)s”.") % {"name": min(missing)})
    kept.tags = changed_pairs(kept.tags, tags or {}, without)
    kept.save(update_fields=["tags", "updated_at"])


@transaction.atomic
def log_parameters(*, actor: User, model: LoggedModel, parameters: dict[str, str]) -> None:
    """Add parameters. Data: no audit row. Raises Conflict for one that is there already with another value."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    kept = LoggedModel.objects.locked(model.pk)
    changed = [name for name, value in parameters.items() if kept.parameters.get(name, value) != value]
    if changed:
        raise Conflict(
            _("Parameters never change once logged: %(names)s. Log another model.")
            % {"names": ", ".join(changed)}
        )
    kept.parameters = changed_pairs(kept.parameters, parameters)
    kept.save(update_fields=["parameters", "updated_at"])


@transaction.atomic
def note_models(*, actor: User, run: Run, role: ModelRole, models: list[ModelUse]) -> None:
    """Note that `run` read or wrote these logged models; the same again is fine. Data: no audit row.

    Raises NotFound for one that is not there, Conflict for one that is known to be of another step, Invalid for more
    than 1,000 at once: nothing is noted then.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if len(models) > MAX_MODELS_A_REQUEST:
        raise Invalid(_("At most %(limit)s models a request.") % {"limit": MAX_MODELS_A_REQUEST})
    Run.objects.lock(run.pk)
    keys = keys_of({use["model_id"] for use in models})
    RunModel.objects.bulk_create(
        [
            RunModel(run=run, logged_model_id=keys[use["model_id"]], role=role, step=use["step"])
            for use in models
        ],
        ignore_conflicts=True,
    )
    noted = run.run_models.filter(role=role, logged_model__in=keys.values())
    steps = dict(noted.values_list("logged_model__model_id", "step"))
    if other := [use["model_id"] for use in models if steps[use["model_id"]] != use["step"]]:
        raise Conflict(
            _("The run has %(model_id)s at step %(step)s already.")
            % {"model_id": other[0], "step": steps[other[0]]}
        )


def keys_of(model_ids: Collection[str]) -> dict[str, int]:
    """The rows of these logged models, deleted ones too. Raises NotFound for the first that is not there."""
    keys = dict(LoggedModel.objects.filter(model_id__in=model_ids).values_list("model_id", "pk"))
    if missing := set(model_ids) - keys.keys():
        raise _not_found(min(missing))
    return keys
