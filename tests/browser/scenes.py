"""What the pages have to show, made on a running stack as people make it: over HTTP, with real models."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import mlflow.sklearn
import sklearn
import skops
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge

from lifecycle.demo.client import Person
from tests.stack import Stack, wait_until

DEMO_MODEL = "breast-cancer-classifier"
MODEL = "diabetes-progression"
LONG_MODEL = "customer-lifetime-value-europe-and-asia-2026-q4-candidate"
EXTERNAL_ENDPOINT = "https://models.example.com/diabetes-progression"
SETTLED = ("active", "failed", "rollback", "terminated")


@dataclass
class Scenes:
    """Ids of deployments, by the state that they show."""

    active: int
    failed: int
    rolled_back: int
    terminated: int
    external: int


class People:
    """Each role, signed in by token."""

    def __init__(self, stack: Stack):
        def person(name: str, role: str) -> Person:
            return Person(name, role, base_url=stack.url, token=stack.token(name, role))

        self.viewer, self.scientist = person("vera", "viewer"), person("sora", "scientist")
        self.approver, self.operator = person("aron", "approver"), person("olga", "operator")


def make_scenes(stack: Stack, people: People) -> Scenes:
    """The demo's story, and one deployment for each way that it can end."""
    stack.manage("demo", "--url", stack.url)
    register(people, MODEL, label="v1.0")
    tick(people, register(people, LONG_MODEL))
    register(people, "unsigned-experiment", signed=False)
    fail_a_run(people)
    external = deploy(people, MODEL, environment="staging", backend="external")
    terminated = deploy(people, LONG_MODEL)
    wait_for(people, terminated, "active")
    people.operator.patch(
        f"/deployments/{terminated}", {"status": "terminated", "reason": "The trial is over."}
    )
    failed = deploy(people, "unsigned-experiment")
    wait_for(people, failed, "failed")
    own = {
        row["status"]: row["id"]
        for row in people.viewer.get(f"/deployments?model_name={DEMO_MODEL}")["results"]
    }
    return Scenes(own["active"], failed, own["rollback"], terminated, external)


def register(people: People, model_name: str, *, signed: bool = True, label: str = "") -> dict[str, Any]:
    """Train a ridge regression on scikit-learn's diabetes data, log it and register it."""
    rows, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = Ridge(alpha=1.0).fit(rows, target)
    run_id = people.scientist.post(
        "/runs",
        {
            "experiment_name": experiment(people, model_name),
            "parameters": [{"name": "alpha", "value": "1.0"}],
        },
    )["run_id"]
    people.scientist.post(
        f"/runs/{run_id}/metrics",
        {"metrics": [{"metric_name": "r2", "value": float(model.score(rows, target))}]},
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        mlflow.sklearn.save_model(
            model,
            folder,
            serialization_format="skops",
            signature=infer_signature(rows, model.predict(rows)) if signed else False,
            pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"skops=={skops.__version__}"],
        )
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            people.scientist.upload(run_id, f"model/{file.relative_to(folder)}", file)
    people.scientist.patch(f"/runs/{run_id}", {"status": "completed"})
    asked = {"model_name": model_name, "run_id": run_id, "artifact_path": "model"}
    return people.scientist.post("/models", asked | ({"version_label": label} if label else {}))


def experiment(people: People, name: str) -> str:
    people.scientist.post("/experiments", {"name": name}, expect=(201, 409))
    return name


def fail_a_run(people: People) -> None:
    run = people.scientist.post(
        "/runs",
        {"experiment_name": experiment(people, MODEL), "name": "ridge on log target", "status": "running"},
    )
    people.scientist.patch(f"/runs/{run['run_id']}", {"status": "failed"})


def approve(people: People, version: dict[str, Any], *, stage: str) -> None:
    """Tick the checklist, approve as somebody else, and move to `stage`."""
    tick(people, version)
    path = path_of(version)
    people.approver.post(f"{path}/approve", {"approval_notes": "Reviewed."})
    people.approver.patch(path, {"stage": stage})


def tick(people: People, version: dict[str, Any]) -> None:
    """Complete the checklist: from now on the version waits for approval."""
    for item in version["approval_checklist"]:
        people.scientist.patch(f"{path_of(version)}/checklist/{item['id']}", {"status": "approved"})


def path_of(version: dict[str, Any]) -> str:
    return f"/models/{version['model_name']}/{version['version']}"


def replace_in_production(people: People, model_name: str) -> int:
    """Two approved versions, the second deployed over the first; what serves, and can be rolled back."""
    for _each in range(2):
        version = register(people, model_name)
        approve(people, version, stage="production")
        deployment_id = deploy(people, model_name, version=version["version"], environment="production")
        wait_for(people, deployment_id, "active")
    return deployment_id


def deploy(
    people: People, model_name: str, *, version: int = 1, environment: str = "development", backend: str = ""
) -> int:
    """Ask for a deployment; returns its id."""
    body: dict[str, Any] = {"model_name": model_name, "version": str(version), "environment": environment}
    if backend:
        approve(people, people.viewer.get(f"/models/{model_name}/{version}"), stage=environment)
        body |= {"endpoint_config": {"backend": backend}, "endpoint": EXTERNAL_ENDPOINT}
    deployment_id = people.operator.post("/deployments", body)["id"]
    if backend:
        push_external(people, deployment_id)
    return deployment_id


def push_external(people: People, deployment_id: int) -> None:
    for status in ("validating", "deploying", "active"):
        people.operator.patch(
            f"/deployments/{deployment_id}", {"status": status, "reason": "Told by its operator."}
        )
    people.operator.patch(
        f"/deployments/{deployment_id}",
        {
            "health_status": "degraded",
            "metrics": {
                "request_count": 48210,
                "error_count": 1976,
                "error_rate": 0.041,
                "p95_latency_ms": 184.2,
            },
        },
    )


def wait_for(people: People, deployment_id: int, status: str, *, seconds: float = 90) -> None:
    """Wait until the deployment has this status; a different end fails at once with its error."""

    def reached() -> bool:
        seen = people.viewer.get(f"/deployments/{deployment_id}")
        if seen["status"] in SETTLED and seen["status"] != status:
            raise AssertionError(f"Deployment {deployment_id} is {seen['status']}: {seen['error_message']}")
        return seen["status"] == status

    wait_until(reached, seconds=seconds, what=f"deployment {deployment_id} is {status}")


@contextmanager
def traffic(people: People, model_name: str, environment: str) -> Iterator[None]:
    """Real predictions of single rows, some ten a second, for as long as the block lasts."""
    rows, _target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    records = rows.head(50).to_dict("records")
    stopping = threading.Event()

    def ask() -> None:
        for row in cycle(records):
            if stopping.wait(0.1):
                return
            people.viewer.predict(model_name, environment, {"dataframe_records": [row]})

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        stopping.set()
        asking.join()
