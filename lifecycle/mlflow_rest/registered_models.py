"""registered-models/*: names, descriptions, tags and aliases of models."""

from contextlib import suppress
from typing import Any

from core.errors import NotFound
from core.models import User
from core.names import check_alias_word, check_key
from core.translation import gettext as _
from lifecycle.mlflow_rest import prompts, registry_messages
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import TAGS, optional, repeated, required, text
from lifecycle.mlflow_rest.prompts import REGISTRY, either
from lifecycle.mlflow_rest.registry_lookups import (
    checked_description,
    checked_tags,
    find_model,
    find_version,
    stage_named,
)
from lifecycle.mlflow_rest.registry_messages import version_message
from lifecycle.models import RegisteredModel
from lifecycle.operations import aliases, registered_models, registry


def _told(model: RegisteredModel) -> dict[str, Any]:
    return {"registered_model": registry_messages.shown_models([model])[0]}


def create(actor: User, *, name: str, description: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    wanted = checked_tags(tags)
    is_prompt = prompts.are_of_prompt(wanted)
    prompts.require_reading(actor, is_prompt=is_prompt)
    if is_prompt:
        return prompts.create(actor, name=name, description=description, tags=wanted)
    prompts.refuse_to_become_one(wanted)
    model = registered_models.create_model(
        actor=actor, name=name, description=checked_description(description), tags=wanted
    )
    return _told(model)


def get(actor: User, *, name: str) -> dict[str, Any]:
    return _told(find_model(actor, name))


def update(actor: User, *, name: str, description: str) -> dict[str, Any]:
    model = registered_models.describe_model(
        actor=actor, model=find_model(actor, name), description=checked_description(description)
    )
    return _told(model)


def rename(actor: User, *, name: str, new_name: str) -> dict[str, Any]:
    return _told(registered_models.rename_model(actor=actor, model=find_model(actor, name), name=new_name))


def delete(actor: User, *, name: str) -> dict[str, Any]:
    registered_models.delete_model(actor=actor, model=find_model(actor, name))
    return {}


def set_tag(actor: User, *, name: str, key: str, value: str) -> dict[str, Any]:
    tags = checked_tags([{"key": key, "value": value}])
    prompts.refuse_to_become_one(tags)
    registered_models.change_tags(actor=actor, model=find_model(actor, name), tags=tags)
    return {}


def delete_tag(actor: User, *, name: str, key: str) -> dict[str, Any]:
    registered_models.change_tags(actor=actor, model=find_model(actor, name), without=[check_key(key)])
    return {}


def get_latest_versions(actor: User, *, name: str, stages: list[str]) -> dict[str, Any]:
    wanted = {stage_named(stage) for stage in stages}
    versions = registry_messages.latest_versions([find_model(actor, name).pk])
    if wanted:
        versions = versions.filter(stage__in=wanted)
    told = [version_message(version) for version in versions.prefetch_related("aliases")]
    return {"model_versions": told} if told else {}


def set_alias(actor: User, *, name: str, alias: str, version: str) -> dict[str, Any]:
    found = find_version(actor, name, version)
    aliases.set_alias(actor=actor, model=found.model, alias=alias, version=found)
    return {}


def delete_alias(actor: User, *, name: str, alias: str) -> dict[str, Any]:
    """As in MLflow, it is done when there is none."""
    model = find_model(actor, name)
    check_alias_word(alias)
    with suppress(NotFound):
        aliases.delete_alias(actor=actor, model=model, alias=alias)
    return {}


def get_by_alias(actor: User, *, name: str, alias: str) -> dict[str, Any]:
    model = find_model(actor, name)
    try:
        version = registry.find_version(actor, model.name, f"@{alias}")
    except NotFound as error:
        raise InvalidParameter(
            _("Model “%(model)s” has no alias “%(alias)s”.") % {"model": model.name, "alias": alias}
        ) from error
    return {"model_version": version_message(version)}


BY_NAME = {"name": required(text)}
BY_ALIAS = BY_NAME | {"alias": required(text)}
LATEST = either(get_latest_versions, prompts.get_latest_versions, BY_NAME | {"stages": repeated(text)})
CALLS = {
    "registered-models/create": {
        "POST": Call(create, BY_NAME | {"description": optional(text), "tags": TAGS}, domains=REGISTRY)
    },
    "registered-models/get": {"GET": either(get, prompts.get, BY_NAME)},
    "registered-models/update": {
        "PATCH": either(update, prompts.update, BY_NAME | {"description": optional(text)})
    },
    "registered-models/rename": {
        "POST": either(rename, prompts.rename, BY_NAME | {"new_name": required(text)})
    },
    "registered-models/delete": {"DELETE": either(delete, prompts.delete, BY_NAME)},
    "registered-models/set-tag": {
        "POST": either(set_tag, prompts.set_tag, BY_NAME | {"key": required(text), "value": optional(text)})
    },
    "registered-models/delete-tag": {
        "DELETE": either(delete_tag, prompts.delete_tag, BY_NAME | {"key": required(text)})
    },
    "registered-models/get-latest-versions": {"GET": LATEST, "POST": LATEST},
    "registered-models/alias": {
        "GET": either(get_by_alias, prompts.get_by_alias, BY_ALIAS),
        "POST": either(set_alias, prompts.set_alias, BY_ALIAS | {"version": required(text)}),
        "DELETE": either(delete_alias, prompts.delete_alias, BY_ALIAS),
    },
}
