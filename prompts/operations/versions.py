"""Make, find, describe, tag and delete the versions of a prompt, and point aliases at them."""

import hashlib
from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from core.errors import Invalid, NotFound
from core.lookups import one_or_none
from core.models import User
from core.names import check_alias
from core.operations import audit
from core.operations.changes import changed_pairs
from core.roles import Domain, Right, require
from core.translation import gettext as _
from prompts.models import Prompt, PromptAlias, PromptVersion

MAX_CONTENT = 100_000  # characters, as MLflow's tag that holds the text may have
LATEST = "latest"


def find_version(user: User, prompt: Prompt, number: int) -> PromptVersion:
    """The prompt's version of that number. Raises NotFound."""
    require(user, Right.READ, domain=Domain.PROMPTS)
    versions = PromptVersion.objects.visible_to(user).kept().select_related("prompt")
    found = one_or_none(versions.filter(prompt=prompt, version=number))
    if found is None:
        raise NotFound(
            _("There is no version “%(version)s” of prompt “%(prompt)s”.")
            % {"version": number, "prompt": prompt.name}
        )
    return found


def find_by_alias(user: User, prompt: Prompt, alias: str) -> PromptVersion | None:
    """The version that `alias` points at, or None; “latest” is the one of the highest number."""
    require(user, Right.READ, domain=Domain.PROMPTS)
    versions = PromptVersion.objects.visible_to(user).kept().select_related("prompt").filter(prompt=prompt)
    if alias.lower() == LATEST:
        return versions.order_by("-version").first()
    check_alias(alias)
    return one_or_none(versions.filter(aliases__alias=alias))


@transaction.atomic
def create_version(
    *,
    actor: User,
    prompt: Prompt,
    content: str,
    description: str = "",
    tags: dict[str, str] | None = None,
) -> PromptVersion:
    """Make the prompt's next version. Raises Invalid for a text that is too long to keep."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    if len(content) > MAX_CONTENT:
        raise Invalid(_("A prompt has at most %(limit)s characters.") % {"limit": MAX_CONTENT})
    prompt = Prompt.objects.locked(prompt.pk)
    prompt.last_version += 1
    prompt.save(update_fields=["last_version", "updated_at"])
    version = PromptVersion.objects.create(
        prompt=prompt,
        version=prompt.last_version,
        content=content,
        description=description,
        tags=changed_pairs({}, tags or {}),
        created_by=actor,
    )
    audit.record(
        actor=actor,
        action="prompt_version.create",
        target=version,
        domain=Domain.PROMPTS,
        changes={"content_sha256": hashlib.sha256(content.encode()).hexdigest()},
    )
    return version


@transaction.atomic
def describe_version(*, actor: User, version: PromptVersion, description: str) -> PromptVersion:
    """Say what is new in it."""
    version = _locked(actor, version)
    before, version.description = version.description, description
    version.save(update_fields=["description", "updated_at"])
    if before != description:
        audit.record(
            actor=actor,
            action="prompt_version.update",
            target=version,
            domain=Domain.PROMPTS,
            changes={"description": [before, description]},
        )
    return version


@transaction.atomic
def change_tags(
    *,
    actor: User,
    version: PromptVersion,
    tags: dict[str, str] | None = None,
    without: Collection[str] = (),
) -> None:
    """Set `tags` and take those named `without` away; the others stay. Tags are data: no audit row."""
    version = _locked(actor, version)
    # By itself this is no update of the version, as in MLflow.
    PromptVersion.objects.filter(pk=version.pk).update(tags=changed_pairs(version.tags, tags or {}, without))


@transaction.atomic
def delete_version(*, actor: User, version: PromptVersion) -> None:
    """Put the version aside, and take its aliases away: it is no longer found, and its number is not given again."""
    version = _locked(actor, version)
    aliases = sorted(version.aliases.values_list("alias", flat=True))
    version.aliases.all().delete()
    version.deleted_at = timezone.now()
    version.save(update_fields=["deleted_at", "updated_at"])
    version.prompt.save(update_fields=["updated_at"])
    audit.record(
        actor=actor,
        action="prompt_version.delete",
        target=version,
        domain=Domain.PROMPTS,
        changes={"aliases": aliases} if aliases else None,
    )


@transaction.atomic
def set_alias(*, actor: User, version: PromptVersion, alias: str) -> None:
    """Point `alias` at `version`, wherever it pointed before. Raises Invalid for what cannot be an alias."""
    version = _locked(actor, version)
    check_alias(alias)
    existing = one_or_none(version.prompt.aliases.select_related("version").filter(alias=alias))
    before = existing.version.version if existing else None
    if before == version.version:
        return
    PromptAlias.objects.update_or_create(prompt=version.prompt, alias=alias, defaults={"version": version})
    _record_alias(actor, version.prompt, "prompt_alias.set", alias, before, version.version)


@transaction.atomic
def delete_alias(*, actor: User, prompt: Prompt, alias: str) -> None:
    """Remove an alias; the version it pointed at stays. Raises NotFound when there is none."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    prompt = Prompt.objects.locked(prompt.pk)
    aliases = prompt.aliases.select_related("version").filter(alias=alias)
    found = one_or_none(aliases) if "\x00" not in alias else None
    if found is None:
        raise NotFound(
            _("Prompt “%(prompt)s” has no alias “%(alias)s”.") % {"prompt": prompt.name, "alias": alias}
        )
    before = found.version.version
    found.delete()
    _record_alias(actor, prompt, "prompt_alias.delete", alias, before, None)


def _record_alias(
    actor: User, prompt: Prompt, action: str, alias: str, before: int | None, after: int | None
) -> None:
    audit.record(
        actor=actor,
        action=action,
        target=prompt,
        domain=Domain.PROMPTS,
        changes={"alias": alias, "version": [before, after]},
    )


def _locked(actor: User, version: PromptVersion) -> PromptVersion:
    """The version as it is now, with its prompt locked. Raises NotFound once it is deleted."""
    require(actor, Right.AUTHOR, domain=Domain.PROMPTS)
    prompt = Prompt.objects.locked(version.prompt_id)
    return find_version(actor, prompt, version.version)
