"""Stores of many runs for `bench.tracking`: the same runs for both sides, written past their servers.

Through the servers 20,000 runs would take MLflow a quarter of an hour. As a program this fills the database of the
platform whose settings are in its environment: `python -m bench.tracking_stores 500 EXPERIMENT`.
"""

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PARAMETERS = METRICS = 5
MOMENT = 1_772_368_259_000
BATCH = 2000


class LoggedRun(NamedTuple):
    run_id: str
    name: str
    started: int
    parameters: dict[str, str]
    metrics: dict[str, float]


def logged_runs(count: int) -> Iterator[LoggedRun]:
    """Runs that differ in all that is searched and ordered by; the same ones each time."""
    for number in range(count):
        yield LoggedRun(
            run_id=f"{number:032x}",
            name=f"run-{number}",
            started=MOMENT + number,
            parameters={f"p{place}": str(number % (place + 7)) for place in range(PARAMETERS)},
            metrics={f"m{place}": (number * 7919 + place) % count / count for place in range(METRICS)},
        )


def fill_peer(database: Path, count: int, experiment: str) -> None:
    """Write the runs into the tables of MLflow's server, as it would have."""
    runs = list(logged_runs(count))
    with sqlite3.connect(database, timeout=60) as connection:
        _insert(connection, "runs", [_peer_run(run, experiment) for run in runs])
        _insert(
            connection,
            "tags",
            [{"key": "mlflow.runName", "value": run.name, "run_uuid": run.run_id} for run in runs],
        )
        _insert(
            connection,
            "params",
            [
                {"key": key, "value": value, "run_uuid": run.run_id}
                for run in runs
                for key, value in run.parameters.items()
            ],
        )
        points = [
            {
                "key": key,
                "value": value,
                "timestamp": run.started,
                "step": 0,
                "is_nan": 0,
                "run_uuid": run.run_id,
            }
            for run in runs
            for key, value in run.metrics.items()
        ]
        _insert(connection, "metrics", points)
        _insert(connection, "latest_metrics", points)


def _peer_run(run: LoggedRun, experiment: str) -> dict[str, Any]:
    return {
        "run_uuid": run.run_id,
        "name": run.name,
        "source_type": "UNKNOWN",
        "source_name": "",
        "entry_point_name": "",
        "source_version": "",
        "user_id": "bench",
        "status": "FINISHED",
        "start_time": run.started,
        "end_time": run.started + 1000,
        "lifecycle_stage": "active",
        "artifact_uri": f"mlflow-artifacts:/{experiment}/{run.run_id}/artifacts",
        "experiment_id": int(experiment),
    }


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    marks = ", ".join(f":{column}" for column in columns)
    names = ", ".join(f'"{column}"' for column in columns)
    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608  # our own names


def fill_ours(count: int, experiment: str) -> None:
    """Write the runs into the database of the settings."""
    import django

    django.setup()
    from core.milliseconds import moment_of
    from core.models import User
    from lifecycle.models import MetricPoint, Run, RunMetric, RunParameter

    author = User.objects.get(username="bench")
    runs = list(logged_runs(count))
    rows = [
        Run(
            run_id=run.run_id,
            name=run.name,
            experiment_id=int(experiment),
            mlflow_user="bench",
            status="completed",
            started_at=moment_of(run.started),
            completed_at=moment_of(run.started + 1000),
            created_by=author,
        )
        for run in runs
    ]
    Run.objects.bulk_create(rows, batch_size=BATCH)
    logged = list(zip(rows, runs, strict=True))
    RunParameter.objects.bulk_create(
        (
            RunParameter(run=row, name=name, value=value)
            for row, run in logged
            for name, value in run.parameters.items()
        ),
        batch_size=BATCH,
    )
    for model in (RunMetric, MetricPoint):
        model.objects.bulk_create(
            (
                model(run=row, name=name, value=value, timestamp=run.started)
                for row, run in logged
                for name, value in run.metrics.items()
            ),
            batch_size=BATCH,
        )


if __name__ == "__main__":
    fill_ours(int(sys.argv[1]), sys.argv[2])
