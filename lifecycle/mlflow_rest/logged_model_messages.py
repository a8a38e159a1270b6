"""Logged models as MLflow's messages: read for many at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Window
from django.db.models.functions import RowNumber

from core.milliseconds import milliseconds_of
from lifecycle.mlflow_rest.run_messages import RUNS_A_QUERY, metric
from lifecycle.models import LoggedModel, LoggedModelMetric
from lifecycle.states import LoggedModelStatus

STATUSES = {
    "LOGGED_MODEL_PENDING": LoggedModelStatus.PENDING,
    "LOGGED_MODEL_READY": LoggedModelStatus.READY,
    "LOGGED_MODEL_UPLOAD_FAILED": LoggedModelStatus.FAILED,
}
MEASURED = ("name", "value", "is_nan", "timestamp", "step")
MOST_METRICS = 1000  # of one model in an answer
STATUS_NAMES = {status: name for name, status in STATUSES.items()}


def shown(models: Sequence[LoggedModel]) -> list[dict[str, Any]]:
    """The models as MLflow's `LoggedModel` messages."""
    metrics = _metrics(models)
    return [{"info": _info(model), "data": _data(model, metrics[model.pk])} for model in models]


def _info(model: LoggedModel) -> dict[str, Any]:
    return {
        "model_id": model.model_id,
        "experiment_id": str(model.experiment_id),
        "name": model.name,
        "creation_timestamp_ms": milliseconds_of(model.created_at),
        "last_updated_timestamp_ms": milliseconds_of(model.updated_at),
        "artifact_uri": artifact_uri(model),
        "status": STATUS_NAMES[LoggedModelStatus(model.status)],
        "model_type": model.model_type,
        "source_run_id": model.source_run.run_id if model.source_run else "",
        "tags": _pairs(model.tags),
    }


def artifact_uri(model: LoggedModel) -> str:
    """Where clients are told to find the model's files: they come to this server."""
    return f"mlflow-artifacts:/{model.experiment_id}/models/{model.model_id}/artifacts"


def _data(model: LoggedModel, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    lists = {"params": _pairs(model.parameters), "metrics": metrics}
    return {name: rows for name, rows in lists.items() if rows}


def _pairs(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": value} for name, value in named.items()]


def _metrics(models: Sequence[LoggedModel]) -> dict[int, list[dict[str, Any]]]:
    """Of each model its metrics, as many of the last ones as an answer may hold."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    ids = {model.pk: model.model_id for model in models}
    newest = Window(RowNumber(), partition_by="logged_model", order_by="-pk")
    columns = ("logged_model", "run__run_id", "dataset", "dataset_digest", *MEASURED)
    for start in range(0, len(models), RUNS_A_QUERY):
        some = [model.pk for model in models[start : start + RUNS_A_QUERY]]
        rows = LoggedModelMetric.objects.filter(logged_model__in=some).alias(place=newest)
        rows = rows.filter(place__lte=MOST_METRICS).order_by("pk").values_list(*columns)
        for model, run_id, dataset, digest, *point in rows:
            told = metric(*point) | {"model_id": ids[model], "run_id": run_id}
            about = {"dataset_name": dataset, "dataset_digest": digest}
            found[model].append(told | {name: value for name, value in about.items() if value})
    return found
