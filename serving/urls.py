"""The prediction path, mounted under /api/v1/ml/lifecycle/."""

from django.urls import path

from serving.api.invocations import invocations

INVOCATIONS = "serve/<str:model_name>/<str:environment>/invocations"

urlpatterns = [
    path(INVOCATIONS, invocations, name="invocations"),
    path(f"{INVOCATIONS}/", invocations),
]
