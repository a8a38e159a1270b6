"""The two servers that `bench.tracking` asks: this platform and MLflow's own."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from bench.tracking_stores import MOMENT
from tests.mlflow_server import START_SECONDS, MLflowServer, answers
from tests.stack import Stack, wait_until

MIB = 1024**2


@dataclass
class Side:
    """A server that speaks the protocol."""

    name: str
    url: str
    processes: Callable[[], list[psutil.Process]]
    start_seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)  # where its settings are, if it is ours
    database: Path = Path()  # if it is MLflow's
    experiment: str = ""

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.headers.update(self.headers)

    def ask(self, method: str, call: str, fields: dict[str, Any]) -> Any:
        """Raises requests.HTTPError when it is refused."""
        told = {"params": fields} if method == "GET" else {"json": fields}
        response = self.session.request(method, f"{self.url}/api/2.0/mlflow/{call}", timeout=600, **told)
        response.raise_for_status()
        return response.json()

    def make_run(self) -> str:
        answer = self.ask("POST", "runs/create", {"experiment_id": self.experiment, "start_time": MOMENT})
        return answer["run"]["info"]["run_id"]

    def own_mib(self) -> float:
        """Of all its processes; what they share counts once."""
        return sum(process.memory_full_info().pss for process in self.processes()) / MIB


@contextmanager
def ours(folder: Path) -> Iterator[Side]:
    with Stack(folder / "ours") as stack:
        # What is started for predictions too is not waited for: MLflow's server has none of it.
        stack.end("web", signal.SIGTERM)
        began = time.monotonic()
        web = stack.start("web")
        wait_until(lambda: answers(stack.url), seconds=START_SECONDS, what="ours answers", poll=0.02)
        seconds = time.monotonic() - began
        headers = {"Authorization": f"Bearer {stack.token('bench', 'scientist')}"}
        yield Side("ours", stack.url, lambda: tree(web.pid), seconds, headers, environment=stack.environment)


@contextmanager
def peer(folder: Path) -> Iterator[Side]:
    with MLflowServer(folder) as server:  # it makes its tables
        server.kill()
        began = time.monotonic()
        server.start()
        seconds = time.monotonic() - began
        yield Side("mlflow", server.url, lambda: tree(server.process.pid), seconds, database=server.database)


def tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
