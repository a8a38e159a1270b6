"""The main job over HTTP: log, register, approve, deploy, predict, deploy again, roll back, and read who did what.

Needs `requests`, and scikit-learn with mlflow-skinny and skops to make two small models. The platform's own
environment has them:

    export MLOPS_URL=http://127.0.0.1:8000
    for role in scientist approver operator viewer; do
        export MLOPS_${role^^}_TOKEN=$(.venv/bin/python manage.py create_token --user my-$role --role $role | tail -n 1)
    done
    .venv/bin/python docs/examples/main_job.py

Four people take part, because nobody approves their own work. It may be run again: each run makes a model of its own.
"""

import os
import sys
import tempfile
import time
import uuid
from pathlib import Path

import mlflow.sklearn
import requests
import sklearn
import skops
from mlflow.models import infer_signature
from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import train_test_split

SERVER = os.environ.get("MLOPS_URL", "http://127.0.0.1:8000")
NAME = f"diabetes-{uuid.uuid4().hex[:6]}"
ENDED = {"failed", "terminated", "rollback"}


class Refused(Exception):
    """The server said no; the message is its own."""


class Client:
    """One person's way to the API."""

    def __init__(self, role: str):
        variable = f"MLOPS_{role.upper()}_TOKEN"
        if variable not in os.environ:
            sys.exit(f"Set {variable} to the token of a user with the role “{role}”.")
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {os.environ[variable]}"

    def ask(self, method: str, path: str, **options) -> requests.Response:
        """Send a request. Raises Refused with the server's `detail`."""
        url = f"{SERVER}/api/v1{path}"
        for _attempt in range(5):
            response = self.session.request(method, url, timeout=60, **options)
            if response.status_code != 503:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))  # it may succeed a moment later
        if response.ok:
            return response
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError):
            detail = response.text[:200]
        request_id = response.headers.get("X-Request-Id", "unknown")
        raise Refused(f"{method} {path} was answered {response.status_code}: {detail} (request {request_id})")

    def get(self, path: str, **parameters):
        return self.ask("GET", path, params=parameters).json()

    def post(self, path: str, body: dict):
        # With a key of its own a request that is sent twice is done once.
        return self.ask("POST", path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex}).json()

    def patch(self, path: str, body: dict):
        return self.ask("PATCH", path, json=body).json()


LIFECYCLE = "/ml/lifecycle"
mina, jun, ohna, viki = Client("scientist"), Client("approver"), Client("operator"), Client("viewer")


def train(estimator, folder: Path):
    """Fit on real data and save as MLflow does; returns the metrics and a row to predict on."""
    features, target = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    train_x, test_x, train_y, test_y = train_test_split(features, target, random_state=7)
    predicted = estimator.fit(train_x, train_y).predict(test_x)
    mlflow.sklearn.save_model(
        estimator,
        folder,
        serialization_format="skops",  # data, not code
        skops_trusted_types=["sklearn.tree._tree.Tree"],
        signature=infer_signature(test_x, predicted),
        input_example=test_x.head(3),
        pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"skops=={skops.__version__}"],
    )
    metrics = {"mae": mean_absolute_error(test_y, predicted), "r2": r2_score(test_y, predicted)}
    return metrics, test_x.head(1).to_dict("records")[0]


def log_run(name: str, metrics: dict[str, float], folder: Path, **parameters) -> str:
    """A run with its parameters, metrics and files; returns its id."""
    run = mina.post(
        f"{LIFECYCLE}/runs",
        {
            "experiment_name": NAME,
            "name": name,
            "parameters": [{"name": key, "value": str(value)} for key, value in parameters.items()],
            "dataset_name": "diabetes",
        },
    )
    path = f"{LIFECYCLE}/runs/{run['run_id']}"
    points = [{"metric_name": key, "value": value, "step": 0} for key, value in metrics.items()]
    mina.post(f"{path}/metrics", {"metrics": points})
    mina.post(f"{path}/logs", {"lines": [{"message": f"{name}: {metrics}"}]})
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        # Small ones; give a large file as an open one, and `requests` streams it.
        name = file.relative_to(folder).as_posix()
        mina.ask("PUT", f"{path}/artifacts/model/{name}", data=file.read_bytes())
    mina.patch(path, {"status": "completed"})
    return run["run_id"]


def release(run_id: str) -> str:
    """Register the run's model, have it ticked and approved, and let it go to production; returns its path."""
    registered = mina.post(
        f"{LIFECYCLE}/models", {"model_name": NAME, "run_id": run_id, "artifact_path": "model"}
    )
    path = f"{LIFECYCLE}/models/{NAME}/{registered['version']}"
    for item in registered["approval_checklist"]:
        mina.patch(f"{path}/checklist/{item['id']}", {"status": "approved", "note": "Looked at."})
    try:
        mina.post(f"{path}/approve", {})
    except Refused as refusal:
        print("As it should be:", refusal)
    jun.post(
        f"{path}/approve",
        {"approval_notes": "Metrics reviewed.", "content_sha256": registered["content_sha256"]},
    )
    jun.patch(path, {"stage": "production"})
    print(f"Version {registered['version']} is approved and may go to production.")
    return path


def wait_for(deployment: dict) -> dict:
    """Until the deployment is active. Raises Refused with its own words if it fails."""
    path = f"{LIFECYCLE}/deployments/{deployment['id']}"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        deployment = viki.get(path)
        if deployment["status"] == "active":
            print(f"Deployment {deployment['id']} serves version {deployment['model_version']}.")
            return deployment
        if deployment["status"] in ENDED:
            raise Refused(
                f"Deployment {deployment['id']} is {deployment['status']}: {deployment['error_message']}"
            )
        time.sleep(0.5)
    raise Refused(f"Deployment {deployment['id']} was not active after five minutes.")


def predict(row: dict) -> None:
    response = viki.ask(
        "POST", f"{LIFECYCLE}/serve/{NAME}/production/invocations", json={"dataframe_records": [row]}
    )
    version = response.headers["X-Model-Version"]
    print(f"Version {version} predicts {response.json()['predictions'][0]:.1f}.")


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        ridge, forest = Path(work, "ridge"), Path(work, "forest")
        ridge_metrics, row = train(Ridge(alpha=1.0), ridge)
        forest_metrics, _row = train(RandomForestRegressor(n_estimators=50, random_state=7), forest)
        mina.post(f"{LIFECYCLE}/experiments", {"name": NAME, "description": "Progression after one year."})
        ridge_run = log_run("ridge", ridge_metrics, ridge, alpha=1.0)
        forest_run = log_run("forest", forest_metrics, forest, n_estimators=50)

    release(ridge_run)
    first = ohna.post(
        f"{LIFECYCLE}/deployments", {"model_name": NAME, "version": "1", "environment": "production"}
    )
    wait_for(first)
    for _ in range(20):
        predict(row)
    time.sleep(2)  # figures are written about twice a second
    figures = viki.get(f"{LIFECYCLE}/deployments/{first['id']}")["metrics"]
    print(f"{figures['request_count']} requests, p95 {figures['p95_latency_ms']} ms.")

    second = ohna.post(f"{release(forest_run)}/deploy", {"environment": "production"})
    wait_for(second)
    predict(row)

    back = ohna.post(f"{LIFECYCLE}/deployments/{second['id']}/rollback", {"reason": "Worse than ridge."})
    wait_for(back)
    predict(row)

    print("What was done, from the audit trail:")
    for event in viki.get("/audit-events", search=NAME, ordering="id", limit=100)["results"]:
        print(" ", event["at"], event["actor_name"], event["action"], event["object_name"], event["reason"])
    ohna.ask("DELETE", f"{LIFECYCLE}/deployments/{back['id']}")  # leave nothing running


if __name__ == "__main__":
    try:
        main()
    except (Refused, requests.RequestException) as problem:
        sys.exit(f"Stopped: {problem}")
