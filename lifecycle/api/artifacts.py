"""/runs/{run_id}/artifacts: list, download and upload a run's files."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from core.api.views import Response
from core.bodies import body_chunks, body_length
from core.errors import Invalid
from core.translation import gettext
from lifecycle.api.base import OfRun, Paged
from lifecycle.api.digests import DIGESTS, HEXADECIMAL, declared_sha256
from lifecycle.api.serializers.runs import ArtifactSerializer
from lifecycle.models import Artifact
from lifecycle.operations import artifacts
from lifecycle.operations.uploads import upload


class AnyMedia(BaseParser):
    """Takes every media type, and is never asked to parse: uploads read the raw body."""

    media_type = "*/*"


class FolderQuery(Paged):
    """Which folder; its own is the run's root."""

    path = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")


class FolderEntrySerializer(serializers.Serializer):
    """A file or a folder. `files` is a folder's; `uri`, `artifact_type` and `sha256` are a file's."""

    name = serializers.CharField()
    path = serializers.CharField()
    is_folder = serializers.BooleanField()
    size_bytes = serializers.IntegerField()
    files = serializers.IntegerField(required=False)
    uri = serializers.CharField(required=False)
    artifact_type = serializers.CharField(required=False)
    sha256 = serializers.CharField(required=False)


BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}
# A file may be JSON, and then is no string.
FILE = {"description": "The file's content, of the media type that its name tells."}
ETAG = OpenApiParameter(
    "ETag", str, OpenApiParameter.HEADER, response=[200, 304], description="The file's SHA-256."
)
DOWNLOAD: dict[str, Any] = {
    "parameters": [
        OpenApiParameter(
            "If-None-Match", str, OpenApiParameter.HEADER, description="The ETag of the copy at hand."
        ),
        ETAG,
    ],
    "responses": {
        (200, "*/*"): OpenApiResponse(FILE, description="The file."),
        304: OpenApiResponse(description="The copy at hand is still good."),
    },
}
UPLOAD: dict[str, Any] = {
    "parameters": [
        *(
            OpenApiParameter(
                name,
                str,
                OpenApiParameter.HEADER,
                pattern="sha-256=:[A-Za-z0-9+/]{43}=:",
                description="The file's hash (RFC 9530). Content that differs is refused, and nothing of it is kept.",
            )
            for name in DIGESTS
        ),
        OpenApiParameter(
            HEXADECIMAL,
            str,
            OpenApiParameter.HEADER,
            pattern="^[0-9a-fA-F]{64}$",
            description="The same in hexadecimal digits.",
        ),
    ],
    "request": {"application/octet-stream": BYTES},
    "responses": {
        200: OpenApiResponse(ArtifactSerializer, description="Replaced."),
        201: OpenApiResponse(ArtifactSerializer, description="Made."),
    },
}


class ArtifactViewSet(OfRun):
    """The files of a run. A GET of the list shows one folder (`?path=`); a PUT sends a file's raw bytes.

    An upload may say its hash, in `Content-Digest` or `Repr-Digest` (`sha-256=:<Base64>:`, RFC 9530) or in
    `X-Content-SHA256` (hexadecimal); content that differs is refused, and nothing of it is kept.
    """

    noun, plural, tag = _("artifact"), _("artifacts"), "Runs"
    serializer_class = ArtifactSerializer
    queries = {"list": FolderQuery}
    uploads_to = "run-artifact-api-detail"
    answers = {"list": FolderEntrySerializer}
    parser_classes = [AnyMedia]
    reads_raw_body = True
    lookup_field = "path"
    lookup_value_regex = "(?s:.+?)"

    def row_url(self, row: dict[str, Any]) -> str | None:
        if row["is_folder"]:
            return f"?{urlencode({'path': row['path']})}"
        return super().row_url(row)

    def row_label(self, row: dict[str, Any]) -> str:
        return f"{row['name']}/" if row["is_folder"] else row["name"]

    def get_queryset(self) -> QuerySet[Artifact]:
        return self.run.artifacts.select_related("run")

    def list(self, request: Request, run_id: str) -> Response:
        """List a folder of a run's files.

        Files and folders; a folder says how many files are below it, and their size.
        """
        folder = self.parameters()["path"]
        run = self.run
        page = list(self.paginate_queryset(artifacts.list_folder(owner=run, folder=folder)))
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

    @extend_schema(operation_id="download_artifact", **DOWNLOAD)
    def retrieve(self, request: Request, run_id: str, path: str) -> HttpResponseBase:
        """Download a file of a run.

        The bytes as they were uploaded, with their media type. `If-None-Match` with the `ETag` of a copy is answered
        304 without a body when the copy is still good.
        """
        artifact = artifacts.find_artifact(owner=self.run, path=path)
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

    @extend_schema(operation_id="upload_artifact", **UPLOAD)
    def update(self, request: Request, run_id: str, path: str) -> Response:
        """Upload a file of a run.

        The body is the file, of any media type, and is streamed. A file that is there is replaced; an approval of a
        version that holds it becomes void.
        """
        if "Content-Range" in request.headers:
            raise Invalid(gettext("A file is uploaded whole: leave Content-Range out."))
        artifact, created = upload(
            actor=request.user,
            owner=self.run,
            path=path,
            chunks=body_chunks(request._request),
            size_bytes=body_length(request._request),
            sha256=declared_sha256(request.headers),
        )
        code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
        return Response(self.get_serializer(artifact).data, status=code)
