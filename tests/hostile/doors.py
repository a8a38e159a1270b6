"""Every address of the site, and every REST endpoint that takes a JSON body, each with a body that fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from core.models import User
from lifecycle.endpoint_config import build
from lifecycle.models import Deployment
from tests.everything import Everything, make_everything
from tests.factories import make_deployment, make_user

API = "/api/v1"
LIFECYCLE = f"{API}/ml/lifecycle"
TAKES_A_BODY = {"post", "put", "patch"}
# An upload's body is a file and no JSON; a prediction's is the model's.
OTHER_BODIES = {"run-artifact-api-detail", "invocations"}


@dataclass
class World(Everything):
    """One of each noun, and an admin who is signed in with a browser."""

    admin: User
    client: Client
    external: Deployment

    @property
    def version_path(self) -> str:
        return f"{LIFECYCLE}/models/{self.version.model.name}/1"


def make_world() -> World:
    admin = make_user("admin")
    client = Client(raise_request_exception=False)
    client.force_login(admin)
    return World(
        **vars(make_everything()),
        admin=admin,
        client=client,
        external=make_deployment(
            status="active",
            environment="staging",
            is_external=True,
            endpoint_config=build({"backend": "external"}).as_json(),
            external_endpoint="https://models.example.com/x",
        ),
    )


@dataclass(frozen=True)
class Door:
    route: str
    method: str
    path: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


def doors(world: World) -> list[Door]:
    run, version = f"{LIFECYCLE}/runs/{world.run.run_id}", world.version_path
    item = world.version.checklist.first()
    point = {
        "metric_name": "auc",
        "value": 0.5,
        "dataset": "test",
        "step": 1,
        "timestamp": "2026-01-01T00:00:00Z",
    }
    parameter = {"name": "alpha", "value": "1"}
    config = {"backend": "local", "instances": 1, "instance_type": "small", "slo_p95_ms": 5.0}
    scaled = {"auto_scaling": True, "min_instances": 1, "max_instances": 2, "slo_error_rate": 0.5}
    described = {"name": "a", "status": "running", "tags": {"a": "b"}, "notes": "n", "dataset_name": "d"}
    logged = {"parameters": [parameter], "metrics": [point], "dataset_version": "1"}
    return [
        Door("alert-acknowledge", "post", f"{API}/alerts/{world.alert.pk}/acknowledge", {"note": "seen"}),
        Door(
            "token-list",
            "post",
            f"{API}/tokens",
            {
                "name": "ci",
                "user": world.admin.username,
                "read_only": True,
                "domain": "lifecycle",
                "expires_at": "2099-01-01T00:00:00Z",
            },
        ),
        Door("token-revoke", "post", f"{API}/tokens/{world.token.pk}/revoke", {}),
        Door(
            "experiment-api-list",
            "post",
            f"{LIFECYCLE}/experiments",
            {"name": "new", "description": "d", "tags": {"a": "b"}, "metadata": {"a": [1]}},
        ),
        Door(
            "experiment-api-detail",
            "patch",
            f"{LIFECYCLE}/experiments/{world.experiment.pk}",
            {"name": "renamed", "description": "d", "tags": {"a": "b"}, "metadata": {"a": [1]}},
        ),
        Door("experiment-api-restore", "post", f"{LIFECYCLE}/experiments/{world.experiment.pk}/restore", {}),
        Door(
            "run-api-list",
            "post",
            f"{LIFECYCLE}/runs",
            {"experiment_name": world.experiment.name, "started_at": "2026-01-01T00:00:00Z"}
            | described
            | logged,
        ),
        Door(
            "run-api-detail",
            "patch",
            run,
            described | logged | {"status": "completed", "completed_at": "2099-01-01T00:00:00Z"},
        ),
        Door("run-api-restore", "post", f"{run}/restore", {}),
        Door(
            "run-api-compare",
            "post",
            f"{LIFECYCLE}/runs/compare",
            {
                "run_ids": [world.run.run_id, world.other_run.run_id],
                "metric_names": ["auc"],
                "max_points": 10,
            },
        ),
        Door("run-metric-api-list", "post", f"{run}/metrics", {"metrics": [point]}),
        Door(
            "run-log-api-list",
            "post",
            f"{run}/logs",
            {"lines": [{"message": "m", "level": "info", "at": "2026-01-01T00:00:00Z"}]},
        ),
        Door(
            "deployment-api-list",
            "post",
            f"{LIFECYCLE}/deployments",
            {
                "model_name": world.version.model.name,
                "version": "1",
                "environment": "development",
                "endpoint_config": config,
                "deployment_notes": "n",
            },
        ),
        Door(
            "deployment-api-detail",
            "patch",
            f"{LIFECYCLE}/deployments/{world.deployment.pk}",
            {"endpoint_config": scaled, "deployment_notes": "n"},
        ),
        Door(
            "deployment-api-detail",
            "patch",
            f"{LIFECYCLE}/deployments/{world.external.pk}",
            {
                "reason": "r",
                "health_status": "healthy",
                "metrics": {"request_count": 1, "error_count": 0, "error_rate": 0.0, "p95_latency_ms": 1.0},
            },
        ),
        Door(
            "deployment-api-rollback",
            "post",
            f"{LIFECYCLE}/deployments/{world.deployment.pk}/rollback",
            {"reason": "r"},
        ),
        Door(
            "model-list-api-list",
            "post",
            f"{LIFECYCLE}/models",
            {
                "model_name": "new-model",
                "run_id": world.run.run_id,
                "artifact_path": "model",
                "version_label": "v1.0",
                "description": "d",
                "tags": {"a": "b"},
                "metrics": {"auc": 0.5},
            },
        ),
        Door(
            "model-alias-api-detail",
            "put",
            f"{LIFECYCLE}/models/{world.version.model.name}/aliases/champion",
            {"version": "1"},
        ),
        Door(
            "model-version-api-compare",
            "post",
            f"{LIFECYCLE}/models/{world.version.model.name}/compare",
            {"versions": ["1", "2"]},
        ),
        Door(
            "model-version-api-detail",
            "patch",
            version,
            {
                "stage": "experimental",
                "approval_checklist": [{"id": item.pk, "status": "pending", "note": "n"}],
                "version_label": "v1",
                "description": "d",
                "tags": {"a": "b"},
                "rollback_notes": "n",
            },
        ),
        Door("model-version-api-append-to-checklist", "post", f"{version}/checklist", {"name": "item"}),
        Door(
            "model-version-api-tick",
            "patch",
            f"{version}/checklist/{item.pk}",
            {"status": "pending", "note": "n"},
        ),
        Door(
            "model-version-api-approve",
            "post",
            f"{version}/approve",
            {"approval_notes": "n", "content_sha256": world.version.content_sha256},
        ),
        Door("model-version-api-reject", "post", f"{version}/reject", {"reason": "r"}),
        Door("model-version-api-archive", "post", f"{version}/archive", {"reason": "r"}),
        Door(
            "model-version-api-deploy",
            "post",
            f"{version}/deploy",
            {"environment": "development", "endpoint_config": scaled, "deployment_notes": "n"},
        ),
        Door(
            "code-allowance-api-list",
            "post",
            f"{LIFECYCLE}/code-allowances",
            {"model_name": world.version.model.name, "reason": "r"},
        ),
        Door(
            "code-allowance-api-list",
            "post",
            f"{LIFECYCLE}/code-allowances",
            {"uploader": world.admin.username, "reason": "r"},
        ),
        Door(
            "drift-event-api-list",
            "post",
            f"{LIFECYCLE}/drift-events",
            {
                "model_name": world.version.model.name,
                "version": "1",
                "severity": "high",
                "metric_name": "psi",
                "metric_value": 1.0,
                "threshold": 0.5,
                "message": "m",
                "remediation_action": "a",
                "detected_at": "2026-01-01T00:00:00Z",
            },
        ),
        Door(
            "drift-event-api-acknowledge",
            "post",
            f"{LIFECYCLE}/drift-events/{world.drift.pk}/acknowledge",
            {},
        ),
    ]


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Every address of the site, as its pattern is written."""
    yield from _routes(get_resolver().url_patterns, "/")


def _routes(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
        else:
            yield path, pattern


def body_routes() -> set[str]:
    """The names of all REST routes that take a JSON body."""
    return {
        str(pattern.name)
        for _path, pattern in routes()
        if TAKES_A_BODY & set(getattr(pattern.callback, "actions", None) or ())
    } - OTHER_BODIES


def row_counts() -> dict[str, int]:
    """How many rows every table has; what is refused changes none."""
    tables = [name for name in connection.introspection.table_names() if not name.startswith("django_")]
    query = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM \"{name}\"" for name in tables)
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())
