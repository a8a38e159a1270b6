"""The two sides of the serving benchmark: this platform as a whole, and `mlflow models serve`."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil
import requests

from lifecycle.demo.client import LIFECYCLE
from tests.reliability.platform import ENVIRONMENT, Platform, Served
from tests.stack import free_port, wait_until

OURS, PEER = "ours", "mlflow"
JSON = {"Content-Type": "application/json"}
START_SECONDS = 180
POLL_SECONDS = 0.005


class Memory(NamedTuple):
    """Resident, and how much of it no other process shares."""

    resident_mib: float
    own_mib: float


@dataclass
class Side:
    """A model that answers at `url`; `parts` are the processes that this takes, by what they do."""

    name: str
    url: str
    headers: dict[str, str]
    parts: dict[str, list[psutil.Process]] = field(default_factory=dict)
    # From the start of the model's process to its first prediction, one figure for each start.
    first_prediction_seconds: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time used so far, by part."""
        return {part: sum(map(_cpu, processes)) for part, processes in self.parts.items()}

    def memory(self) -> dict[str, Memory]:
        """By part. Pages that processes share count in the resident memory of each."""
        return {part: _memory(processes) for part, processes in self.parts.items()}

    def predict(self, body: str) -> list[int]:
        """Raises requests.HTTPError when the answer is no prediction."""
        response = requests.post(self.url, data=body, headers=self.headers, timeout=60)
        response.raise_for_status()
        return response.json()["predictions"]

    def answers(self, body: str) -> bool:
        try:
            self.predict(body)
        except requests.RequestException:
            return False
        return True


@contextmanager
def ours(platform: Platform, model: Path) -> Iterator["Ours"]:
    """A model carried to an endpoint of the running platform: token sign-in, request log, one replica."""
    served = platform.serve(model)
    web, *background = [
        _tree(platform.stack.processes[name].pid) for name in ("web", "agent", "worker", "beat")
    ]
    (replica,) = served.pids
    yield Ours(
        name=OURS,
        url=f"{platform.stack.url}{LIFECYCLE}/serve/{served.model_name}/{ENVIRONMENT}/invocations",
        headers={**JSON, "Authorization": f"Bearer {platform.viewer_token}"},
        parts={"web": web, "replica": [psutil.Process(replica)], "background": sum(background, [])},
        served=served,
    )
    platform.terminate(served.deployment_id)


@dataclass(kw_only=True)
class Ours(Side):
    served: Served

    def restart(self, body: str) -> None:
        """Kill the replica; notes how long its successor took from its start to the first prediction."""
        (old,) = self.parts["replica"]
        old.kill()
        wait_until(lambda: not _runs(old), seconds=10, what="the replica is gone")
        wait_until(
            lambda: self.answers(body), seconds=START_SECONDS, what="its successor answers", poll=POLL_SECONDS
        )
        answered_at = time.time()
        (pid,) = self.served.pids
        self.parts["replica"] = [psutil.Process(pid)]
        self.first_prediction_seconds.append(answered_at - self.parts["replica"][0].create_time())


@contextmanager
def peer(python: Path, model: Path, body: str, *, workers: int) -> Iterator[Side]:
    """The same model by `mlflow models serve`, from the virtual environment of `python`."""
    port, log = free_port(), model.parent / "peer.log"
    side = Side(name=PEER, url=f"http://127.0.0.1:{port}/invocations", headers=JSON)
    started_at = time.time()
    process = _start_peer(python, model, port=port, workers=workers, log=log)
    try:
        wait_until(
            lambda: process.poll() is not None or side.answers(body),
            seconds=START_SECONDS,
            what=f"mlflow answers (its log: {log})",
            poll=POLL_SECONDS,
        )
        side.first_prediction_seconds.append(time.time() - started_at)
        if process.poll() is not None:
            raise SystemExit(f"mlflow ended with {process.returncode}:\n{log.read_text()[-3000:]}")
        launcher, *server = _tree(process.pid)
        side.parts = {"server": server, "launcher": [launcher]}
        yield side
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _start_peer(python: Path, model: Path, *, port: int, workers: int, log: Path) -> subprocess.Popen[bytes]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", str(workers)]
    with log.open("ab") as output:
        return subprocess.Popen(
            [
                python,
                "-m",
                "mlflow",
                "models",
                "serve",
                "--model-uri",
                model,
                "--env-manager",
                "local",
                *where,
            ],
            # It finds its web server by name.
            env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _memory(processes: list[psutil.Process]) -> Memory:
    found = [process.memory_full_info() for process in processes]
    return Memory(sum(item.rss for item in found) / 2**20, sum(item.uss for item in found) / 2**20)
