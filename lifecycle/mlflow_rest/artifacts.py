"""Files of runs and of logged models: artifacts/list, and the proxy by which MLflow's clients read and write them.

A client is told to look at `mlflow-artifacts:/<experiment>/<run>/artifacts`, or at
`mlflow-artifacts:/<experiment>/models/<model>/artifacts` for a logged model, which is this proxy: bytes go through
here, under the roles of this platform, wherever they are kept.
"""

import re
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse

from core.bodies import body_chunks, body_length
from core.errors import NotFound
from core.models import User
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.artifact_store.paths import check_artifact_path
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter, NotImplementedHere
from lifecycle.mlflow_rest.messages import integer, optional, required, text
from lifecycle.mlflow_rest.run_messages import artifact_uri
from lifecycle.mlflow_rest.runs import BY_ID, find
from lifecycle.models import Artifact
from lifecycle.models.artifacts import FileOwner
from lifecycle.operations import artifact_removal, artifacts
from lifecycle.operations.logged_models import find_logged_model
from lifecycle.operations.uploads import upload

PLACE = re.compile(
    r"(?P<experiment>\d{1,18})/(?:models/(?P<model>[^/]+)|(?P<run>[^/]+))/artifacts(?:/(?P<path>.+))?",
    re.DOTALL,
)


def list_of_run(actor: User, *, run_id: str, path: str) -> dict[str, Any]:
    """One folder, with paths from the run's root."""
    run, folder = find(actor, run_id), path.removesuffix("/")
    return {"root_uri": artifact_uri(run)} | listed(run, folder, f"{folder}/" if folder else "")


def list_place(actor: User, *, path: str) -> dict[str, Any]:
    """One folder, with names only. As in MLflow, a place where nothing is has none."""
    try:
        owner, folder = _find_place(actor, path.removesuffix("/"))
    except NotFound:
        return {}
    return listed(owner, folder, "")


def listed(owner: FileOwner, folder: str, start: str) -> dict[str, Any]:
    """What lies in a folder, each path beginning with `start`."""
    try:
        entries = list(artifacts.list_folder(owner=owner, folder=folder))
    except NotFound:
        return {}
    files = [
        {"path": start + entry["entry"], "is_dir": entry["is_folder"]}
        # As in MLflow, an empty file has no size.
        | ({"file_size": entry["size"]} if entry["size"] and not entry["is_folder"] else {})
        for entry in entries
    ]
    return {"files": sorted(files, key=lambda file: file["path"])} if files else {}


def download(actor: User, request: HttpRequest, *, path: str) -> FileResponse:
    owner, inside = _find_place(actor, path)
    return file_response(artifacts.find_artifact(owner=owner, path=inside))


def file_response(file: Artifact) -> FileResponse:
    # Whatever the file is, a browser saves it and runs nothing in it.
    return FileResponse(
        artifacts.open_artifact(file),
        as_attachment=True,
        filename=file.name,
        content_type=file.artifact_type,
        headers={"Content-Length": str(file.size_bytes), "X-Content-Type-Options": "nosniff"},
    )


def put(actor: User, request: HttpRequest, *, path: str) -> HttpResponse:
    owner, inside = _find_place(actor, path)
    if "Content-Range" in request.headers:
        raise InvalidParameter(_("A file is uploaded whole: leave Content-Range out."))
    if owner.deleted_at is not None:
        raise InvalidParameter(_("What “%(path)s” belongs to is deleted.") % {"path": path})
    upload(
        actor=actor,
        owner=owner,
        path=inside,
        chunks=body_chunks(request),
        size_bytes=body_length(request),
    )
    return HttpResponse(content_type="application/json")


def delete(actor: User, request: HttpRequest, *, path: str) -> dict[str, Any]:
    """As in MLflow, it is done when nothing is there."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    try:
        owner, inside = _find_place(actor, path)
        artifact_removal.remove_files(actor=actor, owner=owner, path=inside)
    except NotFound:
        pass
    return {}


def _find_place(actor: User, path: str) -> tuple[FileOwner, str]:
    """The run or logged model, and the path inside it, "" for its root. Raises Invalid for a path that no file can
    have, NotFound where no files can be.
    """
    place = PLACE.fullmatch(path)
    inside = (place["path"] or "") if place else path
    if inside:
        check_artifact_path(inside)
    owner = _find_owner(actor, place) if place else None
    if place is None or owner is None or owner.experiment_id != int(place["experiment"]):
        raise NotFound(
            _("Files are kept under <experiment>/<run>/artifacts and <experiment>/models/<model>/artifacts.")
        )
    return owner, inside


def _find_owner(actor: User, place: re.Match[str]) -> FileOwner:
    if place["model"]:
        return find_logged_model(actor, place["model"], deleted=True)
    return find(actor, place["run"])


def in_parts(actor: User, request: HttpRequest, *, path: str) -> dict[str, Any]:
    raise NotImplementedHere(_("Files are not uploaded in parts here: send the file whole."))


def by_signed_address(actor: User, request: HttpRequest, *, path: str) -> dict[str, Any]:
    raise NotImplementedHere(_("Files have no signed addresses here: they go through this server."))


def presign(actor: User, **_told: Any) -> dict[str, Any]:
    """MLflow's answer where, as here, files go through the server."""
    raise InvalidParameter(_("Files have no signed addresses here: they go through this server."))


PRESIGNED = {"path": required(text), "expiration": optional(integer, None)}
CALLS = {
    "artifacts/list": {"GET": Call(list_of_run, BY_ID | {"path": optional(text)})},
    "artifacts/presigned-upload-url": {"POST": Call(presign, PRESIGNED)},
    "artifacts/presigned-download-url": {"POST": Call(presign, PRESIGNED)},
}
PROXY_CALLS = {
    "artifacts": {"GET": Call(list_place, {"path": optional(text)})},
}
FILE_CALLS = {
    "artifacts": {
        "GET": Call(download, takes_request=True),
        "PUT": Call(put, takes_request=True),
        "DELETE": Call(delete, takes_request=True),
    },
    "mpu/create": {"POST": Call(in_parts, takes_request=True)},
    "mpu/complete": {"POST": Call(in_parts, takes_request=True)},
    "mpu/abort": {"POST": Call(in_parts, takes_request=True)},
    "presigned": {"GET": Call(by_signed_address, takes_request=True)},
}
