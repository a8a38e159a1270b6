"""Make, rename, describe, tag and delete registered models."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import AlreadyExists, Conflict, NotFound
from core.lookups import one_or_none
from core.models import User
from core.models.registry_names import RegistryKind
from core.names import check_registered_name
from core.operations import audit, registry_names
from core.operations.changes import changed_pairs
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Deployment, ModelAlias, ModelVersion, RegisteredModel
from lifecycle.operations.approvals import resolve_void_approvals
from lifecycle.operations.version_removal import refuse_deletion


def find_model(user: User, name: str) -> RegisteredModel:
    """The registered model of that name. Raises NotFound."""
    visible = RegisteredModel.objects.visible_to(user).kept()
    found = one_or_none(visible.filter(name=name)) if "\x00" not in name else None
    if found is None:
        raise NotFound(_("There is no model “%(name)s”.") % {"name": name})
    return found


@transaction.atomic
def create_model(
    *, actor: User, name: str, description: str = "", tags: dict[str, str] | None = None
) -> RegisteredModel:
    """Make a registered model without versions. Raises AlreadyExists when a model or a prompt has the name."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model, created = _find_or_make(actor, name, description=description, tags=tags or {})
    if not created:
        raise registry_names.taken(name)
    return model


def ensure(actor: User, name: str) -> RegisteredModel:
    """The model of that name, made if it is new, and locked: for an operation that has looked at rights."""
    return RegisteredModel.objects.locked(_find_or_make(actor, name)[0].pk)


def _find_or_make(actor: User, name: str, **fields: object) -> tuple[RegisteredModel, bool]:
    named = RegisteredModel.objects.kept().filter(name=check_registered_name(name))
    if model := one_or_none(named):
        return model, False
    try:
        registry_names.take(name, RegistryKind.MODEL)
    except AlreadyExists:
        if model := one_or_none(named):  # somebody made it meanwhile
            return model, False
        raise
    model = RegisteredModel.objects.create(name=name, created_by=actor, **fields)
    audit.record(actor=actor, action="registered_model.create", target=model, domain=Domain.LIFECYCLE)
    return model, True


@transaction.atomic
def describe_model(*, actor: User, model: RegisteredModel, description: str) -> RegisteredModel:
    """Say what the model is for."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model = RegisteredModel.objects.locked(model.pk)
    return _change(actor, model, "registered_model.update", "description", description)


@transaction.atomic
def rename_model(*, actor: User, model: RegisteredModel, name: str) -> RegisteredModel:
    """Call it otherwise. Raises AlreadyExists when the name is taken, and Conflict when the model was deployed: its
    endpoint and the records of its predictions bear its name.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_registered_name(name)
    model = RegisteredModel.objects.locked(model.pk)
    list(_locked_versions(model))  # a deployment locks its version: none is on its way now
    if name != model.name and Deployment.objects.filter(model=model).exists():
        raise Conflict(_("“%(name)s” was deployed, and keeps the name.") % {"name": model.name})
    registry_names.change(model.name, name)
    return _change(actor, model, "registered_model.rename", "name", name)


def _locked_versions(model: RegisteredModel) -> QuerySet[ModelVersion]:
    return ModelVersion.objects.kept().filter(model=model).select_for_update().order_by("pk")


def _change(actor: User, model: RegisteredModel, action: str, field: str, value: str) -> RegisteredModel:
    before = getattr(model, field)
    if before != value:
        setattr(model, field, value)
        model.save(update_fields=[field, "updated_at"])
        changes = {field: [before, value]}
        audit.record(actor=actor, action=action, target=model, domain=Domain.LIFECYCLE, changes=changes)
    return model


@transaction.atomic
def change_tags(
    *,
    actor: User,
    model: RegisteredModel,
    tags: dict[str, str] | None = None,
    without: Collection[str] = (),
) -> None:
    """Set `tags` and take those named `without` away; the others stay. Tags are data: no audit row."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model = RegisteredModel.objects.locked(model.pk)
    model.tags = changed_pairs(model.tags, tags or {}, without)
    # By itself this is no update of the model, as in MLflow.
    RegisteredModel.objects.filter(pk=model.pk).update(tags=model.tags)


@transaction.atomic
def delete_model(*, actor: User, model: RegisteredModel) -> None:
    """Put the model and its versions aside: they are no longer found, and its name is free.

    Raises Conflict, of the first version that has to stay.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    model = RegisteredModel.objects.locked(model.pk)
    versions = list(_locked_versions(model))
    refuse_deletion(versions)
    now = timezone.now()
    ModelVersion.objects.filter(pk__in=[version.pk for version in versions]).update(
        deleted_at=now, updated_at=now
    )
    resolve_void_approvals(versions)
    ModelAlias.objects.filter(model=model).delete()
    RegisteredModel.objects.filter(pk=model.pk).update(deleted_at=now, updated_at=now)
    registry_names.free(model.name)
    audit.record(
        actor=actor,
        action="registered_model.delete",
        target=model,
        domain=Domain.LIFECYCLE,
        changes={"versions": len(versions)},
    )
