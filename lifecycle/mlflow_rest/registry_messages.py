"""Registered models and their versions as MLflow's messages: read for many at once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from core.milliseconds import milliseconds_of
from lifecycle.artifact_store.paths import inside
from lifecycle.mlflow_rest import logged_model_messages, run_messages
from lifecycle.models import ModelAlias, ModelVersion, RegisteredModel, Run
from lifecycle.states import Stage
from prompts.models import Prompt, PromptVersion

STAGES = {
    "None": Stage.EXPERIMENTAL,
    "Staging": Stage.STAGING,
    "Production": Stage.PRODUCTION,
    "Archived": Stage.ARCHIVED,
}
# The tag that makes a registered model a prompt to MLflow's clients, whatever it says: no model is told with it.
IS_PROMPT = "mlflow.prompt.is_prompt"
STAGE_NAMES = {stage: name for name, stage in STAGES.items()}


def shown_models(models: Sequence[RegisteredModel]) -> list[dict[str, Any]]:
    """The models as MLflow's `RegisteredModel` messages, each with its latest version in each stage."""
    keys = [model.pk for model in models]
    latest: dict[int, list[ModelVersion]] = defaultdict(list)
    for version in latest_versions(keys):
        latest[version.model_id].append(version)
    aliases: dict[int, list[dict[str, str]]] = defaultdict(list)
    rows = ModelAlias.objects.filter(model__in=keys).order_by("alias")
    for model_id, alias, version in rows.values_list("model", "alias", "version__version"):
        aliases[model_id].append({"alias": alias, "version": str(version)})
    return [
        named(
            model,
            tags=_of_model(model.tags),
            aliases=aliases[model.pk],
            latest=version_messages(latest[model.pk]),
        )
        for model in models
    ]


def latest_versions(models: Iterable[int]) -> QuerySet[ModelVersion]:
    """Of each of these models the latest version in each stage."""
    latest = Window(RowNumber(), partition_by=["model", "stage"], order_by=F("version").desc())
    versions = ModelVersion.objects.kept().filter(model__in=models)
    return with_origin(versions.alias(place=latest).filter(place=1).order_by("version"))


def with_origin(versions: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    """With what their messages tell of them."""
    return versions.select_related("model", "run", "logged_model")


def named(
    row: RegisteredModel | Prompt,
    *,
    tags: dict[str, str],
    aliases: list[dict[str, str]],
    latest: list[dict[str, Any]],
) -> dict[str, Any]:
    """What has a name in the registry as MLflow's `RegisteredModel` message."""
    told = {
        "name": row.name,
        "creation_timestamp": milliseconds_of(row.created_at),
        "last_updated_timestamp": milliseconds_of(row.updated_at),
    }
    if row.description:
        told["description"] = row.description
    return told | _given(latest_versions=latest, tags=_pairs(tags), aliases=aliases)


def version_message(version: ModelVersion) -> dict[str, Any]:
    """The version as MLflow's `ModelVersion` message, with its aliases."""
    return _version(version) | _given(aliases=sorted(alias.alias for alias in version.aliases.all()))


def version_messages(versions: Iterable[ModelVersion]) -> list[dict[str, Any]]:
    """As searches tell versions: without their aliases."""
    return [_version(version) for version in versions]


def _version(version: ModelVersion) -> dict[str, Any]:
    told = {
        "current_stage": STAGE_NAMES[Stage(version.stage)],
        "source": version.mlflow_source or source_of(version),
        "run_id": version.run.run_id if version.run else "",
        "run_link": version.run_link,
    }
    return numbered(version, version.model.name, tags=_of_model(version.tags)) | told


def _of_model(tags: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name != IS_PROMPT}


def numbered(version: ModelVersion | PromptVersion, name: str, *, tags: dict[str, str]) -> dict[str, Any]:
    """What versions of models and of prompts have in common. All of it is there: clients need not wait for it."""
    told = {
        "name": name,
        "version": str(version.version),
        "creation_timestamp": milliseconds_of(version.created_at),
        "last_updated_timestamp": milliseconds_of(version.updated_at),
        "description": version.description,
        "status": "READY",
    }
    return told | _given(tags=_pairs(tags))


def _given(**lists: list[Any]) -> dict[str, list[Any]]:
    """Those that are not empty: MLflow leaves the others out."""
    return {name: rows for name, rows in lists.items() if rows}


def _pairs(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in named.items()]


def source_of(version: ModelVersion) -> str:
    """How MLflow's clients name what it was made of."""
    if version.logged_model:
        return f"models:/{version.logged_model.model_id}"
    return f"runs:/{version.run.run_id}/{version.artifact_path}"


def download_uri(version: ModelVersion) -> str:
    """Where clients are told to find its files: they come to this server. As in MLflow, what was named as a run's is
    looked for there.
    """
    if version.mlflow_source.startswith("runs:/"):
        return version.mlflow_source
    owner = version.file_owner
    if isinstance(owner, Run):
        return inside(run_messages.artifact_uri(owner), version.artifact_path)
    return logged_model_messages.artifact_uri(owner)
