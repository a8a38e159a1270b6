"""How the admin's pages do with 100,000 rows in each table that grows.

    DATA_DIR=$(mktemp -d) python -m bench.admin [--rows 100000]

Writes into the database of the settings, which has to be new: give it a folder, or a `DATABASE_URL`, of its own. Run
again, it measures without writing. Asks for lists, searches, filters, far pages and details through Django's test
client, prints how long each took and how many queries it made, and fails if one made more than `MOST_QUERIES` or took
longer than `MOST_SECONDS`.
"""

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

import django

MOST_QUERIES = 12
MOST_SECONDS = 2.0
BATCH = 5000
TIMES = 3


def fill(rows: int) -> None:
    """Make `rows` of everything that grows by itself, and a hundred experiments and models they belong to."""
    from django.utils import timezone

    from core.models import AccessToken, Alert, AuditEvent, User
    from lifecycle.models import (
        Artifact,
        ChecklistItem,
        Deployment,
        DeploymentLogLine,
        DriftEvent,
        Experiment,
        MetricPoint,
        ModelVersion,
        RegisteredModel,
        Run,
        RunLogLine,
        RunMetric,
        RunParameter,
    )
    from serving.models import RequestLog, RequestSums

    now = timezone.now()

    def at(number: int) -> Any:
        return now - timedelta(seconds=number)

    def write(model: Any, make: Callable[[int], Any], number: int = rows) -> None:
        made: Iterator[Any] = (make(index) for index in range(number))
        while batch := list(islice(made, BATCH)):
            model.objects.bulk_create(batch)

    write(User, lambda n: User(username=f"user{n}", password="!"))
    users = list(User.objects.all()[:100])
    write(
        AccessToken,
        lambda n: AccessToken(user=users[n % 100], name=f"t{n}", digest=f"{n:064}", hint="mlops_"),
    )
    write(
        AuditEvent,
        lambda n: AuditEvent(
            at=at(rows - n), actor=users[n % 100], actor_name=f"user{n % 100}", action=f"noun{n % 40}.verb",
            domain="lifecycle", object_type="run", object_id=str(n), object_name=f"run {n}", via="api",
            changes={"status": ["running", "completed"]},
        ),
    )  # fmt: skip
    write(Experiment, lambda n: Experiment(name=f"experiment {n}", owner=users[n % 100]))
    experiments = list(Experiment.objects.all()[:100])
    write(
        Run,
        lambda n: Run(
            run_id=uuid.uuid4().hex, name=f"run {n}", experiment=experiments[n % 100], created_by=users[n % 100],
            status="completed",
        ),
    )  # fmt: skip
    runs = list(Run.objects.all()[:1000])
    model = RegisteredModel.objects.create(name="model", created_by=users[0])
    write(
        ModelVersion,
        lambda n: ModelVersion(
            model=model, version=n + 1, run=runs[n % 1000], artifact_path="model", content_sha256=f"{n:064}",
            created_by=users[n % 100],
        ),
    )  # fmt: skip
    versions = list(ModelVersion.objects.select_related("model")[:1000])
    write(
        Deployment,
        lambda n: Deployment(
            model=model, model_version=versions[n % 1000], environment="development", status="terminated",
            created_by=users[n % 100],
        ),
    )  # fmt: skip
    deployment = Deployment.objects.first()
    measured = {"value": 0.5, "timestamp": 0}
    write(ChecklistItem, lambda n: ChecklistItem(model_version=versions[n % 1000], name=f"item {n}"))
    write(
        DriftEvent,
        lambda n: DriftEvent(
            model_version=versions[n % 1000], detected_at=at(n), severity="low", metric_name="psi", metric_value=1,
            threshold=0.2,
        ),
    )  # fmt: skip
    write(Alert, lambda n: Alert(key=f"a{n}", domain="lifecycle", severity="low", title=f"alert {n}"))
    write(
        DeploymentLogLine, lambda n: DeploymentLogLine(deployment=deployment, at=at(n), message=f"line {n}")
    )
    write(MetricPoint, lambda n: MetricPoint(run=runs[n % 1000], name="loss", step=n, **measured))
    write(RunMetric, lambda n: RunMetric(run=runs[n % 1000], name=f"metric{n // 1000}", **measured))
    write(
        RunParameter, lambda n: RunParameter(run=runs[n % 1000], name=f"parameter{n // 1000}", value=str(n))
    )
    write(RunLogLine, lambda n: RunLogLine(run=runs[n % 1000], at=at(n), message=f"line {n}"))
    write(
        Artifact,
        lambda n: Artifact(
            run=runs[n % 1000], path=f"file{n}", size_bytes=n, sha256=f"{n:064}", storage_key=str(n)
        ),
    )
    write(
        RequestLog,
        lambda n: RequestLog(request_id=f"r{n}", deployment_id=1, at=at(n), status=200, latency_ms=1),
    )
    write(RequestSums, lambda n: RequestSums(deployment_id=n, span="minute", start=at(n), last_at=now))


SEARCHES = {
    "core.user": "user99999", "core.accesstoken": "t99999", "core.auditevent": "run 99999", "core.alert": "99999",
    "lifecycle.experiment": "experiment 99999", "lifecycle.run": "run 99999", "lifecycle.modelversion": "model",
    "lifecycle.deployment": "99999", "lifecycle.checklistitem": "99999", "lifecycle.driftevent": "psi",
    "lifecycle.deploymentlogline": "line 99999", "lifecycle.runmetric": "metric3",
    "lifecycle.runparameter": "parameter3", "lifecycle.runlogline": "line 99999", "lifecycle.artifact": "file99999",
    "serving.requestlog": "r99999",
}  # fmt: skip
FILTERS = {
    "core.user": "role=admin", "core.accesstoken": "user=user3", "core.auditevent": "action=noun3&actor=user3",
    "core.alert": "state=open", "lifecycle.experiment": "status=active&owner=user3",
    "lifecycle.run": "status=completed&owner=user3", "lifecycle.modelversion": "review=approved",
    "lifecycle.deployment": "status=active", "lifecycle.checklistitem": "status=approved",
    "lifecycle.driftevent": "state=open", "lifecycle.deploymentlogline": "deployment=1",
    "lifecycle.metricpoint": "name=loss", "lifecycle.runmetric": "dataset=none",
    "lifecycle.runlogline": "level=error", "serving.requestlog": "outcome=server",
    "serving.requestsums": "deployment=77",
}  # fmt: skip


def measure(rows: int) -> bool:
    """Ask for every page, print a line each; whether all kept the bounds."""
    from django.apps import apps
    from django.contrib.auth.models import Group
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    from core.models import User

    admin = User.objects.get_or_create(username="the-admin")[0]
    admin.groups.add(Group.objects.get_or_create(name="admin")[0])
    client = Client(raise_request_exception=True)
    client.force_login(admin)
    client.get("/admin/")
    kept = True
    for label in [*SEARCHES, "lifecycle.metricpoint", "serving.requestsums"]:
        model = apps.get_model(label)
        path = reverse(f"admin:{label.replace('.', '_')}_changelist")
        asked = {"list": path, "far page": f"{path}?p={rows // 50 - 1}"}
        if label in SEARCHES:
            asked["search"] = f"{path}?q={SEARCHES[label]}"
        if label in FILTERS:
            asked["filter"] = f"{path}?{FILTERS[label]}"
        asked["detail"] = f"{path}{model.objects.order_by('-pk').first().pk}/change/"
        for name, address in asked.items():
            spent = []
            for _ in range(TIMES):
                began = time.perf_counter()
                with CaptureQueriesContext(
                    connection,
                ) as queries:
                    response = client.get(address)
                spent.append(time.perf_counter() - began)
                assert response.status_code == 200, (address, response.status_code)
            slow, many = min(spent) > MOST_SECONDS, len(queries) > MOST_QUERIES
            kept &= not (slow or many)
            mark = "  TOO SLOW" if slow else "  TOO MANY QUERIES" if many else ""
            print(
                f"{label:28} {name:9} {min(spent) * 1000:7.0f} ms {len(queries):3} queries{mark}", flush=True
            )
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
    os.environ.setdefault("ALLOWED_HOSTS", "testserver")
    django.setup()
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection

    # Pages name static files as they lie in the source, so that none need be collected.
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    call_command("migrate", verbosity=0)
    from core.models import AuditEvent

    if not AuditEvent.objects.exists():
        began = time.perf_counter()
        fill(rows)
        print(
            f"{connection.vendor}: {rows:,} rows a table, made in {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return 0 if measure(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
