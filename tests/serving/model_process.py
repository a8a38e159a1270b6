"""A real model process for tests, and a client for its unix socket."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from serving.model_server.preload import HEAVY_MODULES
from serving.model_server.process import run

# As in production, a replica is forked from a warm process that imported the heavy libraries before.
WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(list(HEAVY_MODULES))


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path: str, timeout: float = 20) -> None:
        super().__init__("model", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def make_spec(model_path: Path, folder: Path, **changed: Any) -> dict[str, Any]:
    """A ReplicaSpec as a mapping, with the replica's own files in `folder`."""
    spec = {
        "target": "1",
        "generation": 1,
        "model_path": str(model_path),
        "allow_code": False,
        "cpu": 1,
        "memory_bytes": 1 << 30,
        "timeout_seconds": 10.0,
        "max_rows": 1000,
        "max_body_bytes": 1 << 20,
        "queue_size": 64,
        "replica": "r1",
        "socket": str(folder / "s"),
        "log": str(folder / "log"),
        "report": str(folder / "report.json"),
    }
    return spec | changed


class ModelProcess:
    """Starts a replica and talks to it; a context manager that leaves no process behind."""

    def __init__(self, model_path: Path, **changed: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="replica-"))
        self.spec = make_spec(model_path, self.folder, **changed)

    def __enter__(self) -> ModelProcess:
        self.process = WARM.Process(target=run, args=(self.spec,))
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()
        shutil.rmtree(self.folder)

    def ready(self, seconds: float = 30) -> ModelProcess:
        """Wait until /ready answers 200."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.is_alive():
            try:
                if self.request("GET", "/ready")[0] == 200:
                    return self
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"not ready, exit code {self.process.exitcode}:\n{self.log}")

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def exit_code(self, seconds: float = 30) -> int | None:
        """Wait for the process to end by itself."""
        self.process.join(seconds)
        return self.process.exitcode

    @property
    def log(self) -> str:
        path = Path(self.spec["log"])
        return path.read_text() if path.exists() else ""

    def connect(self) -> UnixConnection:
        return UnixConnection(self.spec["socket"])

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, Any]:
        """One request on a connection of its own: status, decoded JSON, headers."""
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.headers
        finally:
            connection.close()

    def predict(
        self, content: Any, content_type: str = "application/json", **headers: str
    ) -> tuple[int, Any]:
        """POST /invocations with an object, text or bytes: status and decoded answer."""
        body = content if isinstance(content, str | bytes) else json.dumps(content)
        sent = {"Content-Type": content_type} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.request("POST", "/invocations", body, sent)[:2]

    def stats(self) -> dict[str, Any]:
        return self.request("GET", "/stats")[1]


def split(names: list[str], *rows: list[Any]) -> dict[str, Any]:
    """A request in the dataframe_split format."""
    return {"dataframe_split": {"columns": names, "data": list(rows)}}
