"""How long a start takes and what an idle platform costs, from a fresh clone.

    python -m bench.startup [--keep-downloads]

Clones this checkout's HEAD into a new folder and runs the README's `script/server` there, as somebody new would:
nothing of this checkout's packages is used, and without --keep-downloads nothing that pip or npm kept either. Tells

- fresh clone to the first prediction: downloads, installation, migrations and the demo included;
- the second start: from the command to the first prediction of the model that served before;
- pending → active: a deployment of a scikit-learn model on the embedded default, from its POST;
- idle memory of the whole stack without models: each process' proportional share (PSS), so that pages which
  processes share count once.

Exits with 1 when a target is missed.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
import requests

from lifecycle.demo.client import LIFECYCLE, Person
from lifecycle.demo.story import ENVIRONMENT, MODEL
from tests.stack import ROOT, free_port, wait_until

START_SECONDS = 900
SETTLING_SECONDS = 20
DEPLOYMENTS = 5
PREDICTIONS = f"{LIFECYCLE}/serve/{MODEL}/{ENVIRONMENT}/invocations"


class Figure(NamedTuple):
    name: str
    value: float
    target: float
    unit: str

    def __str__(self) -> str:
        met = "met" if self.value <= self.target else "MISSED"
        return f"| {self.name} | {self.value:.1f} {self.unit} | ≤ {self.target:g} {self.unit} | {met} |"


class Server:
    """`script/server` of a clone, in the foreground of a process of its own."""

    def __init__(self, clone: Path, data_dir: Path, downloads: dict[str, str]):
        self.clone, self.log = clone, data_dir.with_suffix(".log")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        without = ("DATABASE_URL", "REDIS_URL", "VIRTUAL_ENV")
        inherited = {name: value for name, value in os.environ.items() if name not in without}
        self.environment = {**inherited, **downloads, "PORT": str(self.port), "DATA_DIR": str(data_dir)}

    @contextmanager
    def running(self, *options: str) -> Iterator[psutil.Process]:
        """Started as by hand; ended as by Ctrl-C."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                ["script/server", *options],
                cwd=self.clone,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)

    def manage(self, *arguments: str) -> str:
        """The last line that a management command prints."""
        command = [".venv/bin/python", "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=self.clone, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout.strip().splitlines()[-1]

    def person(self, name: str, role: str) -> Person:
        token = self.manage("create_token", "--user", name, "--role", role)
        return Person(name, role, base_url=self.url, token=token)

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except requests.RequestException:
            return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.startup")
    parser.add_argument("--keep-downloads", action="store_true", help="let pip and npm use what they kept")
    options = parser.parse_args()
    print(f"machine: {psutil.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        figures = measure(Path(folder), keep_downloads=options.keep_downloads)
    print("\n| what | figure | target | |\n|---|---|---|---|")
    print(*figures, sep="\n")
    return 1 if any(figure.value > figure.target for figure in figures) else 0


def measure(folder: Path, *, keep_downloads: bool) -> list[Figure]:
    clone = folder / "clone"
    no_cache = {"PIP_NO_CACHE_DIR": "1", "npm_config_cache": str(folder / "npm")}
    server = Server(clone, folder / "data", {} if keep_downloads else no_cache)
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    with server.running():
        body = first_prediction(server)
        first = time.monotonic() - began
        print(f"fresh clone to first prediction: {first:.1f} s", flush=True)
        active = pending_to_active(server)
    began = time.monotonic()
    with server.running():
        wait_until(lambda: predicts(server, body), seconds=START_SECONDS, what="it predicts", poll=0.05)
        second = time.monotonic() - began
    idle = Server(clone, folder / "empty", {})
    with idle.running("--no-demo") as process:
        wait_until(idle.is_ready, seconds=START_SECONDS, what="it is ready")
        time.sleep(SETTLING_SECONDS)
        memory = proportional_mib(process)
    shutil.rmtree(clone)
    return [
        Figure("fresh clone to first prediction", first, 300, "s"),
        Figure("second start to first prediction", second, 10, "s"),
        Figure(f"pending → active, median of {DEPLOYMENTS}", active, 15, "s"),
        Figure("idle memory of the whole stack, without models", memory, 600, "MiB"),
    ]


class Request(NamedTuple):
    """A prediction that is answered, and by whom it is asked for."""

    person: Person
    row: dict[str, float]


def first_prediction(server: Server) -> Request:
    """Wait for the demo's first model, as somebody who asks again and again."""
    wait_until(server.is_ready, seconds=START_SECONDS, what=f"the server is ready (its log: {server.log})")
    person = server.person("bench", "admin")

    def serving() -> list[dict[str, object]]:
        return person.get(f"/deployments?status=active&model_name={MODEL}")["results"]

    (deployment, *_) = wait_until(serving, seconds=START_SECONDS, what="the demo has deployed", poll=0.1)
    version = person.get(f"/models/{MODEL}/{deployment['model_version']}")
    row = {column["name"]: 1.0 for column in version["signature"]["inputs"]}
    request = Request(person, row)
    wait_until(lambda: predicts(server, request), seconds=60, what="it predicts", poll=0.05)
    return request


def predicts(server: Server, request: Request) -> bool:
    try:
        answer = request.person.predict(MODEL, ENVIRONMENT, {"dataframe_records": [request.row]})
    except requests.RequestException:
        return False
    return answer.status_code == 200


def pending_to_active(server: Server) -> float:
    """Seconds from the POST of a deployment to its being active; the median of a few."""
    wait_until(lambda: "Ready at" in server.log.read_text(), seconds=120, what="the demo has been played")
    person = server.person("bench", "admin")
    seconds = []
    for _ in range(DEPLOYMENTS):
        began = time.monotonic()
        body = {"model_name": MODEL, "version": "1", "environment": "development"}
        created = person.post("/deployments", body)["id"]
        wait_until(
            lambda pk=created: person.get(f"/deployments/{pk}")["status"] == "active",
            seconds=120,
            what="the deployment is active",
            poll=0.05,
        )
        seconds.append(time.monotonic() - began)
    print("pending → active:", ", ".join(f"{value:.1f} s" for value in seconds), flush=True)
    return statistics.median(seconds)


def proportional_mib(process: psutil.Process) -> float:
    tree = [process, *process.children(recursive=True)]
    shares = {part.pid: part.memory_full_info().pss / 2**20 for part in tree}
    for part in tree:
        print(f"  {shares[part.pid]:6.1f} MiB  {' '.join(part.cmdline())[:90]}", flush=True)
    return sum(shares.values())


if __name__ == "__main__":
    sys.exit(main())
