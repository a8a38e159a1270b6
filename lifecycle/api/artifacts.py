"""/runs/{run_id}/artifacts: list, download and upload a run's files."""

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from rest_framework import serializers, status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core.api.bodies import body_chunks, body_length
from core.api.views import Response
from lifecycle.api.base import OfRun, Paged
from lifecycle.api.serializers.runs import ArtifactSerializer
from lifecycle.models import Artifact
from lifecycle.operations import artifacts
from lifecycle.operations.uploads import upload

SHA256_HEADER = "X-Content-SHA256"


class AnyMedia(BaseParser):
    """Takes every media type, and is never asked to parse: uploads read the raw body."""

    media_type = "*/*"


class FolderQuery(Paged):
    path = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")


class ArtifactViewSet(OfRun):
    """The files of a run. A GET of the list shows one folder (`?path=`); a PUT sends a file's raw bytes.

    An upload may say its hash in `X-Content-SHA256`; content that differs is refused, and nothing of it is
    kept.
    """

    serializer_class = ArtifactSerializer
    parser_classes = [AnyMedia]
    reads_raw_body = True
    lookup_field = "path"
    lookup_value_regex = "(?s:.+?)"

    def get_queryset(self) -> QuerySet[Artifact]:
        return self.run.artifacts.select_related("run")

    def list(self, request: Request, run_id: str) -> Response:
        run = self.run
        folder = self.parameters(FolderQuery)["path"]
        page = list(self.paginate_queryset(artifacts.list_folder(run=run, folder=folder)))
        start = f"{folder}/" if folder else ""
        paths = [start + entry["entry"] for entry in page if not entry["is_folder"]]
        files = {file.path: file for file in run.artifacts.select_related("run").filter(path__in=paths)}
        return self.get_paginated_response(
            [self._entry(start + entry["entry"], entry, files) for entry in page]
        )

    def _entry(self, path: str, entry: dict[str, Any], files: dict[str, Artifact]) -> dict[str, Any]:
        if entry["is_folder"]:
            folder = {"name": entry["entry"], "path": path, "is_folder": True}
            return {**folder, "files": entry["files"], "size_bytes": entry["size"]}
        return {**self.get_serializer(files[path]).data, "is_folder": False}

    def retrieve(self, request: Request, run_id: str, path: str) -> HttpResponseBase:
        artifact = artifacts.find_artifact(run=self.run, path=path)
        etag = quote_etag(artifact.sha256)
        # Whatever the file is, the browser saves it and runs nothing in it.
        response = get_conditional_response(request._request, etag=etag) or FileResponse(
            artifacts.open_artifact(artifact),
            as_attachment=True,
            filename=artifact.name,
            content_type=artifact.artifact_type,
            headers={"Content-Length": str(artifact.size_bytes), "X-Content-Type-Options": "nosniff"},
        )
        response.headers["ETag"] = etag
        return response

    def update(self, request: Request, run_id: str, path: str) -> Response:
        artifact, created = upload(
            actor=request.user,
            run=self.run,
            path=path,
            chunks=body_chunks(request._request),
            size_bytes=body_length(request._request),
            sha256=request.headers[SHA256_HEADER].lower() if SHA256_HEADER in request.headers else None,
        )
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response(self.get_serializer(artifact).data, status=code)
