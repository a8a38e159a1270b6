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

STAGES = {
    "None": Stage.EXPERIMENTAL,
    "Staging": Stage.STAGING,
    "Production": Stage.PRODUCTION,
    "Archived": Stage.ARCHIVED,
}
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
    return [_model(model, latest[model.pk], aliases[model.pk]) for model in models]


def latest_versions(models: Iterable[int]) -> QuerySet[ModelVersion]:
    """Of each of these models the latest version in each stage."""
    latest = Window(RowNumber(), partition_by=["model", "stage"], order_by=F("version").desc())
    versions = ModelVersion.objects.kept().filter(model__in=models)
    return with_origin(versions.alias(place=latest).filter(place=1).order_by("version"))


def with_origin(versions: QuerySet[ModelVersion]) -> QuerySet[ModelVersion]:
    """With what their messages tell of them."""
    return versions.select_related("model", "run", "logged_model")


def _model(
    model: RegisteredModel, latest: list[ModelVersion], aliases: list[dict[str, str]]
) -> dict[str, Any]:
    told = {
        "name": model.name,
        "creation_timestamp": milliseconds_of(model.created_at),
        "last_updated_timestamp": milliseconds_of(model.updated_at),
    }
    if model.description:
        told["description"] = model.description
    lists = {
        "latest_versions": [version_message(version, with_aliases=False) for version in latest],
        "tags": _pairs(model.tags),
        "aliases": aliases,
    }
    return told | {name: rows for name, rows in lists.items() if rows}


def version_message(version: ModelVersion, *, with_aliases: bool = True) -> dict[str, Any]:
    """The version as MLflow's `ModelVersion` message. Its files are all there: clients need not wait for it."""
    told = {
        "name": version.model.name,
        "version": str(version.version),
        "creation_timestamp": milliseconds_of(version.created_at),
        "last_updated_timestamp": milliseconds_of(version.updated_at),
        "current_stage": STAGE_NAMES[Stage(version.stage)],
        "description": version.description,
        "source": version.mlflow_source or source_of(version),
        "run_id": version.run.run_id if version.run else "",
        "run_link": version.run_link,
        "status": "READY",
    }
    lists = {
        "tags": _pairs(version.tags),
        "aliases": sorted(alias.alias for alias in version.aliases.all()) if with_aliases else [],
    }
    return told | {name: rows for name, rows in lists.items() if rows}


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
