"""model-versions/*: a registered version is one of ours, with its checklist and its approval."""

import json
from typing import Any

from django.db import transaction

from core.errors import Conflict
from core.models import User
from core.names import check_key
from core.translation import gettext as _
from lifecycle.mlflow_rest import model_sources, prompts, registry_messages
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter, NotApproved
from lifecycle.mlflow_rest.messages import TAGS, flag, optional, required, text
from lifecycle.mlflow_rest.prompts import REGISTRY, either
from lifecycle.mlflow_rest.registry_lookups import (
    checked_description,
    checked_tags,
    find_model,
    find_version,
    stage_named,
)
from lifecycle.mlflow_rest.registry_messages import version_message
from lifecycle.mlflow_rest.runs import checked_length
from lifecycle.models import LoggedModel, ModelVersion
from lifecycle.operations import logged_models, registry, stages, version_removal
from lifecycle.states import Stage

MAX_LINK = 500
ACTIVE_STAGES = (Stage.STAGING, Stage.PRODUCTION)
# Where MLflow's clients look up which versions were made of a logged model.
VERSIONS_TAG = "mlflow.modelVersions"


def _told(version: ModelVersion) -> dict[str, Any]:
    return {"model_version": version_message(version)}


@transaction.atomic
def create(
    actor: User,
    *,
    name: str,
    source: str,
    run_id: str | None,
    tags: list[dict[str, str]],
    run_link: str,
    description: str,
    model_id: str | None,
) -> dict[str, Any]:
    wanted = checked_tags(tags)
    is_prompt = prompts.are_of_prompt(wanted)
    prompts.require_reading(actor, is_prompt=is_prompt)
    if is_prompt:
        return prompts.create_version(
            actor,
            name=name,
            source=source,
            description=description,
            tags=wanted,
            run_id=run_id,
            run_link=run_link,
            model_id=model_id,
        )
    prompts.refuse_to_become_one(wanted)
    if prompts.is_named(name):
        raise InvalidParameter(_("“%(name)s” is a prompt, and has no versions of a model.") % {"name": name})
    find_model(actor, name)
    version = registry.register_version(
        actor=actor,
        model_name=name,
        description=checked_description(description),
        tags=wanted,
        run_link=checked_length("run_link", run_link, MAX_LINK),
        **model_sources.found(actor, source, run_id, model_id),
    )
    if model_id and version.logged_model:
        _note_on(actor, version.logged_model, version)
    return _told(version)


def _note_on(actor: User, model: LoggedModel, version: ModelVersion) -> None:
    """Tell the logged model what was made of it, as MLflow does."""
    try:
        noted = json.loads(model.tags.get(VERSIONS_TAG, "[]"))
    except (ValueError, RecursionError):
        noted = None
    if isinstance(noted, list):  # somebody may have written anything there, which stays
        told = json.dumps([*noted, {"name": version.model.name, "version": version.version}])
        logged_models.change_tags(actor=actor, model=model, tags={VERSIONS_TAG: told})


def get(actor: User, *, name: str, version: str) -> dict[str, Any]:
    return _told(find_version(actor, name, version))


def update(actor: User, *, name: str, version: str, description: str | None) -> dict[str, Any]:
    found = find_version(actor, name, version)
    told = checked_description(description or "")
    return _told(registry.update_version(actor=actor, version=found, description=told))


def delete(actor: User, *, name: str, version: str) -> dict[str, Any]:
    version_removal.delete_version(actor=actor, version=find_version(actor, name, version))
    return {}


def transition_stage(
    actor: User, *, name: str, version: str, stage: str, archive_existing_versions: bool
) -> dict[str, Any]:
    wanted = stage_named(stage)
    if archive_existing_versions and wanted not in ACTIVE_STAGES:
        raise InvalidParameter(_("Versions are archived only for one that moves to Staging or Production."))
    found = find_version(actor, name, version)
    try:
        return _told(
            stages.move_stage(
                actor=actor, version=found, stage=wanted, archive_others=archive_existing_versions
            )
        )
    except Conflict as error:
        raise NotApproved(error.detail) if error.code == "approval_required" else error from error


def set_tag(actor: User, *, name: str, version: str, key: str, value: str) -> dict[str, Any]:
    tags = checked_tags([{"key": key, "value": value}])
    prompts.refuse_to_become_one(tags)
    registry.change_tags(actor=actor, version=find_version(actor, name, version), tags=tags)
    return {}


def delete_tag(actor: User, *, name: str, version: str, key: str) -> dict[str, Any]:
    registry.change_tags(actor=actor, version=find_version(actor, name, version), without=[check_key(key)])
    return {}


def get_download_uri(actor: User, *, name: str, version: str) -> dict[str, Any]:
    return {"artifact_uri": registry_messages.download_uri(find_version(actor, name, version))}


BY_NUMBER = {"name": required(text), "version": required(text)}
CALLS = {
    "model-versions/create": {
        "POST": Call(
            create,
            {
                "name": required(text),
                "source": required(text),
                "run_id": optional(text, None),
                "tags": TAGS,
                "run_link": optional(text),
                "description": optional(text),
                "model_id": optional(text, None),
            },
            domains=REGISTRY,
        )
    },
    "model-versions/get": {"GET": either(get, prompts.get_version, BY_NUMBER)},
    "model-versions/update": {
        "PATCH": either(update, prompts.update_version, BY_NUMBER | {"description": optional(text, None)})
    },
    "model-versions/delete": {"DELETE": either(delete, prompts.delete_version, BY_NUMBER)},
    "model-versions/transition-stage": {
        "POST": either(
            transition_stage,
            prompts.transition_stage,
            BY_NUMBER | {"stage": required(text), "archive_existing_versions": optional(flag, False)},
        )
    },
    "model-versions/set-tag": {
        "POST": either(
            set_tag,
            prompts.set_version_tag,
            BY_NUMBER | {"key": required(text), "value": optional(text)},
        )
    },
    "model-versions/delete-tag": {
        "DELETE": either(delete_tag, prompts.delete_version_tag, BY_NUMBER | {"key": required(text)})
    },
    "model-versions/get-download-uri": {"GET": either(get_download_uri, prompts.get_download_uri, BY_NUMBER)},
}
