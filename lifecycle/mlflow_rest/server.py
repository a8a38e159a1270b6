"""What MLflow's clients ask of a server before anybody signs in: whether it is there, and what it can do."""

from functools import cache
from importlib.metadata import version

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

# MLflow 3 asks for these, and turns to other ways for what is not there. Nothing in it is anybody's secret.
CAPABILITIES = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": False,
    "multipart_downloads_enabled": False,
    "presigned_upload_run_id_supported": False,
    "presigned_upload_model_id_supported": False,
    "features_enabled": {"gateway": False},
}


@cache
def spoken_version() -> str:
    """The release of MLflow whose protocol this is: that of the client installed here, without importing it."""
    return version("mlflow-skinny")


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """The process answers, in MLflow's word."""
    return HttpResponse("OK", content_type="text/plain")


@csrf_exempt
@require_safe
def spoken(request: HttpRequest) -> HttpResponse:
    return HttpResponse(spoken_version(), content_type="text/plain")


@csrf_exempt
@require_safe
def info(request: HttpRequest) -> JsonResponse:
    return JsonResponse(CAPABILITIES)
