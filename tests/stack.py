"""The whole platform as real processes, for the tests that are about processes.

The supervisor is left out: these tests kill and restart the children themselves.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
MANAGE = [sys.executable, str(ROOT / "manage.py")]
CELERY = [sys.executable, "-m", "celery", "--app", "mlops_site"]
WORKER = [
    *CELERY,
    "worker",
    "--pool",
    "threads",
    "--concurrency",
    "4",
    "--without-gossip",
    "--without-mingle",
]
READY_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition: Callable[[], Any], *, seconds: float, what: str, poll: float = 0.1) -> Any:
    """Poll until `condition` is truthy; returns its value, fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(poll)
    raise AssertionError(f"Waited {seconds} s in vain until {what}.")


class Stack:
    """Web server, worker, beat and agent over one data folder. `environment` adds settings, e.g. DATABASE_URL."""

    def __init__(self, data_dir: Path, **environment: str):
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{
                name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")
            },
            "DATA_DIR": str(data_dir),
            "PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "mlops_site.settings",
            **environment,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Stack":
        try:
            self._bring_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _bring_up(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        for name in ("agent", "worker", "beat", "web"):
            self.start(name)
        wait_until(self.is_ready, seconds=READY_SECONDS, what=f"the stack is ready (logs in {self.data_dir})")

    def __exit__(self, *exception: object) -> None:
        agents = [name for name in self.processes if name.startswith("agent")]
        for name in agents:
            self.end(name, signal.SIGINT)
        for name in list(self.processes):
            self.end(name, signal.SIGTERM)
        self._end_strays()

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start one process; "worker-2" is one more worker."""
        log = (self.data_dir / f"{name}.log").open("ab")
        process = subprocess.Popen(
            self._command(name),
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self.processes[name] = process
        return process

    def kill(self, name: str) -> None:
        """SIGKILL a process and what it forked into its own group; model processes are not among them."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes.pop(name).wait()

    def end(self, name: str, number: int) -> None:
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a management command against this stack's data."""
        return subprocess.run(
            [*MANAGE, *arguments], cwd=ROOT, env=self.environment, check=check, capture_output=True, text=True
        )

    def token(self, user: str, *roles: str) -> str:
        options = [argument for role in roles for argument in ("--role", role)]
        return self.manage("create_token", "--user", user, *options).stdout.strip().splitlines()[-1]

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def model_processes(self) -> list[psutil.Process]:
        """Every process that serves or forks models for this stack."""
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            line = " ".join(process.info["cmdline"] or [])
            if str(self.data_dir) in line and "manage.py" not in line and process.pid != os.getpid():
                found.append(process)
        return found

    def _command(self, name: str) -> list[str]:
        commands = {
            "web": [
                sys.executable,
                "-m",
                "gunicorn",
                "--config",
                "script/gunicorn.conf.py",
                "mlops_site.wsgi",
            ],
            "worker": [*WORKER, "--hostname", f"{name}@%h"],
            "beat": [*CELERY, "beat", "--pidfile", ""],
            "agent": [*MANAGE, "serving_agent"],
        }
        return commands[name.partition("-")[0]]

    def _end_strays(self) -> None:
        for process in self.model_processes():
            process.kill()
