"""What runs log: metrics, parameters, tags, the data sets they read and the models they wrote."""

import json
from contextlib import nullcontext
from typing import Any

from django.db import transaction

from core.errors import Conflict, NotFound
from core.models import User
from core.translation import gettext as _
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import BadRequest, InvalidParameter
from lifecycle.mlflow_rest.messages import (
    TAGS,
    integer,
    many,
    message,
    number,
    optional,
    repeated,
    required,
    text,
)
from lifecycle.mlflow_rest.run_messages import COLUMNS_OF_TAGS, NAME_TAG
from lifecycle.mlflow_rest.runs import BY_ID, checked_length, columns_in, find_active
from lifecycle.models import Run
from lifecycle.operations import logged_models, metrics, run_data, run_inputs, runs
from lifecycle.states import ModelRole

# What MLflow cuts longer values down to, and how many of each a batch may have (mlflow.utils.validation).
MAX_PARAMETER, MAX_TAG = 6000, 8000
MOST_METRICS, MOST_PARAMETERS, MOST_TAGS, MOST_AT_ONCE = 1000, 100, 100, 1000
LOGGED_MODELS_TAG = "mlflow.log-model.history"
LOGGED_MODEL_FIELDS = ("run_id", "artifact_path", "utc_time_created", "model_uuid")


def log_metric(actor: User, *, run_id: str, **metric: Any) -> dict[str, Any]:
    _log(actor, find_active(actor, run_id), metrics=[_point(metric)])
    return {}


def log_parameter(actor: User, *, run_id: str, key: str, value: str) -> dict[str, Any]:
    _log(actor, find_active(actor, run_id), parameters=[_parameter({"key": key, "value": value})])
    return {}


def set_tag(actor: User, *, run_id: str, key: str, value: str) -> dict[str, Any]:
    _log(actor, find_active(actor, run_id), tags=_tags([{"key": key, "value": value}]))
    return {}


def delete_tag(actor: User, *, run_id: str, key: str) -> dict[str, Any]:
    run = find_active(actor, run_id)
    if key == NAME_TAG:
        raise InvalidParameter(_("A run keeps its name: set mlflow.runName to another."))
    column = COLUMNS_OF_TAGS.get(key)
    if column and getattr(run, column):
        runs.update_run(actor=actor, run=run, **{column: ""})
    else:
        run_data.delete_tag(actor=actor, run=run, name=key)
    return {}


def log_batch(
    actor: User,
    *,
    run_id: str,
    metrics: list[dict[str, Any]],
    params: list[dict[str, str]],
    tags: list[dict[str, str]],
) -> dict[str, Any]:
    _check_counts(metrics=len(metrics), params=len(params), tags=len(tags))
    if len({parameter["key"] for parameter in params}) < len(params):
        raise InvalidParameter(_("A parameter is given twice in one batch."))
    _log(
        actor,
        find_active(actor, run_id),
        parameters=[_parameter(parameter) for parameter in params],
        metrics=[_point(metric) for metric in metrics],
        tags=_tags(tags),
    )
    return {}


def _log(actor: User, run: Run, *, tags: dict[str, str] | None = None, **told: Any) -> None:
    """Append it all; what tags say that are columns here changes the run."""
    tags = tags or {}
    columns = columns_in(tags)
    try:
        # Most batches change no column, and a transaction within another is two statements more.
        with transaction.atomic() if columns else nullcontext():
            run_data.log_to_run(actor=actor, run=run, tags=tags, **told)
            if columns:
                runs.update_run(actor=actor, run=run, **columns)
    except Conflict as error:  # of a parameter that would change, which MLflow calls an invalid one
        raise InvalidParameter(error.detail) from error
    except NotFound as error:  # of a logged model
        raise BadRequest(error.detail) from error


def _tags(told: list[dict[str, str]]) -> dict[str, str]:
    return {tag["key"]: tag["value"][:MAX_TAG] for tag in told}


def _parameter(told: dict[str, str]) -> run_data.Parameter:
    return {"name": told["key"], "value": told["value"][:MAX_PARAMETER]}


def _check_counts(**counts: int) -> None:
    limits = {"metrics": MOST_METRICS, "params": MOST_PARAMETERS, "tags": MOST_TAGS}
    for name, count in counts.items():
        if count > limits[name]:
            raise InvalidParameter(
                _("A batch has at most %(limit)s %(name)s; this one has %(count)s.")
                % {"limit": limits[name], "name": name, "count": count}
            )
    if (total := sum(counts.values())) > MOST_AT_ONCE:
        raise InvalidParameter(
            _("A batch has at most %(limit)s metrics, params and tags together; this one has %(count)s.")
            % {"limit": MOST_AT_ONCE, "count": total}
        )


def _point(metric: dict[str, Any]) -> metrics.Point:
    if metric["timestamp"] < 0:
        raise InvalidParameter(_("“timestamp” is a number of milliseconds from 0."))
    if bool(metric["dataset_name"]) != bool(metric["dataset_digest"]):
        raise InvalidParameter(_("Give both “dataset_name” and “dataset_digest”, or neither."))
    return {
        "metric_name": metric["key"],
        "value": metric["value"],
        "timestamp": metric["timestamp"],
        "step": metric["step"],
        "dataset": checked_length("dataset_name", metric["dataset_name"], 250),
        "dataset_digest": checked_length("dataset_digest", metric["dataset_digest"], 36),
        "model_id": metric["model_id"],
    }


@transaction.atomic
def log_inputs(
    actor: User, *, run_id: str, datasets: list[dict[str, Any]], models: list[dict[str, Any]]
) -> dict[str, Any]:
    wanted: list[run_inputs.Dataset] = [
        {**one["dataset"], "tags": {tag["key"]: tag["value"] for tag in one["tags"]}} for one in datasets
    ]
    run = find_active(actor, run_id)
    run_inputs.log_datasets(actor=actor, run=run, datasets=wanted)
    read: list[logged_models.ModelUse] = [{"model_id": one["model_id"], "step": 0} for one in models]
    logged_models.note_models(actor=actor, run=run, role=ModelRole.INPUT, models=read)
    return {}


def log_outputs(actor: User, *, run_id: str, models: list[logged_models.ModelUse]) -> dict[str, Any]:
    run = find_active(actor, run_id)
    try:
        logged_models.note_models(actor=actor, run=run, role=ModelRole.OUTPUT, models=models)
    except Conflict as error:
        raise BadRequest(error.detail) from error
    return {}


def log_model(actor: User, *, run_id: str, model_json: str) -> dict[str, Any]:
    """What models a run logged: MLflow's clients keep the list in a tag."""
    run = find_active(actor, run_id)
    run_data.append_to_tag(actor=actor, run=run, name=LOGGED_MODELS_TAG, item=_logged_model(model_json))
    return {}


def _logged_model(told: str) -> dict[str, Any]:
    try:
        model = json.loads(told)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(_("“model_json” is not valid JSON.")) from error
    if not isinstance(model, dict) or not isinstance(model.get("flavors"), dict):
        raise InvalidParameter(_("“model_json” is an object with “flavors”, an object too."))
    if missing := {"artifact_path", "utc_time_created", "run_id"} - model.keys():
        raise InvalidParameter(_("“model_json” lacks %(fields)s.") % {"fields": ", ".join(sorted(missing))})
    kept = {name: value for name, value in model.items() if name in LOGGED_MODEL_FIELDS}
    return kept | {"flavors": {name: _flavor(flavor) for name, flavor in model["flavors"].items()}}


def _flavor(flavor: Any) -> Any:
    if not isinstance(flavor, dict):
        return flavor
    return {name: value for name, value in flavor.items() if name != "config"}


PAIR = {"key": required(text), "value": optional(text)}
METRIC = {
    "key": required(text),
    "value": required(number),
    "timestamp": required(integer),
    "step": optional(integer, 0),
    "dataset_name": optional(text),
    "dataset_digest": optional(text),
    "model_id": optional(text),
}
DATASET = message(
    name=required(text),
    digest=required(text),
    source_type=optional(text),
    source=optional(text),
    schema=optional(text),
    profile=optional(text),
)
CALLS = {
    "runs/log-metric": {"POST": Call(log_metric, BY_ID | METRIC)},
    "runs/log-parameter": {"POST": Call(log_parameter, BY_ID | PAIR)},
    "runs/log-batch": {
        "POST": Call(
            log_batch,
            BY_ID
            | {
                "metrics": repeated(message(**METRIC)),
                "params": repeated(message(**PAIR)),
                "tags": repeated(message(**PAIR)),
            },
        )
    },
    "runs/set-tag": {"POST": Call(set_tag, BY_ID | PAIR)},
    "runs/delete-tag": {"POST": Call(delete_tag, BY_ID | {"key": required(text)})},
    "runs/log-inputs": {
        "POST": Call(
            log_inputs,
            BY_ID
            | {
                "datasets": repeated(message(dataset=required(DATASET), tags=TAGS)),
                "models": repeated(message(model_id=required(text))),
            },
        )
    },
    "runs/outputs": {
        "POST": Call(
            log_outputs,
            BY_ID | {"models": required(many(message(model_id=required(text), step=optional(integer, 0))))},
        )
    },
    "runs/log-model": {"POST": Call(log_model, BY_ID | {"model_json": required(text)})},
}
