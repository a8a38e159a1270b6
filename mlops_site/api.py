"""The REST router on one screen."""

import inspect
from collections.abc import Iterator
from typing import Any

from django.urls import include, path, reverse
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from core.api.alerts import AlertViewSet
from core.api.audit import AuditEventViewSet
from core.api.tokens import TokenViewSet
from core.api.views import Resource, Response, Router
from lifecycle.urls import router as lifecycle

core = Router()
core.register("alerts", AlertViewSet, basename="alert")
core.register("audit-events", AuditEventViewSet, basename="audit-event")
core.register("tokens", TokenViewSet, basename="token")


class EndpointSerializer(serializers.Serializer):
    name = serializers.CharField()
    group = serializers.CharField(help_text="As the API documents group it.")
    url = serializers.CharField()
    description = serializers.CharField()


class IndexSerializer(serializers.Serializer):
    endpoints = EndpointSerializer(many=True)
    documents = serializers.DictField(child=serializers.CharField())


class IndexViewSet(Resource):
    """Every list of the API, and the documents that say more."""

    noun, plural, tag = _("API"), _("API"), "Index"
    domain = None
    serializer_class = IndexSerializer

    def retrieve(self, request: Request) -> Response:
        """Show where everything is."""
        endpoints = [
            {
                "name": viewset(suffix="List", detail=False).get_view_name(),
                "group": viewset.tag,
                "url": request.build_absolute_uri(reverse(f"{basename}-list")),
                "description": inspect.cleandoc(viewset.__doc__).partition("\n")[0],
            }
            for router in (lifecycle, core)
            for prefix, viewset, basename in router.registry
            if "(?P" not in prefix
        ]
        documents = {
            name: request.build_absolute_uri(reverse(f"api-{name}")) for name in ("schema", "docs", "redoc")
        }
        return Response(IndexSerializer({"endpoints": endpoints, "documents": documents}).data)

    def entries(self, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for endpoint in data["endpoints"]:
            yield endpoint["name"], endpoint["url"]


index = IndexViewSet.as_view({"get": "retrieve"}, detail=True)

urlpatterns: list[Any] = [
    path("", index, name="api-root"),
    path("", include(core.urls)),
    path("ml/lifecycle/", include("serving.urls")),
    path("ml/lifecycle/", include("lifecycle.urls")),
]
