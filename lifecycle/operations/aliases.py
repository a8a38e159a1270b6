"""Aliases: names such as “champion” that point at one version of a model and can be moved."""

from django.db import transaction

from core.errors import Invalid, NotFound
from core.lookups import one_or_none
from core.models import User
from core.names import check_alias
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import ModelAlias, ModelVersion, RegisteredModel


def find_alias(model: RegisteredModel, alias: str) -> ModelAlias:
    """The alias of that name. Raises NotFound."""
    aliases = model.aliases.select_related("model", "version")
    found = one_or_none(aliases.filter(alias=alias)) if "\x00" not in alias else None
    if found is None:
        raise NotFound(
            _("Model “%(model)s” has no alias “%(alias)s”.") % {"model": model.name, "alias": alias}
        )
    return found


@transaction.atomic
def set_alias(*, actor: User | None, model: RegisteredModel, alias: str, version: ModelVersion) -> ModelAlias:
    """Point `alias` at `version`, wherever it pointed before. Raises Invalid for what cannot be an alias."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_alias(alias)
    if version.model_id != model.pk:
        raise Invalid(_("An alias points at a version of its own model."), fields={"version": str(version)})
    RegisteredModel.objects.locked(model.pk)
    version = ModelVersion.objects.locked(version.pk)
    existing = one_or_none(model.aliases.select_related("version").filter(alias=alias))
    before = existing.version.version if existing else None
    if before == version.version:
        return find_alias(model, alias)
    ModelAlias.objects.update_or_create(model=model, alias=alias, defaults={"version": version})
    audit.record(
        actor=actor,
        action="model_alias.set",
        target=model,
        domain=Domain.LIFECYCLE,
        changes={"alias": alias, "version": [before, version.version]},
    )
    return find_alias(model, alias)


@transaction.atomic
def delete_alias(*, actor: User | None, model: RegisteredModel, alias: str) -> None:
    """Remove an alias; the version it pointed at stays. Raises NotFound."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    RegisteredModel.objects.locked(model.pk)
    found = find_alias(model, alias)
    version = found.version.version
    found.delete()
    audit.record(
        actor=actor,
        action="model_alias.delete",
        target=model,
        domain=Domain.LIFECYCLE,
        changes={"alias": alias, "version": [version, None]},
    )
