"""Runs side by side: the parameters that differ, the latest metrics, and their histories on one step axis."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from core.errors import NotFound
from core.models import User
from core.translation import gettext as _
from lifecycle.downsampling import downsample
from lifecycle.models import MetricPoint, Run, RunMetric, RunParameter
from lifecycle.operations.metrics import HISTORY_ROW, READ_BATCH, numbers

# Charts drawn when the caller names no metrics; the others are named, so that they can be asked for.
DEFAULT_HISTORIES = 20


class Step(NamedTuple):
    step: int
    value: float


def compare_runs(
    *, actor: User, run_ids: list[str], metric_names: list[str] | None = None, max_points: int = 200
) -> dict[str, Any]:
    """Compare runs, in the order of `run_ids`. Raises NotFound naming the ids that are not there.

    `parameters` are those that differ (a run without one has None), `metrics` the latest values, and
    `histories` one series of at most `max_points` [step, value] pairs a run, for `metric_names` or for the
    first 20 metrics; `histories_left_out` names the rest.
    """
    visible = Run.objects.visible_to(actor).kept().select_related("experiment")
    found = {run.run_id: run for run in visible.filter(run_id__in=run_ids)}
    missing = [run_id for run_id in run_ids if run_id not in found]
    if missing:
        raise NotFound(_("There are no such runs: %(ids)s.") % {"ids": ", ".join(missing)})
    runs = [found[run_id] for run_id in run_ids]
    ids = {run.pk: run.run_id for run in runs}
    latest = list(RunMetric.objects.filter(run__in=runs).order_by("name", "dataset"))
    logged = sorted({metric.name for metric in latest})
    drawn = metric_names if metric_names is not None else logged[:DEFAULT_HISTORIES]
    return {
        "runs": runs,
        "parameters": _differing(ids),
        "metrics": _latest_table(latest, ids),
        "histories": _histories(drawn, ids, max_points),
        "histories_left_out": [name for name in logged if name not in drawn],
    }


def _differing(ids: dict[int, str]) -> list[dict[str, Any]]:
    values: dict[str, dict[str, str | None]] = {}
    for parameter in RunParameter.objects.filter(run__in=ids).order_by("name"):
        values.setdefault(parameter.name, dict.fromkeys(ids.values()))[ids[parameter.run_id]] = (
            parameter.value
        )
    return [{"name": name, "values": row} for name, row in values.items() if len(set(row.values())) > 1]


def _latest_table(latest: Iterable[RunMetric], ids: dict[int, str]) -> list[dict[str, Any]]:
    table: dict[tuple[str, str], dict[str, float | None]] = {}
    for metric in latest:
        row = table.setdefault((metric.name, metric.dataset), dict.fromkeys(ids.values()))
        row[ids[metric.run_id]] = metric.number
    return [
        {"metric_name": name, "dataset": dataset, "values": row} for (name, dataset), row in table.items()
    ]


def _histories(names: list[str], ids: dict[int, str], max_points: int) -> list[dict[str, Any]]:
    """One pass over the points of all runs and metrics, one series in memory at a time."""
    rows = (
        MetricPoint.objects.filter(run__in=ids, name__in=names)
        .order_by("name", "dataset", "run_id", "step", "timestamp", "id")
        .values_list("name", "dataset", "run_id", "id", "step", "value", "is_nan")
        .iterator(chunk_size=READ_BATCH)
    )
    histories: list[dict[str, Any]] = []
    for (name, dataset), metric_rows in groupby(rows, key=lambda row: row[:2]):
        series = [
            {"run_id": ids[run], "points": _points(run_rows, max_points)}
            for run, run_rows in groupby(metric_rows, key=lambda row: row[2])
        ]
        histories.append({"metric_name": name, "dataset": dataset, "series": series})
    return histories


def _points(rows: Iterable[tuple[Any, ...]], max_points: int) -> list[Step]:
    table = np.fromiter((row[3:] for row in rows), dtype=HISTORY_ROW)
    values = numbers(table)
    chosen = downsample(table["step"], values, max_points)
    return list(map(Step, table["step"][chosen].tolist(), values[chosen].tolist()))
