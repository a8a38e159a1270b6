"""The paths of MLflow's protocol: those of its clients, and the same ones for pages in a browser."""

import re

from django.urls import path, re_path

from lifecycle.mlflow_rest import (
    artifacts,
    experiments,
    logged_model_search,
    logged_models,
    metrics,
    model_versions,
    registered_models,
    registry_search,
    run_logging,
    run_search,
    runs,
    server,
)
from lifecycle.mlflow_rest.calls import View

AREAS = (
    experiments,
    runs,
    run_logging,
    run_search,
    metrics,
    artifacts,
    logged_model_search,
    logged_models,
    registered_models,
    model_versions,
    registry_search,
)
PREFIXES = {"mlflow": "api/2.0", "mlflow-ajax": "ajax-api/2.0"}
CALLS = {address: calls for area in AREAS for address, calls in area.CALLS.items()}
# A path is taken whole, whatever it holds: what cannot be a file's is refused in words.
FILE = "(?P<path>(?s:.+))"
PLACE = re.compile(r"<\w+:(\w+)>")


def _named(name: str, address: str) -> str:
    plain = PLACE.sub(r"\1", address)
    return f"{name}-{plain.replace('/', '-')}"


urlpatterns = [
    path("health", server.health, name="mlflow-health"),
    path("version", server.spoken, name="mlflow-version"),
    path("api/3.0/mlflow/server-info", server.info, name="mlflow-server-info"),
    path("ajax-api/3.0/mlflow/server-info", server.info, name="mlflow-ajax-server-info"),
    *(
        path(f"{prefix}/mlflow/{address}", View(calls), name=_named(name, address))
        for name, prefix in PREFIXES.items()
        for address, calls in CALLS.items()
    ),
    *(
        path(f"{prefix}/mlflow-artifacts/{address}", View(calls), name=_named(f"{name}-proxy", address))
        for name, prefix in PREFIXES.items()
        for address, calls in artifacts.PROXY_CALLS.items()
    ),
    *(
        re_path(
            f"^{prefix}/mlflow-artifacts/{address}/{FILE}$", View(calls), name=_named(f"{name}-file", address)
        )
        for name, prefix in PREFIXES.items()
        for address, calls in artifacts.FILE_CALLS.items()
    ),
]
