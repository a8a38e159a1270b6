"""Read the files of runs and of logged models: list, open, and fetch a model version's to be served. `uploads` writes
them.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from django.db.models import BooleanField, Case, Count, F, QuerySet, Sum, Value, When
from django.db.models.functions import Left, StrIndex, Substr

from core.errors import Conflict, NotFound
from core.lookups import one_or_none
from core.translation import gettext as _
from lifecycle.artifact_store import CHUNK_BYTES, artifact_store
from lifecycle.artifact_store.paths import check_artifact_path, path_in
from lifecycle.models import Artifact, ModelVersion
from lifecycle.models.artifacts import FileOwner
from lifecycle.operations.model_files import content_sha256


def find_artifact(*, owner: FileOwner, path: str) -> Artifact:
    """The file of that path. Raises Invalid for a path no file can have, NotFound when there is none."""
    artifact = one_or_none(owner.artifacts.filter(path=check_artifact_path(path)))
    if artifact is None:
        raise NotFound(_("There is no file “%(path)s”.") % {"path": path})
    return artifact


def open_artifact(artifact: Artifact) -> BinaryIO:
    """The file's bytes as a stream; the caller closes it. Raises NotFound when the store has lost them."""
    return artifact_store().open(artifact.storage_key)


def list_folder(*, owner: FileOwner, folder: str = "") -> QuerySet:
    """What lies directly in a folder, folders first: rows of `entry` (the name), `is_folder`,
    `files` (how many inside) and `size` (bytes). Raises Invalid for a path no folder can have, NotFound when
    nothing is in it.
    """
    files = owner.artifacts.under(check_artifact_path(folder) if folder else "")
    if folder and not files.exists():
        raise NotFound(_("There is no folder “%(path)s”.") % {"path": folder})
    inside = Substr("path", len(folder) + 2 if folder else 1)
    return (
        files.annotate(inside=inside, slash=StrIndex(inside, Value("/")))
        .annotate(
            is_folder=Case(When(slash__gt=0, then=True), default=False, output_field=BooleanField()),
            entry=Case(When(slash__gt=0, then=Left("inside", F("slash") - 1)), default=F("inside")),
        )
        .order_by()
        .values("entry", "is_folder")
        .annotate(files=Count("pk"), size=Sum("size_bytes"))
        .order_by("-is_folder", "entry")
    )


def model_files(owner: FileOwner, artifact_path: str) -> list[Artifact]:
    """The files that make up a model, ordered by path."""
    return list(owner.artifacts.under(artifact_path).order_by("path"))


def fetch_model(version: ModelVersion, destination: Path) -> None:
    """Copy a version's files into the new directory `destination`, each checked against its SHA-256.

    Raises Conflict when they are not the files that were registered: changed, or lost by the store.
    """
    files = model_files(version.file_owner, version.artifact_path)
    if content_sha256(files, version.artifact_path) != version.content_sha256:
        raise Conflict(_("The files of %(version)s are not those registered.") % {"version": version})
    destination.mkdir(parents=True, exist_ok=True)
    for file in files:
        _fetch(file, destination / check_artifact_path(path_in(version.artifact_path, file.path)))


def _fetch(file: Artifact, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        source = open_artifact(file)
    except NotFound as error:
        raise Conflict(_("The artifact store has lost “%(path)s”.") % {"path": file.path}) from error
    with source, target.open("xb") as copy:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != file.sha256:
        raise Conflict(
            _("“%(path)s” changed in the artifact store: its SHA-256 differs.") % {"path": file.path}
        )
