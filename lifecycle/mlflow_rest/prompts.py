"""Prompts, which MLflow's clients keep as registered models with a tag that says so. Here the prompts app has them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from core.errors import NotFound
from core.models import User
from core.models.registry_names import RegistryKind
from core.names import check_alias_word, check_key, check_registered_name
from core.operations import registry_names
from core.roles import Domain, Right, may, require
from core.translation import gettext as _
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import Fields
from lifecycle.mlflow_rest.prompt_messages import (
    SOURCE,
    TEXT,
    latest_versions,
    shown_prompts,
    version_message,
)
from lifecycle.mlflow_rest.registry_lookups import (
    checked_description,
    checked_tags,
    stage_named,
    version_number,
)
from lifecycle.mlflow_rest.registry_messages import IS_PROMPT
from lifecycle.states import Stage
from prompts.models import Prompt, PromptVersion
from prompts.operations import prompts, versions
from prompts.operations.prompts import find_prompt

# The first is of MLflow's Python client, the other of its pages.
SOURCES = (SOURCE, "dummy-source")
# What a name in the registry may be of.
REGISTRY = (Domain.LIFECYCLE, Domain.PROMPTS)
Answer = Callable[..., dict[str, Any]]


def is_named(name: str) -> bool:
    """Whether a prompt has that name."""
    return registry_names.kind_of(name) == RegistryKind.PROMPT


def _is_about_prompt(actor: User, name: str) -> bool:
    """Whether a request is about a prompt: of a name that nothing has, if its actor may see no models."""
    kind = registry_names.kind_of(name)
    return kind == RegistryKind.PROMPT or (
        kind is None and not may(actor, Right.READ, domain=Domain.LIFECYCLE)
    )


def are_of_prompt(tags: dict[str, str]) -> bool:
    """Whether a request with these tags is about a prompt."""
    return tags.get(IS_PROMPT, "").lower() == "true"


def either(of_model: Answer, of_prompt: Answer, fields: Fields) -> Call:
    """Answers about the prompt where one has the name, and about the model otherwise."""

    def answer(actor: User, *, name: str, **told: Any) -> dict[str, Any]:
        is_prompt = _is_about_prompt(actor, name)
        require_reading(actor, is_prompt=is_prompt)
        return (of_prompt if is_prompt else of_model)(actor, name=name, **told)

    return Call(answer, fields, domains=REGISTRY)


def require_reading(actor: User, *, is_prompt: bool) -> None:
    """Raise NotAllowed for who signed in with a token limited to another domain."""
    require(actor, Right.READ, domain=Domain.PROMPTS if is_prompt else Domain.LIFECYCLE)


def _told(prompt: Prompt) -> dict[str, Any]:
    return {"registered_model": shown_prompts([prompt])[0]}


def _version_told(version: PromptVersion) -> dict[str, Any]:
    return {"model_version": version_message(version)}


def _without(tags: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name not in names}


def create(actor: User, *, name: str, description: str, tags: dict[str, str]) -> dict[str, Any]:
    return _told(
        prompts.create_prompt(
            actor=actor,
            name=name,
            description=checked_description(description),
            tags=_without(tags, IS_PROMPT, TEXT),
        )
    )


def get(actor: User, *, name: str) -> dict[str, Any]:
    return _told(find_prompt(actor, name))


def update(actor: User, *, name: str, description: str) -> dict[str, Any]:
    prompt = find_prompt(actor, name)
    return _told(
        prompts.describe_prompt(actor=actor, prompt=prompt, description=checked_description(description))
    )


def rename(actor: User, *, name: str, new_name: str) -> dict[str, Any]:
    return _told(prompts.rename_prompt(actor=actor, prompt=find_prompt(actor, name), name=new_name))


def delete(actor: User, *, name: str) -> dict[str, Any]:
    prompts.delete_prompt(actor=actor, prompt=find_prompt(actor, name))
    return {}


def set_tag(actor: User, *, name: str, key: str, value: str) -> dict[str, Any]:
    _refuse_marks(key)
    tags = checked_tags([{"key": key, "value": value}])
    prompts.change_tags(actor=actor, prompt=find_prompt(actor, name), tags=tags)
    return {}


def delete_tag(actor: User, *, name: str, key: str) -> dict[str, Any]:
    _refuse_marks(key)
    prompts.change_tags(actor=actor, prompt=find_prompt(actor, name), without=[check_key(key)])
    return {}


def refuse_to_become_one(tags: dict[str, str]) -> None:
    """Raise InvalidParameter for the tag by which MLflow's clients take a model for a prompt, whatever it says."""
    if IS_PROMPT in tags:
        raise _kind_is_kept()


def _kind_is_kept() -> InvalidParameter:
    return InvalidParameter(_("A prompt stays a prompt, and a model a model: make another one."))


def _refuse_marks(key: str) -> None:
    if key == IS_PROMPT:
        raise _kind_is_kept()
    if key == TEXT:
        raise InvalidParameter(_("The text of a prompt's version never changes: register another version."))


def get_latest_versions(actor: User, *, name: str, stages: list[str]) -> dict[str, Any]:
    wanted = {stage_named(stage) for stage in stages}
    prompt = find_prompt(actor, name)
    if wanted and Stage.EXPERIMENTAL not in wanted:
        return {}
    told = [version_message(version) for version in latest_versions([prompt.pk])]
    return {"model_versions": told} if told else {}


def set_alias(actor: User, *, name: str, alias: str, version: str) -> dict[str, Any]:
    versions.set_alias(actor=actor, version=_find_version(actor, name, version), alias=alias)
    return {}


def delete_alias(actor: User, *, name: str, alias: str) -> dict[str, Any]:
    """As in MLflow, it is done when there is none."""
    prompt = find_prompt(actor, name)
    check_alias_word(alias)
    with suppress(NotFound):
        versions.delete_alias(actor=actor, prompt=prompt, alias=alias)
    return {}


def get_by_alias(actor: User, *, name: str, alias: str) -> dict[str, Any]:
    prompt = find_prompt(actor, name)
    version = versions.find_by_alias(actor, prompt, alias)
    if version is None and alias.lower() == versions.LATEST:
        raise NotFound(_("Prompt “%(prompt)s” has no version yet.") % {"prompt": name})
    if version is None:
        raise InvalidParameter(
            _("Prompt “%(prompt)s” has no alias “%(alias)s”.") % {"prompt": name, "alias": alias}
        )
    return _version_told(version)


def _find_version(actor: User, name: str, version: str) -> PromptVersion:
    """The version of that number. Raises InvalidParameter for what is no number, and NotFound."""
    return versions.find_version(actor, find_prompt(actor, name), version_number(version))


def create_version(
    actor: User, *, name: str, source: str, description: str, tags: dict[str, str], **origin: str | None
) -> dict[str, Any]:
    """Raises InvalidParameter for a version without a text, and for a source or another `origin` (run_id, run_link,
    model_id): a prompt has none.
    """
    if any(origin.values()):
        raise InvalidParameter(
            _("A prompt is of no run and of no model: leave %(fields)s out.") % {"fields": ", ".join(origin)}
        )
    if source not in SOURCES:
        raise InvalidParameter(
            _("A prompt has no source: name “%(source)s” as its source.") % {"source": SOURCE}
        )
    if TEXT not in tags:
        raise InvalidParameter(_("Give the prompt's text in tag %(tag)s.") % {"tag": TEXT})
    return _version_told(
        versions.create_version(
            actor=actor,
            prompt=find_prompt(actor, check_registered_name(name)),
            content=tags[TEXT],
            description=checked_description(description),
            tags=_without(tags, IS_PROMPT, TEXT),
        )
    )


def get_version(actor: User, *, name: str, version: str) -> dict[str, Any]:
    return _version_told(_find_version(actor, name, version))


def update_version(actor: User, *, name: str, version: str, description: str | None) -> dict[str, Any]:
    found = _find_version(actor, name, version)
    told = checked_description(description or "")
    return _version_told(versions.describe_version(actor=actor, version=found, description=told))


def delete_version(actor: User, *, name: str, version: str) -> dict[str, Any]:
    versions.delete_version(actor=actor, version=_find_version(actor, name, version))
    return {}


def transition_stage(actor: User, *, name: str, **_fields: Any) -> dict[str, Any]:
    find_prompt(actor, name)
    raise InvalidParameter(_("A prompt has no stages: point an alias at the version instead."))


def set_version_tag(actor: User, *, name: str, version: str, key: str, value: str) -> dict[str, Any]:
    _refuse_marks(key)
    tags = checked_tags([{"key": key, "value": value}])
    versions.change_tags(actor=actor, version=_find_version(actor, name, version), tags=tags)
    return {}


def delete_version_tag(actor: User, *, name: str, version: str, key: str) -> dict[str, Any]:
    _refuse_marks(key)
    versions.change_tags(actor=actor, version=_find_version(actor, name, version), without=[check_key(key)])
    return {}


def get_download_uri(actor: User, *, name: str, version: str) -> dict[str, Any]:
    _find_version(actor, name, version)
    return {"artifact_uri": SOURCE}
