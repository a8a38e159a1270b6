"""Runs as MLflow's messages: read for many at once, since searches answer thousands."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import F, Model

from core.milliseconds import milliseconds_of
from lifecycle.lookups import Among, among
from lifecycle.models import DatasetInput, Run, RunMetric, RunModel, RunParameter, RunTag
from lifecycle.states import ModelRole, RunStatus

STATUSES = {
    "RUNNING": RunStatus.RUNNING,
    "SCHEDULED": RunStatus.SCHEDULED,
    "FINISHED": RunStatus.COMPLETED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CANCELLED,
}
STATUS_NAMES = {status: name for name, status in STATUSES.items()}
# Tags in MLflow, columns of a run here.
NAME_TAG, NOTES_TAG = "mlflow.runName", "mlflow.note.content"
COLUMNS_OF_TAGS = {NAME_TAG: "name", NOTES_TAG: "notes"}
# What is told of a run itself.
RUN_COLUMNS = (
    "run_id", "name", "experiment_id", "status", "started_at", "completed_at", "deleted_at", "notes", "mlflow_user",
)  # fmt: skip
# As MLflow tells the infinities.
LARGEST_FLOAT = 1.7976931348623157e308
RUNS_A_QUERY = 1000

Rows = dict[int, list[dict[str, Any]]]  # of what belongs to a run, by the run's key


def shown(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The runs as MLflow's `Run` messages."""
    return [message for some in _some_at_once(runs) for message in _messages(some)]


def _some_at_once(runs: Sequence[Run]) -> Iterable[Sequence[Run]]:
    return (runs[start : start + RUNS_A_QUERY] for start in range(0, len(runs), RUNS_A_QUERY))


def _messages(runs: Sequence[Run]) -> Iterable[dict[str, Any]]:
    keys = [run.pk for run in runs]
    parameters, tags = _pairs(RunParameter, keys), _pairs(RunTag, keys)
    metrics, datasets = _latest_metrics(keys), _datasets(keys)
    inputs, outputs = _models(keys)
    for run in runs:
        data = {"metrics": metrics[run.pk], "params": parameters[run.pk], "tags": tags[run.pk]}
        read = {"dataset_inputs": datasets[run.pk], "model_inputs": inputs[run.pk]}
        yield _message(run, data, read, {"model_outputs": outputs[run.pk]})


def just_made(run: Run, tags: dict[str, str]) -> dict[str, Any]:
    """As `shown`, of a run that was made a moment ago with nothing but these tags: there is nothing to look up."""
    pairs = [{"key": name, "value": value} for name, value in tags.items()]
    return _message(run, {"metrics": [], "params": [], "tags": pairs}, {}, {})


def _message(
    run: Run, data: dict[str, list[Any]], inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]
) -> dict[str, Any]:
    return {
        "info": info(run),
        "data": data | {"tags": [*data["tags"], *_tags_of_columns(run)]},
        "inputs": _given(inputs),
        "outputs": _given(outputs),
    }


def info(run: Run) -> dict[str, Any]:
    """The run as MLflow's `RunInfo` message."""
    told = {
        "run_uuid": run.run_id,
        "run_id": run.run_id,
        "run_name": run.name,
        "experiment_id": str(run.experiment_id),
        "user_id": run.mlflow_user,
        "status": STATUS_NAMES[RunStatus(run.status)],
        "artifact_uri": artifact_uri(run),
        "lifecycle_stage": "active" if run.deleted_at is None else "deleted",
    }
    if run.started_at:
        told["start_time"] = milliseconds_of(run.started_at)
    if run.completed_at:
        told["end_time"] = milliseconds_of(run.completed_at)
    return told


def artifact_uri(run: Run) -> str:
    """Where clients are told to find the run's files: they come to this server."""
    return f"mlflow-artifacts:/{run.experiment_id}/{run.run_id}/artifacts"


def _tags_of_columns(run: Run) -> list[dict[str, str]]:
    values = {tag: getattr(run, column) for tag, column in COLUMNS_OF_TAGS.items()}
    return [{"key": tag, "value": value} for tag, value in values.items() if value]


def _rows(model: type[Model], columns: Sequence[str], runs: Sequence[int]) -> list[tuple[Any, ...]]:
    """Columns of all that belongs to the runs, by a statement of our own: Django takes twice as long to write one and
    to read what comes.
    """
    condition, keys = among(runs)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM {model._meta.db_table} "  # noqa: S608
            f"WHERE run_id {condition} ORDER BY run_id, {', '.join(model._meta.ordering)}",
            [keys],
        )
        return cursor.fetchall()


def _pairs(model: type[RunParameter] | type[RunTag], runs: list[int]) -> Rows:
    found: Rows = defaultdict(list)
    for run, name, value in _rows(model, ("run_id", "name", "value"), runs):
        found[run].append({"key": name, "value": value})
    return found


def _latest_metrics(runs: list[int]) -> Rows:
    """One value a name: of several data sets, which MLflow does not tell apart, the one logged last."""
    columns = ("run_id", "name", "value", "is_nan", "timestamp", "step")
    latest: dict[tuple[int, str], tuple[Any, ...]] = {}
    for row in _rows(RunMetric, columns, runs):
        before = latest.setdefault(row[:2], row)
        if before is not row and _recency(row) > _recency(before):
            latest[row[:2]] = row
    found: Rows = defaultdict(list)
    for run, *row in latest.values():
        found[run].append(metric(*row))
    return found


def _recency(row: tuple[Any, ...]) -> tuple[Any, ...]:
    _run, _name, value, _is_nan, timestamp, step = row
    return step, timestamp, value


def metric(name: str, value: float, is_nan: bool, timestamp: int, step: int) -> dict[str, Any]:
    """A value as MLflow's `Metric` message."""
    told: Any = value
    if is_nan:
        told = "NaN"
    elif math.isinf(value):
        told = math.copysign(LARGEST_FLOAT, value)
    return {"key": name, "value": told, "timestamp": timestamp, "step": step}


def _datasets(runs: list[int]) -> Rows:
    found: Rows = defaultdict(list)
    for dataset in DatasetInput.objects.filter(Among(F("run"), runs)):
        found[dataset.run_id].append(
            {
                "tags": [{"key": name, "value": value} for name, value in dataset.tags.items()],
                "dataset": _dataset(dataset),
            }
        )
    return found


def _models(runs: list[int]) -> tuple[Rows, Rows]:
    """What logged models the runs read, and which they wrote."""
    inputs: Rows = defaultdict(list)
    outputs: Rows = defaultdict(list)
    columns = ("run_id", "role", "logged_model__model_id", "step")
    for run, role, model_id, step in RunModel.objects.filter(Among(F("run"), runs)).values_list(*columns):
        if role == ModelRole.INPUT:
            inputs[run].append({"model_id": model_id})
        else:
            outputs[run].append({"model_id": model_id, "step": step})
    return inputs, outputs


def _given(lists: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Those that are not empty: MLflow leaves the others out."""
    return {name: rows for name, rows in lists.items() if rows}


def _dataset(dataset: DatasetInput) -> dict[str, str]:
    fields = ("name", "digest", "source_type", "source", "schema", "profile")
    return {field: getattr(dataset, field) for field in fields if getattr(dataset, field)}
