"""The API's documents: the OpenAPI schema, and two pages that show it.

For everybody who is signed in, as all else but the probes: what an installation offers is nobody else's business.
"""

from functools import cache
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class YamlRenderer(OpenApiYamlRenderer):
    media_type = "application/yaml"


class SchemaView(APIView):
    """The OpenAPI schema as JSON, or with `Accept: application/yaml` or `?format=yaml` as YAML."""

    renderer_classes = [JSONRenderer, YamlRenderer, OpenApiYamlRenderer, OpenApiJsonRenderer2]
    schema = None

    def get(self, request: Request) -> Response:
        return Response(openapi_schema())


@cache
def openapi_schema() -> dict[str, Any]:
    """The schema, in English whoever asks first; it changes only with the code."""
    with translation.override("en"):
        return SchemaGenerator().get_schema(public=True)


@require_safe
@login_required
def swagger(request: HttpRequest) -> HttpResponse:
    """Swagger UI, which sends requests with the session of whoever looks."""
    return render(request, "core/swagger.html")


@require_safe
@login_required
def redoc(request: HttpRequest) -> HttpResponse:
    """ReDoc, for reading."""
    return render(request, "core/redoc.html")
