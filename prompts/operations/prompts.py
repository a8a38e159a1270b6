"""Make, find, rename, describe, tag and delete prompts."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from core.errors import NotFound
from core.lookups import one_or_none
from core.models import User
from core.models.registry_names import RegistryKind
from core.names import check_registered_name
from core.operations import audit, registry_names
from core.operations.changes import changed_pairs
from core.roles import Domain, Right, require
from core.translation import gettext as _
from prompts.models import Prompt, PromptAlias, PromptVersion


def find_prompt(user: User, name: str) -> Prompt:
    """The prompt of that name. Raises NotFound."""
    require(user, Right.READ, domain=Domain.PROMPTS)
    visible = Prompt.objects.visible_to(user).kept()
    found = one_or_none(visible.filter(name=name)) if "\x00" not in name else None
    if found is None:
        raise NotFound(_("There is no prompt “%(name)s”.") % {"name": name})
    return found


@transaction.atomic
def create_prompt(
    *, actor: User, name: str, description: str = "", tags: dict[str, str] | None = None
) -> Prompt:
    """Make a prompt without versions. Raises AlreadyExists when a prompt or a model has the name."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    registry_names.take(check_registered_name(name), RegistryKind.PROMPT)
    prompt = Prompt.objects.create(
        name=name, description=description, tags=changed_pairs({}, tags or {}), created_by=actor
    )
    audit.record(actor=actor, action="prompt.create", target=prompt, domain=Domain.PROMPTS)
    return prompt


@transaction.atomic
def describe_prompt(*, actor: User, prompt: Prompt, description: str) -> Prompt:
    """Say what the prompt is for."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    return _change(actor, Prompt.objects.locked(prompt.pk), "prompt.update", "description", description)


@transaction.atomic
def rename_prompt(*, actor: User, prompt: Prompt, name: str) -> Prompt:
    """Call it otherwise. Raises AlreadyExists when a prompt or a model has the name."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    prompt = Prompt.objects.locked(prompt.pk)
    registry_names.change(prompt.name, check_registered_name(name))
    return _change(actor, prompt, "prompt.rename", "name", name)


def _change(actor: User, prompt: Prompt, action: str, field: str, value: str) -> Prompt:
    before = getattr(prompt, field)
    if before != value:
        setattr(prompt, field, value)
        prompt.save(update_fields=[field, "updated_at"])
        changes = {field: [before, value]}
        audit.record(actor=actor, action=action, target=prompt, domain=Domain.PROMPTS, changes=changes)
    return prompt


@transaction.atomic
def change_tags(
    *,
    actor: User,
    prompt: Prompt,
    tags: dict[str, str] | None = None,
    without: Collection[str] = (),
) -> None:
    """Set `tags` and take those named `without` away; the others stay. Tags are data: no audit row."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    prompt = Prompt.objects.locked(prompt.pk)
    # By itself this is no update of the prompt, as in MLflow.
    Prompt.objects.filter(pk=prompt.pk).update(tags=changed_pairs(prompt.tags, tags or {}, without))


@transaction.atomic
def delete_prompt(*, actor: User, prompt: Prompt) -> None:
    """Put the prompt and its versions aside: they are no longer found, and its name is free."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    prompt = Prompt.objects.locked(prompt.pk)
    now = timezone.now()
    versions = PromptVersion.objects.kept().filter(prompt=prompt).update(deleted_at=now, updated_at=now)
    PromptAlias.objects.filter(prompt=prompt).delete()
    Prompt.objects.filter(pk=prompt.pk).update(deleted_at=now, updated_at=now)
    registry_names.free(prompt.name)
    audit.record(
        actor=actor,
        action="prompt.delete",
        target=prompt,
        domain=Domain.PROMPTS,
        changes={"versions": versions},
    )
