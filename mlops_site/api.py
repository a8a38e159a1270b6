"""The REST router on one screen."""

from django.urls import include, path

from core.api.alerts import AlertViewSet
from core.api.audit import AuditEventViewSet
from core.api.tokens import TokenViewSet
from core.api.views import Router

core = Router()
core.register("alerts", AlertViewSet, basename="alert")
core.register("audit-events", AuditEventViewSet, basename="audit-event")
core.register("tokens", TokenViewSet, basename="token")

urlpatterns = [
    path("", include(core.urls)),
    path("ml/lifecycle/", include("serving.urls")),
    path("ml/lifecycle/", include("lifecycle.urls")),
]
