"""What MLflow's clients name as a new version's source, found among what is kept here.

Nothing is fetched for it: files that lie anywhere else are no version's, however they are named.
"""

import re
from typing import Any

from core.errors import NotFound
from core.models import User
from core.translation import gettext as _
from lifecycle.mlflow_rest import prompts
from lifecycle.mlflow_rest.artifacts import PLACE
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.runs import checked_length
from lifecycle.models import ModelVersion, Run
from lifecycle.operations.logged_models import find_logged_model
from lifecycle.operations.registry import find_version

MAX_SOURCE = 1000
LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})")
OF_A_MODEL = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)", re.DOTALL)
PROXY = re.compile(r"mlflow-artifacts:/(?P<place>[^/].*)", re.DOTALL)


def found(actor: User, source: str, run_id: str | None, model_id: str | None) -> dict[str, Any]:
    """What `register_version` is told: mlflow_source, and run_id with artifact_path or logged_model_id.

    As in MLflow, the request has to say too what run or logged model the source is of. Raises InvalidParameter for
    every other source.
    """
    checked_length("source", source, MAX_SOURCE)
    if match := OF_A_MODEL.fullmatch(source):
        return _of_version(actor, source, match, run_id, model_id)
    origin = _of_logged_model(actor, source, run_id, model_id) if model_id else _of_run(actor, source, run_id)
    if origin is None:
        raise _unknown(source)
    return {"mlflow_source": source, **origin}


def _of_logged_model(actor: User, source: str, run_id: str | None, model_id: str) -> dict[str, Any] | None:
    named = LOGGED_MODEL.fullmatch(source)
    place = _place(source)
    if (named[1] if named else place and not place["path"] and place["model"]) != model_id:
        return None
    try:
        model = find_logged_model(actor, model_id)
    except NotFound as error:
        raise _unknown(source) from error
    if place and model.experiment_id != int(place["experiment"]):
        return None
    if run_id and (model.source_run is None or model.source_run.run_id != run_id):
        raise InvalidParameter(
            _("Run %(run_id)s did not log %(model_id)s.") % {"run_id": run_id, "model_id": model_id}
        )
    return {"logged_model_id": model_id}


def _of_run(actor: User, source: str, run_id: str | None) -> dict[str, Any] | None:
    place = _place(source)
    match = place or RUN.fullmatch(source)
    if not run_id or match is None or match["run"] != run_id or not match["path"]:
        return None
    of_run = Run.objects.visible_to(actor).filter(run_id=run_id)
    if place and not of_run.filter(experiment=int(place["experiment"])).exists():
        return None
    return {"run_id": run_id, "artifact_path": match["path"]}


def _place(source: str) -> re.Match[str] | None:
    proxied = PROXY.fullmatch(source)
    return PLACE.fullmatch(proxied["place"]) if proxied else None


def _of_version(
    actor: User, source: str, match: re.Match[str], run_id: str | None, model_id: str | None
) -> dict[str, Any]:
    """A version made of what another one is made of."""
    if prompts.is_named(match["name"]):
        raise _unknown(source)
    try:
        version = find_version(actor, match["name"], match["version"] or f"@{match['alias']}")
    except NotFound as error:
        raise (_unknown(source) if match["alias"] else error) from error
    told_run = version.run.run_id if version.run else ""
    told_model = version.logged_model.model_id if version.logged_model else ""
    if (run_id is not None and run_id != told_run) or (model_id is not None and model_id != told_model):
        raise InvalidParameter(
            _("“run_id” and “model_id” are not those of %(version)s.") % {"version": version}
        )
    return {"mlflow_source": f"models:/{version.model.name}/{version.version}", **_files_of(version)}


def _files_of(version: ModelVersion) -> dict[str, str]:
    if version.logged_model:
        return {"logged_model_id": version.logged_model.model_id}
    return {"run_id": version.run.run_id, "artifact_path": version.artifact_path}


def _unknown(source: str) -> InvalidParameter:
    return InvalidParameter(
        _(
            "Invalid source “%(source)s”. Log the model to this server, and name it with the run_id of its run "
            "(runs:/<run id>/<path>) or with its model_id (models:/<model id>)."
        )
        % {"source": source[:200]}
    )
