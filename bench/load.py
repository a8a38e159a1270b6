"""Everything at once for ten minutes: predictions, logging, pages and deployments on one platform.

    python -m bench.load [--minutes 10]

On the embedded default, or on the servers that DATABASE_URL (an empty database) and REDIS_URL name. Each kind of work
goes on in threads of its own, with pauses as people and jobs make them, so that the machine is busy and not full; what
is asked for is checked. Tells for each kind how often it was done, its p50, p99 and slowest, and the errors; for each
process its memory by the minute. Exits with 1 when a request failed, or when memory was not flat.
"""

import argparse
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil
import requests

from bench.closed_loop import percentile
from lifecycle.demo import training
from lifecycle.demo.client import LIFECYCLE, Person
from tests.reliability.platform import Platform
from tests.stack import Stack

MODEL, ENVIRONMENT = "breast-cancer", "production"
PREDICTING, LOGGING, READING = 4, 2, 2
PREDICTION_PAUSE, LOGGING_PAUSE, PAGE_PAUSE, DEPLOYMENT_PAUSE = 0.02, 0.5, 0.5, 10.0
POINTS, FILE_BYTES = 200, 256 * 1024
SAMPLE_SECONDS = 5.0
# Caches, thread stacks and imports fill up in the beginning; what grows after that is a leak.
WARMING_SHARE = 0.4
GROWTH_SHARE, GROWTH_MIB = 0.05, 8.0


class Work:
    """Threads that do things again and again, and how long each thing took."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self.stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, act: Callable[[], None], *, pause: float) -> None:
        """Have `act` done again and again until the end, with a pause in between."""

        def again() -> None:
            while not self.stopping.wait(pause):
                try:
                    act()
                except Exception as error:  # whatever it is, it is a finding
                    self.errors.append(f"{type(error).__name__}: {error}"[:500])

        self._threads.append(threading.Thread(target=again, daemon=True))
        self._threads[-1].start()

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.took[kind].append((time.perf_counter() - began) * 1000)

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(timeout=120)
        stuck = sum(thread.is_alive() for thread in self._threads)
        if stuck:
            self.errors.append(f"{stuck} threads did not come back within two minutes")


class Predicting:
    """A client that knows what the answer is, by the version that gave it."""

    def __init__(self, work: Work, person: Person, rows: list[dict[str, float]], known: dict[str, list[int]]):
        self.work, self.person = work, person
        self.asked = itertools.cycle(enumerate(rows))
        self.known = known

    def __call__(self) -> None:
        number, row = next(self.asked)
        with self.work.timed("prediction"):
            answer = self.person.predict(MODEL, ENVIRONMENT, {"dataframe_records": [row]})
        answer.raise_for_status()
        version = answer.headers["X-Model-Version"]
        if answer.json()["predictions"] != [self.known[version][number]]:
            raise ValueError(f"Version {version} answers {answer.text}")


class Logging:
    """A training job: a run, its points, lines and a file."""

    def __init__(self, work: Work, person: Person, file: Path):
        self.work, self.person, self.file = work, person, file

    def __call__(self) -> None:
        timed, person = self.work.timed, self.person
        with timed("run created"):
            run = person.post("/runs", {"experiment_name": "load", "parameters": [{"name": "a", "value": 1}]})
        path = f"/runs/{run['run_id']}"
        points = [{"metric_name": "loss", "value": 1 / (step + 1), "step": step} for step in range(POINTS)]
        with timed(f"{POINTS} points logged"):
            person.post(f"{path}/metrics", {"metrics": points})
        with timed("10 lines logged"):
            person.post(f"{path}/logs", {"lines": [{"message": f"epoch {epoch}"} for epoch in range(10)]})
        with timed(f"{FILE_BYTES // 1024} KiB uploaded"):
            person.upload(run["run_id"], "weights.bin", self.file)
        with timed("run completed"):
            person.patch(path, {"status": "completed"})
        with timed("points read"):
            person.get(f"{path}/metrics?key=loss&max_points=100")


class Reading:
    """Somebody who clicks through the pages and lists."""

    PATHS = [
        "/",
        "/deployments/",
        "/deployments/?status=active",
        "{deployment}",
        "{deployment}?tab=replicas",
        "{deployment}live",
        f"{LIFECYCLE}/runs?limit=50",
        f"{LIFECYCLE}/models",
        f"{LIFECYCLE}/deployments",
        "/api/v1/audit-events?search=load",
    ]

    def __init__(self, work: Work, platform: Platform, newest: list[int]):
        self.work, self.base, self.newest = work, platform.stack.url, newest
        self.paths = itertools.cycle(self.PATHS)
        self.session = requests.Session()
        link = platform.stack.manage("sign_in_link", "--user", "vera").stdout.split()[-1]
        address = self.base + "/sign-in/" + link.rpartition("/")[2]
        form = self.session.get(address, timeout=60).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)[1]  # type: ignore[index]
        data = {"csrfmiddlewaretoken": token}
        self.session.post(address, data=data, timeout=60).raise_for_status()

    def __call__(self) -> None:
        path = next(self.paths).format(deployment=f"/deployments/{self.newest[-1]}/")
        kind = "list" if path.startswith("/api/") else "page"
        with self.work.timed(kind):
            answer = self.session.get(self.base + path, timeout=60, allow_redirects=False)
        if answer.status_code not in (200, 286):
            raise ValueError(f"{path} answered {answer.status_code}")


class Deploying:
    """An operator who changes the version to and fro, and rolls back every third time."""

    def __init__(self, work: Work, platform: Platform, versions: list[dict[str, Any]], newest: list[int]):
        self.work, self.platform, self.newest = work, platform, newest
        self.turn = itertools.cycle([versions[1], versions[0], None])

    def __call__(self) -> None:
        version = next(self.turn)
        if version is None:
            with self.work.timed("rollback to active"):
                self.newest.append(self.platform.roll_back(self.newest[-1]))
        else:
            with self.work.timed("pending to active"):
                self.newest.append(self.platform.deploy(version, ENVIRONMENT))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    print(f"machine: {psutil.cpu_count()} cores, load average {os.getloadavg()[0]:.2f}", flush=True)
    servers = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
    data_dir = Path(tempfile.mkdtemp(prefix="load-"))
    with Stack(data_dir, **servers) as stack:
        work, memory = put_load_on(Platform(stack), data_dir, seconds=options.minutes * 60)
    grown = report(work, memory)
    if work.errors or grown:
        print(f"\nThe logs are in {data_dir}.")
        return 1
    shutil.rmtree(data_dir)
    return 0


def put_load_on(
    platform: Platform, folder: Path, *, seconds: float
) -> tuple[Work, dict[str, list[tuple[float, float]]]]:
    """All kinds of work for so long; returns what was done, and each part's memory (seconds, MiB) over time."""
    data = training.load()
    candidates = [item for item in training.train_candidates(data) if "boosting" not in item.name][:2]
    versions = [release(platform, candidate, data, folder) for candidate in candidates]
    rows = data.test.head(50).to_dict("records")
    known = {
        str(version["version"]): candidate.model.predict(data.test.head(50)).tolist()
        for version, candidate in zip(versions, candidates, strict=True)
    }
    newest = [platform.deploy(version, ENVIRONMENT) for version in versions]
    file = folder / "weights.bin"
    file.write_bytes(os.urandom(FILE_BYTES))
    platform.admin.post("/experiments", {"name": "load"})

    work = Work()
    for _ in range(PREDICTING):
        person = Person("vera", "viewer", base_url=platform.stack.url, token=platform.viewer_token)
        work.start(Predicting(work, person, rows, known), pause=PREDICTION_PAUSE)
    for number in range(LOGGING):
        token = platform.stack.token(f"mina{number}", "scientist")
        person = Person("mina", "scientist", base_url=platform.stack.url, token=token)
        work.start(Logging(work, person, file), pause=LOGGING_PAUSE)
    for _ in range(READING):
        work.start(Reading(work, platform, newest), pause=PAGE_PAUSE)
    work.start(Deploying(work, platform, versions, newest), pause=DEPLOYMENT_PAUSE)

    memory = watch_memory(platform.stack, seconds=seconds)
    work.stop()
    return work, memory


def release(
    platform: Platform, candidate: training.Candidate, data: training.Data, folder: Path
) -> dict[str, Any]:
    path = folder / candidate.name.replace(" ", "-")
    training.save(candidate, data, path)
    version = platform.register(path, MODEL)
    platform.approve(version)
    return version


def watch_memory(stack: Stack, *, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """The proportional memory of web, worker, beat and agent while the load is on.

    Replicas come and go with the deployments, so they are not followed here.
    """
    samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for name in ("web", "worker", "beat", "agent"):
            process = psutil.Process(stack.processes[name].pid)
            own = [process, *(child for child in process.children() if name == "web")]
            samples[name].append((now, sum(part.memory_full_info().pss for part in own) / 2**20))
        time.sleep(SAMPLE_SECONDS)
    return samples


def report(work: Work, memory: dict[str, list[tuple[float, float]]]) -> list[str]:
    """Print the figures; returns the parts whose memory was not flat."""
    print("\n| what | done | p50 ms | p99 ms | slowest ms |\n|---|---|---|---|---|")
    for kind, took in work.took.items():
        took.sort()
        figures = f"{percentile(took, 0.5):.1f} | {percentile(took, 0.99):.1f} | {took[-1]:.1f}"
        print(f"| {kind} | {len(took)} | {figures} |")
    print(f"\nErrors: {len(work.errors)}")
    for error in sorted(set(work.errors))[:20]:
        print(" ", error)
    print("\n| process | MiB by the minute | after the warm-up: first quarter → last | |\n|---|---|---|---|")
    return [name for name, samples in memory.items() if not is_flat(name, samples)]


def is_flat(name: str, samples: list[tuple[float, float]]) -> bool:
    """Compares the first and the last quarter of what follows the warm-up."""
    minutes: dict[int, list[float]] = defaultdict(list)
    for at, mib in samples:
        minutes[int(at // 60)].append(mib)
    warm = [mib for _at, mib in samples[int(len(samples) * WARMING_SHARE) :]]
    quarter = max(1, len(warm) // 4)
    before, after = fmean(warm[:quarter]), fmean(warm[-quarter:])
    flat = after <= before * (1 + GROWTH_SHARE) + GROWTH_MIB
    by_minute = " ".join(f"{fmean(values):.0f}" for values in minutes.values())
    print(f"| {name} | {by_minute} | {before:.1f} → {after:.1f} | {'flat' if flat else 'GROWS'} |")
    return flat


if __name__ == "__main__":
    sys.exit(main())
