"""What the tests of the local backend share: a backend in its own directory, and looks at its processes."""

import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from serving.backends.base import ReplicaSpec
from serving.backends.local import LocalBackend
from serving.gateway.balancer import Answer, Balancer

MEBIBYTE = 2**20


def make_spec(target: str, model_path: Path, **changes: Any) -> ReplicaSpec:
    """What a test deploys unless it says otherwise."""
    fields: dict[str, Any] = {
        "target": target,
        "generation": 1,
        "model_path": str(model_path),
        "allow_code": False,
        "cpu": 1,
        "memory_bytes": 600 * MEBIBYTE,
        "timeout_seconds": 5.0,
        "max_rows": 1000,
        "max_body_bytes": MEBIBYTE,
        "queue_size": 100,
    }
    return ReplicaSpec(**fields | changes)


@contextlib.contextmanager
def running_backend() -> Iterator[LocalBackend]:
    """A backend in a new directory; whatever runs there afterwards is ended, whoever started it."""
    # Not tmp_path: its long names leave no room for a socket's.
    directory = Path(tempfile.mkdtemp(prefix="run-"))
    backend = LocalBackend(directory)
    try:
        yield backend
    finally:
        try:
            backend.shutdown(keep_replicas=False)
            assert processes_in(directory) == []
        finally:
            for process in processes_in(directory):
                process.kill()
            shutil.rmtree(directory)


def processes_in(run_dir: Path) -> list[psutil.Process]:
    """Fork server, replicas and checks of a run directory: a fork keeps its fork server's command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if "serving.backends.fork_server" in command and str(run_dir) in command:
            found.append(process)
    return found


def fork_server(run_dir: Path) -> psutil.Process:
    """The fork server of a run directory: the process there that no replica's record names."""
    recorded = {json.loads(path.read_text())["pid"] for path in run_dir.glob("*/*/process.json")}
    (server,) = [process for process in processes_in(run_dir) if process.pid not in recorded]
    return server


def wait_until(condition: Callable[[], Any], seconds: float = 15.0) -> float:
    """Seconds until the condition held. Fails when it does not in time."""
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        assert waited < seconds, f"still not so after {waited:.1f} s"
        time.sleep(0.01)
    return time.monotonic() - started


def wait_until_ready(backend: LocalBackend, target: str, replicas: int = 1, seconds: float = 15.0) -> float:
    """Seconds until the target had so many replicas that may get traffic."""
    try:
        return wait_until(lambda: len(backend.endpoint(target)) == replicas, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {backend.status(target)}") from error


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def predict(balancer: Balancer, addresses: list[str], body: bytes, timeout: float = 10.0) -> Answer:
    return balancer.send(addresses, body, {"Content-Type": "application/json"}, timeout)
