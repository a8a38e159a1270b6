"""MLflow's own server as a process, for what holds this platform against it."""

import os
import signal
import subprocess
from pathlib import Path

import requests

from tests.stack import ROOT, free_port, wait_until

PYTHON = ROOT / ".venv-mlflow/bin/python"
START_SECONDS = 120


class MLflowServer:
    """One web process over an SQLite database and files in `folder`: its default of four takes longer for each answer
    on two cores.
    """

    def __init__(self, folder: Path):
        assert PYTHON.exists(), "MLflow's own server is not installed: run script/install --peer"
        self.folder = folder
        self.database = folder / "mlflow.db"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "MLflowServer":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()

    def start(self) -> None:
        """Returns once it answers."""
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        files = ["--artifacts-destination", str(self.folder / "files")]
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    PYTHON,
                    "-m",
                    "mlflow",
                    "server",
                    *where,
                    "--backend-store-uri",
                    f"sqlite:///{self.database}",
                    *files,
                ],
                cwd=self.folder,
                env=os.environ | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: answers(self.url), seconds=START_SECONDS, what="MLflow's server answers", poll=0.02
            )
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def answers(url: str) -> bool:
    """Whether the first question about experiments is answered, if only by asking who wants to know."""
    try:
        path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
        return requests.get(url + path, timeout=5).status_code in (200, 401)
    except requests.RequestException:
        return False
