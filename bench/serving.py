"""Predictions over HTTP side by side: this platform as a whole against `mlflow models serve`.

    python -m bench.serving [--peer-python /tmp/peer/bin/python] [--seconds 5] [--repeats 3] [--only forest]

Both serve the same saved model at the same time and are asked in turn (A B A B), for the same rows, by the
same client; the one that is not asked idles. Ours is the web server with token sign-in and request log,
worker, beat, agent and one replica, on the embedded default. The peer lives in an environment of its own:

    python -m venv /tmp/peer
    /tmp/peer/bin/pip install mlflow==3.17.2 scikit-learn==1.9.1 skops==0.16.0

Without --peer-python only ours is measured. Exits with 1 when a request failed.
"""

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil

from bench import closed_loop, sides
from bench.report import Costs, Measurement, costs, summarise, tables
from bench.sides import Side
from lifecycle.demo import training
from tests.reliability.platform import Platform
from tests.stack import Stack

MODELS = {"forest": "random forest", "logistic": "logistic regression"}
CONNECTIONS = (1, 16)
ROWS = (1, 1000)
# Rows differ from request to request; large bodies come in fewer kinds.
KINDS = {1: 200, 1000: 4}
SMOKE_SECONDS = 0.5
LONGEST_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class Cell:
    model: str
    connections: int
    rows: int

    def __str__(self) -> str:
        return f"{self.model}/{self.connections}/{self.rows}"

    def is_in(self, only: str) -> bool:
        """Whether its name begins with these words: forest/1 is not forest/16."""
        return not only or f"{self}/".startswith(f"{only.rstrip('/')}/")


CELLS = [Cell(model, connections, rows) for model in MODELS for connections in CONNECTIONS for rows in ROWS]


def main() -> int:
    options = parse()
    print(heading(options), flush=True)
    data = training.load()
    candidates = {candidate.name: candidate for candidate in training.train_candidates(data)}
    measured: list[Measurement] = []
    processes: list[Costs] = []
    with platform() as running:
        for model, name in MODELS.items():
            cells = [cell for cell in CELLS if cell.model == model and cell.is_in(options.only)]
            if cells:
                with serving(candidates[name], data, running, options) as both:
                    measured += measure_all(both, cells, data, options)
                    processes += [costs(model, side, side.memory()) for side in both]
    summaries = summarise(measured)
    print(f"\n{tables(summaries, processes)}")
    if options.json:
        found = {"cells": summaries, "processes": processes}
        options.json.write_text(json.dumps(found, default=dataclasses.asdict, indent=1))
    return 1 if any(summary.errors for summary in summaries) else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving")
    parser.add_argument("--peer-python", type=Path, help="interpreter of an environment with all of mlflow")
    parser.add_argument(
        "--peer-workers", type=int, default=1, help="processes of the peer; mlflow's default is 1"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="measured time of a cell, side and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="cells that begin so: forest, forest/16, logistic/1/1000")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--smoke", action="store_true", help=f"ours only, {SMOKE_SECONDS} s a cell, once")
    options = parser.parse_args()
    if options.smoke and options.peer_python:
        parser.error("--smoke measures ours only; leave out --peer-python.")
    if options.smoke:
        options.seconds, options.repeats = SMOKE_SECONDS, 1
    if options.seconds <= 0 or options.repeats < 1 or options.peer_workers < 1:
        parser.error("--seconds, --repeats and --peer-workers must be above 0.")
    if not any(cell.is_in(options.only) for cell in CELLS):
        parser.error(f"--only {options.only} is none of {', '.join(map(str, CELLS))}.")
    return options


def heading(options: argparse.Namespace) -> str:
    averages = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    peer = f"mlflow models serve --env-manager local --workers {options.peer_workers}"
    alone = "none. NO COMPARISON: without --peer-python only this platform is measured."
    return (
        f"machine: {psutil.cpu_count()} cores, load average before the start {averages}\n"
        f"each cell and side: {options.repeats} × {options.seconds:g} s, medians\n"
        f"peer: {peer if options.peer_python else alone}"
    )


@contextmanager
def platform() -> Iterator[Platform]:
    """The whole platform on a data folder of its own, which stays when something failed: its logs say why."""
    data_dir = Path(tempfile.mkdtemp(prefix="bench-"))
    with Stack(data_dir) as stack:
        yield Platform(stack)
    shutil.rmtree(data_dir)


@contextmanager
def serving(
    candidate: training.Candidate, data: training.Data, running: Platform, options: argparse.Namespace
) -> Iterator[list[Side]]:
    """The sides, both with this model and both known to answer as it does."""
    first, *_ = samples(data, 1)
    many, *_ = samples(data, 1000)
    expected = candidate.model.predict(many).tolist()
    with ExitStack() as stack:
        model = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "model"
        training.save(candidate, data, model)
        ours = stack.enter_context(sides.ours(running, model))
        both: list[Side] = [ours]
        for _ in range(options.repeats):
            ours.restart(as_body(first))
        if options.peer_python:
            peer = sides.peer(options.peer_python, model, as_body(first), workers=options.peer_workers)
            both.append(stack.enter_context(peer))
        for side in both:
            if side.predict(as_body(many)) != expected:
                raise SystemExit(f"“{side.name}” does not answer as the trained {candidate.name} does.")
        yield both


def samples(data: training.Data, rows: int) -> list[pd.DataFrame]:
    """Rows of the training data, drawn with a fixed seed."""
    seeds = range(training.SEED, training.SEED + KINDS[rows])
    return [data.train.sample(rows, replace=True, random_state=seed) for seed in seeds]


def as_body(sample: pd.DataFrame) -> str:
    return json.dumps({"dataframe_split": sample.to_dict("split", index=False)})


def measure_all(
    both: list[Side], cells: list[Cell], data: training.Data, options: argparse.Namespace
) -> list[Measurement]:
    """Every cell in turn, and in a cell the sides in turn."""
    bodies = {rows: [as_body(sample) for sample in samples(data, rows)] for rows in ROWS}
    return [
        measure(side, cell, bodies[cell.rows], options.seconds)
        for cell in cells
        for _ in range(options.repeats)
        for side in both
    ]


def measure(side: Side, cell: Cell, bodies: list[str], seconds: float) -> Measurement:
    """One side in one cell, once. Its CPU is that of all that was asked, the warm-up included."""
    warm_up = min(LONGEST_WARM_UP_SECONDS, seconds / 5)
    plan = closed_loop.Plan(side.url, side.headers, bodies, cell.connections, seconds, warm_up)
    before, busy = side.cpu_seconds(), busy_seconds()
    found = closed_loop.generate_elsewhere(plan)
    used = {part: total - before[part] for part, total in side.cpu_seconds().items()}
    others = busy_seconds() - busy - sum(used.values())
    print(f"  {cell!s:16}  {side.name:6}  {found.requests_per_second:8.1f}/s", found.first_error, flush=True)
    return Measurement(
        cell=str(cell),
        side=side.name,
        found=found,
        cpu_ms={part: value * 1000 / max(1, found.asked) for part, value in used.items()},
        other_cores=max(0.0, others / (seconds + warm_up) - found.client_cores),
    )


def busy_seconds() -> float:
    """CPU time that the machine's cores have spent on anything so far."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system + times.irq + times.softirq


if __name__ == "__main__":
    sys.exit(main())
