"""Tracking side by side: this platform against MLflow's own server, by the same requests of MLflow's protocol.

    script/install --peer
    python -m bench.tracking [--runs 500 20000] [--seconds 5] [--repeats 3]

Both servers run at the same time, each over an SQLite database of its own with the same runs in it (5 parameters and 5
metrics each), and are asked in turn (A B A B), by the same client; the one that is not asked idles. Ours is the whole
platform with token sign-in, on the embedded default; the peer is `mlflow server --workers 1`, since its default of 4
processes takes longer for each answer on 2 cores. Exits with 1 when a request failed.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench.closed_loop import Plan, generate_elsewhere
from bench.tracking_sides import Side, ours, peer
from bench.tracking_stores import MOMENT, fill_peer
from tests.stack import ROOT

POINTS, HISTORY, PAGE = 100, 10_000, 100
BODIES = 3000


@dataclass(frozen=True)
class Figure:
    what: str
    ours: float
    peer: float
    unit: str
    more_is_better: bool
    aim: float

    @property
    def ratio(self) -> float:
        return self.ours / self.peer if self.more_is_better else self.peer / self.ours


def main() -> int:
    options = parse()
    print(
        f"machine: {psutil.cpu_count()} cores, load average {os.getloadavg()[0]:.2f} before the start",
        flush=True,
    )
    for count in options.runs:
        folder = Path(tempfile.mkdtemp(prefix="bench-tracking-"))
        try:
            with ours(folder) as one, peer(folder) as other:
                fill(one, other, count)
                figures = list(measure(one, other, count, options))
        finally:
            shutil.rmtree(folder)
        print(f"\nA store of {count:,} runs\n\n{table(figures)}", flush=True)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.tracking")
    parser.add_argument(
        "--runs", type=int, nargs="+", default=[500, 20_000], help="how many are in the stores"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="of load, for each figure, side and repeat"
    )
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def fill(one: Side, other: Side, count: int) -> None:
    for side in (one, other):
        side.experiment = side.ask("POST", "experiments/create", {"name": "store"})["experiment_id"]
    fill_peer(other.database, count, other.experiment)
    command = [sys.executable, "-m", "bench.tracking_stores", str(count), one.experiment]
    subprocess.run(command, cwd=ROOT, env=one.environment, check=True)


def measure(one: Side, other: Side, count: int, options: argparse.Namespace) -> Iterator[Figure]:
    both = (one, other)
    yield Figure("start to first answer", one.start_seconds, other.start_seconds, "s", False, 3)
    for connections in (1, 4):
        rates = load(both, "runs/log-batch", batches, connections, options, "requests_per_second")
        yield Figure(
            f"log-batch of {POINTS} metrics, connections: {connections}", *rates, "requests/s", True, 4
        )
    yield Figure(
        "create-run, p50", *load(both, "runs/create", creations, 1, options, "p50_ms"), "ms", False, 2
    )
    yield Figure(
        "log-metric, p50", *load(both, "runs/log-metric", metrics, 1, options, "p50_ms"), "ms", False, 2
    )
    searches: dict[str, tuple[dict[str, Any], float]] = {
        f"search, first {PAGE} runs": ({}, 5),
        f"search, first {PAGE} by a metric": ({"order_by": ["metrics.m0 DESC"]}, 20),
        f"search, first {PAGE} of those with a parameter": ({"filter": "params.p0 = '3'"}, 5),
        f"search, first {PAGE} above a metric": ({"filter": "metrics.m1 > 0.9"}, 5),
    }
    for what, (asked, aim) in searches.items():
        took = timed(both, partial(search, most=PAGE, **asked), options)
        yield Figure(f"{what}, p50", *took, "ms", False, aim)
    yield Figure(
        "reading all runs", *timed(both, lambda side: read_all(side, count), options), "ms", False, 5
    )
    histories = {side.name: make_history(side) for side in both}
    read = timed(both, lambda side: read_history(side, histories[side.name]), options)
    yield Figure(f"history of {HISTORY:,} points", *read, "ms", False, 8)
    yield Figure("memory of all web processes", one.own_mib(), other.own_mib(), "MiB", False, 4)


def load(
    both: tuple[Side, Side],
    call: str,
    bodies: Callable[[Side], Iterator[dict[str, Any]]],
    connections: int,
    options: argparse.Namespace,
    what: str,
) -> list[float]:
    found: dict[str, list[float]] = {side.name: [] for side in both}
    for _repeat in range(options.repeats):
        for side in both:
            plan = Plan(
                url=f"{side.url}/api/2.0/mlflow/{call}",
                headers={"Content-Type": "application/json", **side.headers},
                bodies=[json.dumps(body) for body in itertools.islice(bodies(side), BODIES)],
                connections=connections,
                seconds=options.seconds,
                warm_up_seconds=1.0,
            )
            findings = generate_elsewhere(plan)
            if findings.errors:
                raise SystemExit(f"{side.name} refused {findings.errors} of {call}: {findings.first_error}")
            found[side.name].append(getattr(findings, what))
    return [statistics.median(found[side.name]) for side in both]


def batches(side: Side) -> Iterator[dict[str, Any]]:
    """A hundred metrics at each step, as a training logs them."""
    run = side.make_run()
    for step in itertools.count():
        points = [
            {"key": f"metric{number}", "value": step / (number + 1), "timestamp": MOMENT + step, "step": step}
            for number in range(POINTS)
        ]
        yield {"run_id": run, "metrics": points}


def creations(side: Side) -> Iterator[dict[str, Any]]:
    tags = [{"key": "mlflow.user", "value": "bench"}, {"key": "mlflow.source.name", "value": "train.py"}]
    for number in itertools.count():
        named = {"run_name": f"new-{number}", "start_time": MOMENT - number}
        yield {"experiment_id": side.experiment, "user_id": "bench", "tags": tags, **named}


def metrics(side: Side) -> Iterator[dict[str, Any]]:
    run = side.make_run()
    for step in itertools.count():
        yield {
            "run_id": run,
            "key": "loss",
            "value": 1 / (step + 1),
            "timestamp": MOMENT + step,
            "step": step,
        }


def timed(both: tuple[Side, Side], ask: Callable[[Side], None], options: argparse.Namespace) -> list[float]:
    """Milliseconds, the median of all times asked; each side is asked once before."""
    took: dict[str, list[float]] = {side.name: [] for side in both}
    for side in both:
        ask(side)
    for _repeat in range(options.repeats):
        for side in both:
            until = time.monotonic() + options.seconds / 2
            while time.monotonic() < until:
                began = time.perf_counter()
                ask(side)
                took[side.name].append((time.perf_counter() - began) * 1000)
    return [statistics.median(took[side.name]) for side in both]


def search(side: Side, most: int, **asked: Any) -> dict[str, Any]:
    found = side.ask(
        "POST", "runs/search", {"experiment_ids": [side.experiment], "max_results": most, **asked}
    )
    assert 0 < len(found["runs"]) <= most, found
    return found


def read_all(side: Side, count: int) -> None:
    """By pages of 10,000, as `mlflow.search_runs` reads."""
    read, token = 0, ""
    while token or not read:
        page = search(side, 10_000, page_token=token)
        read += len(page["runs"])
        token = page.get("next_page_token", "")
    assert read >= count


def make_history(side: Side) -> str:
    run = side.make_run()
    for start in range(0, HISTORY, 1000):
        points = [
            {"key": "loss", "value": 1 / (step + 1), "timestamp": MOMENT + step, "step": step}
            for step in range(start, start + 1000)
        ]
        side.ask("POST", "runs/log-batch", {"run_id": run, "metrics": points})
    return run


def read_history(side: Side, run: str) -> None:
    read = side.ask("GET", "metrics/get-history", {"run_id": run, "metric_key": "loss"})["metrics"]
    assert len(read) == HISTORY


def table(figures: list[Figure]) -> str:
    lines = ["| what | ours | mlflow | unit | ratio | to reach |", "| --- | --- | --- | --- | --- | --- |"]
    for one in figures:
        lines.append(
            f"| {one.what} | {one.ours:.2f} | {one.peer:.2f} | {one.unit} | {one.ratio:.1f} × | {one.aim:g} × |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
