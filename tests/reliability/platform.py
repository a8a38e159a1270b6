"""A running platform as its users see it: people with tokens, models on endpoints, traffic on them."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from lifecycle.demo.client import LIFECYCLE, Person
from serving.backends.run_directory import short_run_directory
from tests.stack import Stack, wait_until

ENVIRONMENT = "development"
ACTIVE_SECONDS = 60
numbers = count(1)


class Platform:
    """A stack and the people who work with it. Every method is what somebody does over HTTP."""

    def __init__(self, stack: Stack):
        self.stack = stack
        self.admin = self._person("adam", "admin")
        self.approver = self._person("aron", "approver")
        self.viewer_token = stack.token("vera", "viewer")

    def _person(self, name: str, role: str) -> Person:
        return Person(name, role, base_url=self.stack.url, token=self.stack.token(name, role))

    # -- from a saved model to an endpoint -------------------------------------------------------------------

    def upload(self, path: Path) -> str:
        """Log a run with the files of a saved MLflow model; returns the run's id."""
        self.admin.post("/experiments", {"name": "reliability"}, expect=(201, 409))
        run_id = self.admin.post("/runs", {"experiment_name": "reliability"})["run_id"]
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            self.admin.upload(run_id, f"model/{file.relative_to(path)}", file)
        self.admin.patch(f"/runs/{run_id}", {"status": "completed"})
        return run_id

    def register(self, path: Path, model_name: str = "", *, runs_code: bool = False) -> dict[str, Any]:
        """Register a saved model; `runs_code` has an admin allow files that execute when they load."""
        model_name = model_name or f"model-{next(numbers)}"
        version = self.admin.post(
            "/models", {"model_name": model_name, "run_id": self.upload(path), "artifact_path": "model"}
        )
        if runs_code:
            self.admin.post(
                "/code-allowances",
                {"model_name": model_name, "reason": "A fault of ours."},
                expect=(201, 409),
            )
        return version

    def approve(self, version: dict[str, Any], stage: str = "production") -> None:
        """Tick the checklist, have somebody else approve, and move the version to `stage`."""
        path = f"/models/{version['model_name']}/{version['version']}"
        for item in version["approval_checklist"]:
            self.admin.patch(f"{path}/checklist/{item['id']}", {"status": "approved", "note": "Done."})
        self.approver.post(f"{path}/approve", {"approval_notes": "Reviewed."})
        self.approver.patch(path, {"stage": stage})

    def start_deployment(
        self, version: dict[str, Any], environment: str = ENVIRONMENT, **endpoint_config: Any
    ) -> int:
        """Ask for a deployment; returns its id at once."""
        body = {
            "model_name": version["model_name"],
            "version": str(version["version"]),
            "environment": environment,
            "endpoint_config": endpoint_config,
        }
        return self.admin.post("/deployments", body)["id"]

    def deploy(self, version: dict[str, Any], environment: str = ENVIRONMENT, **endpoint_config: Any) -> int:
        """Deploy and wait until it is active; returns its id."""
        deployment_id = self.start_deployment(version, environment, **endpoint_config)
        self.wait_for_status(deployment_id, "active")
        return deployment_id

    def serve(self, path: Path, *, runs_code: bool = False, **endpoint_config: Any) -> "Served":
        """Carry a saved model all the way to an endpoint of its own."""
        version = self.register(path, runs_code=runs_code)
        return Served(self, version["model_name"], self.deploy(version, **endpoint_config))

    def configure(self, deployment_id: int, **endpoint_config: Any) -> None:
        self.admin.patch(f"/deployments/{deployment_id}", {"endpoint_config": endpoint_config})

    def roll_back(self, deployment_id: int) -> int:
        """Roll back and wait until the version before serves; returns the new deployment's id."""
        created = self.admin.post(f"/deployments/{deployment_id}/rollback", {})["id"]
        self.wait_for_status(created, "active")
        return created

    def terminate(self, deployment_id: int) -> None:
        """End a deployment, and wait until its processes are gone."""
        self.admin.request("DELETE", f"{LIFECYCLE}/deployments/{deployment_id}", expect=(200, 409))
        wait_until(
            lambda: not self.pids(deployment_id), seconds=60, what=f"#{deployment_id}'s processes are gone"
        )

    # -- what can be seen ------------------------------------------------------------------------------------

    def deployment(self, deployment_id: int) -> dict[str, Any]:
        return self.admin.get(f"/deployments/{deployment_id}")

    def wait_for_status(
        self, deployment_id: int, status: str, *, seconds: float = ACTIVE_SECONDS
    ) -> dict[str, Any]:
        """Wait until a deployment is in `status`. One that ends as something else fails the test at once."""

        def reached() -> dict[str, Any] | None:
            seen = self.deployment(deployment_id)
            ended = seen["status"] in ("failed", "terminated", "rollback")
            assert seen["status"] == status or not ended, f"{seen['status']}: {seen['error_message']}"
            return seen if seen["status"] == status else None

        return wait_until(reached, seconds=seconds, what=f"deployment {deployment_id} is {status}")

    def wait_for_health(self, deployment_id: int, health: str, *, seconds: float = 30) -> None:
        wait_until(
            lambda: self.deployment(deployment_id)["health_status"] == health,
            seconds=seconds,
            what=f"deployment {deployment_id} is {health}",
        )

    def wait_for_replicas(
        self, deployment_id: int, number: int, *, seconds: float = 60
    ) -> list[dict[str, Any]]:
        """Wait until exactly `number` replicas are there and all are ready."""

        def settled() -> list[dict[str, Any]] | None:
            found = self.deployment(deployment_id)["replicas"]
            return found if [replica["state"] for replica in found] == ["ready"] * number else None

        return wait_until(settled, seconds=seconds, what=f"{number} replicas of #{deployment_id} are ready")

    def alerts(self, deployment_id: int) -> list[dict[str, Any]]:
        """Alerts about a deployment, the newest first."""
        found = self.admin.request("GET", "/api/v1/alerts?limit=1000&ordering=-raised_at")["results"]
        return [alert for alert in found if alert["object_id"] == str(deployment_id)]

    @property
    def run_dir(self) -> Path:
        return short_run_directory(self.stack.data_dir)

    def processes(self) -> dict[int, psutil.Process]:
        """Every model process (fork server and replicas alike) of this platform, by pid."""
        return {process.pid: process for process in self.stack.model_processes()}

    def pids(self, deployment_id: int) -> set[int]:
        """The model processes of a deployment that are alive, by what they wrote down about themselves."""
        records = self.run_dir.glob(f"{deployment_id}/*/process.json")
        written = {pid for record in records if (pid := _pid_in(record))}
        return {pid for pid in written if psutil.pid_exists(pid)}

    @contextmanager
    def traffic(self, served: "Served", **options: Any) -> Iterator["Traffic"]:
        """Predictions asked for all the time until the block ends."""
        traffic = Traffic(self, served, **options)
        traffic.start()
        try:
            yield traffic
        finally:
            traffic.stop()


@dataclass
class Served:
    """An endpoint with a deployment behind it."""

    platform: Platform
    model_name: str
    deployment_id: int
    row: dict[str, float] = field(default_factory=lambda: {"x": 1.0})

    @property
    def pids(self) -> set[int]:
        return self.platform.pids(self.deployment_id)

    @property
    def replicas(self) -> list[dict[str, Any]]:
        return self.platform.deployment(self.deployment_id)["replicas"]

    @property
    def restarts(self) -> int:
        return sum(replica["restarts"] for replica in self.replicas)

    def kill_replica(self) -> None:
        """SIGKILL one model process, and wait until the agent has it back."""
        number, before = len(self.replicas), self.restarts
        os.kill(min(self.pids), signal.SIGKILL)
        wait_until(lambda: self.restarts > before, seconds=20, what="the killed replica is started again")
        self.platform.wait_for_replicas(self.deployment_id, number)

    def wait_for_restarts(self, number: int) -> None:
        """The agent writes down a moment later what it did."""
        wait_until(lambda: self.restarts == number, seconds=5, what=f"{number} restarts are counted")

    def predict(self, row: dict[str, float] | None = None) -> "Answer":
        with Caller(self.platform, self.model_name) as caller:
            return caller.predict(row or self.row)


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when nothing did, with the reason as the body."""

    status: int
    body: Any
    headers: dict[str, str]


class Caller:
    """One client with one kept connection, light enough not to be the bottleneck of a test."""

    def __init__(self, platform: Platform, model_name: str, environment: str = ENVIRONMENT):
        self._path = f"{LIFECYCLE}/serve/{model_name}/{environment}/invocations"
        self._headers = {
            "Authorization": f"Bearer {platform.viewer_token}",
            "Content-Type": "application/json",
        }
        address = urlsplit(platform.stack.url)
        connection = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._http = connection(address.netloc, timeout=60)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    def predict(self, row: dict[str, float]) -> Answer:
        try:
            self._http.request("POST", self._path, json.dumps({"dataframe_records": [row]}), self._headers)
            response = self._http.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            return Answer(0, f"{type(error).__name__}: {error}", {})
        return Answer(response.status, json.loads(body), dict(response.getheaders()))


class Traffic:
    """Clients that ask one prediction after the other, and what became of each."""

    def __init__(self, platform: Platform, served: Served, *, clients: int = 8, pause_seconds: float = 0.0):
        self._platform, self._served, self._pause = platform, served, pause_seconds
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        self.total = 0
        self.failures: list[Answer] = []
        self.versions: Counter[str] = Counter()
        self.longest_silence = 0.0  # seconds without any prediction
        self._answered_at = time.monotonic()

    def start(self) -> None:
        self._answered_at = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        """How many requests got a prediction."""
        return self.total - len(self.failures)

    def wait_for(self, predictions: int, *, seconds: float = 120) -> None:
        """Wait until so many more requests got a prediction."""
        wanted = self.answered + predictions
        wait_until(
            lambda: self.answered >= wanted, seconds=seconds, what=f"{predictions} more predictions were made"
        )

    def wait_for_version(self, version: int, *, seconds: float = 30) -> None:
        """Wait until this version gives the answers."""
        wanted = self.versions[str(version)] + 50
        wait_until(
            lambda: self.versions[str(version)] >= wanted, seconds=seconds, what=f"version {version} answers"
        )

    def _ask(self) -> None:
        with Caller(self._platform, self._served.model_name) as caller:
            while not self._stopping.is_set():
                self._note(caller.predict(self._served.row))
                if self._pause:
                    time.sleep(self._pause)

    def _note(self, answer: Answer) -> None:
        with self._lock:
            self.total += 1
            self.versions[answer.headers.get("X-Model-Version", "none")] += 1
            if answer.status != 200:
                self.failures.append(answer)
                return
            now = time.monotonic()
            self.longest_silence = max(self.longest_silence, now - self._answered_at)
            self._answered_at = now


def _pid_in(record: Path) -> int | None:
    try:
        return int(json.loads(record.read_text())["pid"])
    except (FileNotFoundError, ValueError):
        return None  # its process is just being replaced
