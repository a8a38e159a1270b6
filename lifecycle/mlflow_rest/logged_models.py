"""logged-models/*: the models that MLflow 3 logs, each with files, parameters, tags and metrics of its own."""

from contextlib import suppress
from typing import Any

from django.http import FileResponse, HttpRequest

from core.errors import Conflict
from core.models import User
from core.translation import gettext as _
from lifecycle.artifact_store.paths import check_artifact_path
from lifecycle.mlflow_rest import artifacts, experiments, messages, runs
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import BadRequest, InvalidParameter
from lifecycle.mlflow_rest.logged_model_messages import STATUSES, artifact_uri, shown
from lifecycle.mlflow_rest.messages import TAGS, message, one_of, optional, repeated, required, text
from lifecycle.mlflow_rest.run_names import random_name
from lifecycle.models import LoggedModel
from lifecycle.operations import logged_models
from lifecycle.operations.artifacts import find_artifact
from lifecycle.states import LoggedModelStatus

MAX_TYPE = 500


def create(
    actor: User,
    *,
    experiment_id: str,
    name: str,
    model_type: str,
    source_run_id: str,
    params: list[dict[str, str]],
    tags: list[dict[str, str]],
) -> dict[str, Any]:
    try:
        model = logged_models.create_logged_model(
            actor=actor,
            experiment=experiments.find(actor, experiment_id),
            name=name or random_name(),
            model_type=runs.checked_length("model_type", model_type, MAX_TYPE),
            source_run=runs.find(actor, source_run_id) if source_run_id else None,
            parameters=messages.as_tags(params),
            tags=messages.as_tags(tags),
        )
    except Conflict as error:  # the experiment is archived
        raise InvalidParameter(error.detail) from error
    return _told(model)


def _told(model: LoggedModel) -> dict[str, Any]:
    return {"model": shown([model])[0]}


def get(actor: User, *, model_id: str, allow_deleted: str) -> dict[str, Any]:
    deleted = allow_deleted.lower() == "true"
    return _told(logged_models.find_logged_model(actor, model_id, deleted=deleted))


def _find(actor: User, model_id: str) -> LoggedModel:
    """As in MLflow, one that is deleted can be changed still."""
    return logged_models.find_logged_model(actor, model_id, deleted=True)


def finalize(actor: User, *, model_id: str, status: LoggedModelStatus) -> dict[str, Any]:
    return _told(logged_models.finalize(actor=actor, model=_find(actor, model_id), status=status))


def delete(actor: User, *, model_id: str) -> dict[str, Any]:
    with suppress(Conflict):  # as in MLflow, one that is deleted already is deleted
        logged_models.delete_logged_model(actor=actor, model=_find(actor, model_id))
    return {}


def log_parameters(actor: User, *, model_id: str, params: list[dict[str, str]]) -> dict[str, Any]:
    try:
        logged_models.log_parameters(
            actor=actor, model=_find(actor, model_id), parameters=messages.as_tags(params)
        )
    except Conflict as error:
        raise BadRequest(error.detail) from error
    return {}


def set_tags(actor: User, *, model_id: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    """Of a tag that is named twice the last value counts."""
    wanted = {tag["key"]: tag["value"] for tag in tags}
    logged_models.change_tags(actor=actor, model=_find(actor, model_id), tags=wanted)
    return {}


def delete_tag(actor: User, *, model_id: str, tag_key: str) -> dict[str, Any]:
    logged_models.change_tags(actor=actor, model=_find(actor, model_id), without=[tag_key])
    return {}


def list_artifacts(actor: User, *, model_id: str, artifact_directory_path: str) -> dict[str, Any]:
    """One folder, with paths from the model's root."""
    model = logged_models.find_logged_model(actor, model_id)
    folder = artifact_directory_path.removesuffix("/")
    start = f"{folder}/" if folder else ""
    return artifacts.listed(model, folder, start) | {"root_uri": artifact_uri(model)}


def download(actor: User, request: HttpRequest, *, model_id: str) -> FileResponse:
    path = request.GET.get("artifact_file_path", "")
    if not path:
        raise BadRequest(_("Name the file in “artifact_file_path”."))
    model = logged_models.find_logged_model(actor, model_id)
    return artifacts.file_response(find_artifact(owner=model, path=check_artifact_path(path)))


PAIRS = repeated(message(key=required(text), value=optional(text)))
ONE = "logged-models/<str:model_id>"
CALLS = {
    "logged-models": {
        "POST": Call(
            create,
            {
                "experiment_id": required(text),
                "name": optional(text),
                "model_type": optional(text),
                "source_run_id": optional(text),
                "params": PAIRS,
                "tags": TAGS,
            },
        )
    },
    ONE: {
        "GET": Call(get, {"allow_deleted": optional(text, "false")}),
        "PATCH": Call(finalize, {"status": required(one_of(STATUSES))}),
        "DELETE": Call(delete),
    },
    f"{ONE}/params": {"POST": Call(log_parameters, {"params": PAIRS})},
    f"{ONE}/tags": {"PATCH": Call(set_tags, {"tags": TAGS})},
    f"{ONE}/tags/<path:tag_key>": {"DELETE": Call(delete_tag)},
    f"{ONE}/artifacts/directories": {
        "GET": Call(list_artifacts, {"artifact_directory_path": optional(text)})
    },
    f"{ONE}/artifacts/files": {"GET": Call(download, takes_request=True)},
}
