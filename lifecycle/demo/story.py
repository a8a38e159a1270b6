"""The main job, told step by step through the public HTTP API by the people it needs."""

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.demo import training
from lifecycle.demo.client import DemoFailed, Person, wait_until

EXPERIMENT = "breast-cancer-screening"
MODEL = "breast-cancer-classifier"
ENVIRONMENT = "production"
PREDICTIONS = 300
ENDED = ("failed", "terminated", "rollback")


@dataclass
class Step:
    who: str
    what: str
    seconds: float
    result: str


@dataclass
class Traffic:
    """Predictions asked for all the time by a thread, with how many failed and which versions answered."""

    person: Person
    rows: list[dict[str, Any]]
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Traffic":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(0.01):
            row = self.rows[self.requests % len(self.rows)]
            response = self.person.predict(MODEL, ENVIRONMENT, {"dataframe_records": [row]})
            self.requests += 1
            if response.status_code != 200:
                self.failures.append(f"{response.status_code}: {response.text[:200]}")
            version = response.headers.get("X-Model-Version", "?")
            self.versions[version] = self.versions.get(version, 0) + 1


class Story:
    """Runs the demo; `tell` prints each step as it happens."""

    def __init__(self, people: dict[str, Person], tell: Callable[[str], None]):
        self.scientist, self.approver = people["scientist"], people["approver"]
        self.operator, self.viewer, self.admin = people["operator"], people["viewer"], people["admin"]
        self.tell = tell
        self.steps: list[Step] = []

    def run(self) -> list[Step]:
        """The whole job. Raises DemoFailed at the first step that fails."""
        data = training.load()
        self.rows = data.test.to_dict("records")
        candidates = self._step(
            self.scientist, "train three candidates on breast_cancer", lambda: self._train(data)
        )
        baseline, challenger = candidates[0], max(candidates[1:], key=lambda item: item.metrics["auc"])
        runs = {
            candidate.name: self._step(
                self.scientist,
                f"log the run of {candidate.name}",
                lambda candidate=candidate: self._log(candidate, data),
            )
            for candidate in candidates
        }
        first = self._release(baseline, runs, author=self.scientist)
        self._step(self.viewer, f"ask for {PREDICTIONS} predictions", lambda: self._predict(baseline, data))
        self._step(self.operator, "read the figures of that traffic", lambda: self._figures(first))
        with Traffic(self.viewer, self.rows) as traffic:
            second = self._release(challenger, runs, author=self.admin)
            self._step(self.viewer, "see the new version answer", lambda: self._answered_by(second, traffic))
            restored = self._step(self.operator, "roll back", lambda: self._roll_back(second))
            self._step(
                self.viewer, "see the old version answer again", lambda: self._answered_by(restored, traffic)
            )
        self._step(self.viewer, "count failed requests during both changes", lambda: self._judge(traffic))
        self._step(self.approver, "read the audit trail", lambda: self._audit(second))
        return self.steps

    def _step(self, person: Person, what: str, act: Callable[[], tuple[Any, str]]) -> Any:
        began = time.monotonic()
        value, result = act()
        step = Step(str(person), what, time.monotonic() - began, result)
        self.steps.append(step)
        self.tell(f"{step.seconds:7.2f} s  {step.who:18}  {step.what}: {step.result}")
        return value

    def _train(self, data: training.Data) -> tuple[list[training.Candidate], str]:
        candidates = training.train_candidates(data)
        scores = ", ".join(f"{item.name} AUC {item.metrics['auc']:.4f}" for item in candidates)
        return candidates, scores

    def _log(self, candidate: training.Candidate, data: training.Data) -> tuple[str, str]:
        self.scientist.post(
            "/experiments",
            {"name": EXPERIMENT, "description": "Benign or malignant, from 30 measurements."},
            expect=(201, 409),
        )
        run = self.scientist.post(
            "/runs",
            {
                "experiment_name": EXPERIMENT,
                "name": candidate.name,
                "dataset_name": "breast_cancer",
                "dataset_version": "scikit-learn",
                "parameters": [
                    {"name": name, "value": str(value)} for name, value in candidate.parameters.items()
                ],
            },
        )
        run_id = run["run_id"]
        points = candidate.steps + [
            {"metric_name": name, "value": value, "step": 0} for name, value in candidate.metrics.items()
        ]
        self.scientist.post(f"/runs/{run_id}/metrics", {"metrics": points})
        files = self._upload(candidate, data, run_id)
        self.scientist.post(f"/runs/{run_id}/logs", {"lines": [{"message": f"Trained {candidate.name}."}]})
        self.scientist.patch(f"/runs/{run_id}", {"status": "completed"})
        return run_id, f"run {run_id[:8]}, {len(points)} metric points, {files} files"

    def _upload(self, candidate: training.Candidate, data: training.Data, run_id: str) -> int:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "model"
            training.save(candidate, data, folder)
            files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
            for file in files:
                self.scientist.upload(run_id, f"model/{file.relative_to(folder)}", file)
        return len(files)

    def _release(
        self, candidate: training.Candidate, runs: dict[str, str], *, author: Person
    ) -> dict[str, Any]:
        """Register, tick, approve by somebody else, deploy: returns the active deployment."""
        version = self._step(
            author,
            f"register {candidate.name}",
            lambda: self._register(candidate, runs[candidate.name], author),
        )
        self._step(self.scientist, "tick the checklist", lambda: self._tick(version))
        self._step(author, "try to approve their own work", lambda: self._refused(version, author))
        self._step(self.approver, "approve it and move it to production", lambda: self._approve(version))
        return self._step(
            self.operator, f"deploy version {version['version']}", lambda: self._deploy(version)
        )

    def _register(
        self, candidate: training.Candidate, run_id: str, author: Person
    ) -> tuple[dict[str, Any], str]:
        version = author.post(
            "/models",
            {
                "model_name": MODEL,
                "run_id": run_id,
                "artifact_path": "model",
                "tags": {"estimator": candidate.name},
            },
        )
        return version, f"{MODEL} version {version['version']}, {version['status']}"

    def _tick(self, version: dict[str, Any]) -> tuple[None, str]:
        for item in version["approval_checklist"]:
            self.scientist.patch(
                f"/models/{MODEL}/{version['version']}/checklist/{item['id']}",
                {"status": "approved", "note": "Done."},
            )
        return None, f"{len(version['approval_checklist'])} items"

    def _refused(self, version: dict[str, Any], author: Person) -> tuple[None, str]:
        """A scientist lacks the role; an admin has it, and is refused because the work is their own."""
        answer = author.post(f"/models/{MODEL}/{version['version']}/approve", {}, expect=403)
        return None, f"refused, as it should be: {answer['detail']}"

    def _approve(self, version: dict[str, Any]) -> tuple[None, str]:
        path = f"/models/{MODEL}/{version['version']}"
        self.approver.post(f"{path}/approve", {"approval_notes": "Metrics and checklist reviewed."})
        moved = self.approver.patch(path, {"stage": "production"})
        return None, f"{moved['status']}, stage {moved['stage']}, by {moved['approved_by']}"

    def _deploy(self, version: dict[str, Any]) -> tuple[dict[str, Any], str]:
        created = self.operator.post(
            "/deployments",
            {"model_name": MODEL, "version": str(version["version"]), "environment": ENVIRONMENT},
        )
        active = self._wait_for_active(created["id"])
        return active, self._path(active["id"])

    def _wait_for_active(self, deployment_id: int) -> dict[str, Any]:
        def settled() -> dict[str, Any] | None:
            seen = self.operator.get(f"/deployments/{deployment_id}")
            if seen["status"] in ENDED:
                raise DemoFailed(
                    f"Deployment {deployment_id} ended as {seen['status']}: {seen['error_message']}"
                )
            return seen if seen["status"] == "active" else None

        return wait_until(f"deployment {deployment_id} is active", settled)

    def _path(self, deployment_id: int) -> str:
        events = self.operator.get(f"/deployments/{deployment_id}/events")["results"]
        return f"#{deployment_id} " + " → ".join(event["after"] for event in events)

    def _predict(self, candidate: training.Candidate, data: training.Data) -> tuple[None, str]:
        expected = candidate.model.predict(data.test).tolist()
        took = []
        for index in range(PREDICTIONS):
            row = index % len(self.rows)
            began = time.monotonic()
            response = self.viewer.predict(MODEL, ENVIRONMENT, {"dataframe_records": [self.rows[row]]})
            took.append((time.monotonic() - began) * 1000)
            if response.status_code != 200 or response.json()["predictions"] != [expected[row]]:
                raise DemoFailed(f"Row {row} was answered {response.status_code}: {response.text[:300]}")
        took.sort()
        return None, f"all as the trained model says; median {took[len(took) // 2]:.1f} ms at the client"

    def _figures(self, deployment: dict[str, Any]) -> tuple[None, str]:
        def counted() -> dict[str, Any] | None:
            metrics = self.operator.get(f"/deployments/{deployment['id']}")["metrics"]
            return metrics if metrics["request_count"] >= PREDICTIONS else None

        metrics = wait_until("the traffic is counted", counted, seconds=20)
        return None, (
            f"{metrics['request_count']} requests, error rate {metrics['error_rate']:.2%}, "
            f"p50 {metrics['p50_latency_ms']:.1f} ms, p95 {metrics['p95_latency_ms']:.1f} ms, "
            f"p99 {metrics['p99_latency_ms']:.1f} ms"
        )

    def _answered_by(self, deployment: dict[str, Any], traffic: Traffic) -> tuple[None, str]:
        version = str(deployment["model_version"])
        before = traffic.versions.get(version, 0)
        wait_until(
            f"version {version} answers", lambda: traffic.versions.get(version, 0) >= before + 20, seconds=30
        )
        return None, f"version {version} answers in {ENVIRONMENT}"

    def _roll_back(self, deployment: dict[str, Any]) -> tuple[dict[str, Any], str]:
        created = self.operator.post(
            f"/deployments/{deployment['id']}/rollback", {"reason": "The demo shows how to go back."}
        )
        restored = self._wait_for_active(created["id"])
        left = self.operator.get(f"/deployments/{deployment['id']}")["status"]
        return restored, f"{self._path(restored['id'])}; #{deployment['id']} is now “{left}”"

    def _judge(self, traffic: Traffic) -> tuple[None, str]:
        if traffic.failures:
            raise DemoFailed(
                f"{len(traffic.failures)} of {traffic.requests} requests failed: {traffic.failures[0]}"
            )
        by_version = ", ".join(
            f"version {version}: {count}" for version, count in sorted(traffic.versions.items())
        )
        return None, f"0 of {traffic.requests} ({by_version})"

    def _audit(self, deployment: dict[str, Any]) -> tuple[None, str]:
        rows = self.approver.request(
            "GET", f"/api/v1/audit-events?object_type=deployment&object_id={deployment['id']}&ordering=id"
        )["results"]
        return None, "; ".join(
            f"{row['actor_name']} {row['action']}" for row in rows
        ) + f". {rows[-1]['reason']}"
