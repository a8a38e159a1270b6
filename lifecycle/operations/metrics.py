"""Metric points: append them, keep the latest value of each metric, read histories."""

import math
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any, TypedDict

import numpy as np
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import Invalid, TooLarge
from core.models import User
from core.names import check_visible
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.downsampling import downsample
from lifecycle.models import MetricPoint, Run, RunMetric
from lifecycle.models.runs import Measurement
from lifecycle.names import check_key

MAX_POINTS_A_REQUEST = 1000
READ_BATCH = 10_000
UPDATED = ("value", "is_nan", "step", "timestamp")
SMALLEST_STEP, LARGEST_STEP = -(2**63), 2**63 - 1
HISTORY_ROW = np.dtype([("id", "i8"), ("step", "i8"), ("value", "f8"), ("is_nan", "?")])


class Point(TypedDict, total=False):
    """What a client logs; `step` defaults to 0 and `timestamp` to now."""

    metric_name: str
    value: float
    dataset: str
    step: int
    timestamp: datetime


@transaction.atomic
def log_metrics(*, actor: User | None, run: Run, metrics: list[Point]) -> None:
    """Append points to the run's histories and bring its latest values up to date.

    Raises TooLarge beyond 1,000 points, Invalid for a name or a step that cannot be kept. All points are
    kept, or none.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if len(metrics) > MAX_POINTS_A_REQUEST:
        raise TooLarge(_("At most %(limit)s points a request.") % {"limit": MAX_POINTS_A_REQUEST})
    points = [_point(run, metric) for metric in metrics]
    # One writer of latest values at a time: two batches compare themselves with the same row otherwise.
    Run.objects.select_for_update(no_key=True).get(pk=run.pk)
    MetricPoint.objects.bulk_create(points)
    _keep_latest(run, points)


def _point(run: Run, metric: Point) -> MetricPoint:
    value = metric["value"]
    step = metric.get("step", 0)
    if not SMALLEST_STEP <= step <= LARGEST_STEP:
        raise Invalid(_("A step is a whole number of 64 bits."), fields={"step": step})
    return MetricPoint(
        run=run,
        name=check_key(metric["metric_name"]),
        dataset=check_visible(metric.get("dataset", ""), field="dataset"),
        value=0.0 if math.isnan(value) else value,
        is_nan=math.isnan(value),
        step=step,
        timestamp=metric.get("timestamp") or timezone.now(),
    )


def recency(point: Measurement) -> tuple[Any, ...]:
    """What makes a value the latest: the highest step, then time, then value, as in MLflow; NaN ranks below
    numbers.
    """
    return point.step, point.timestamp, not point.is_nan, point.value


def _keep_latest(run: Run, points: Iterable[MetricPoint]) -> None:
    latest: dict[tuple[str, str], Measurement] = {}
    for point in points:
        key = (point.name, point.dataset)
        latest[key] = max(latest.get(key, point), point, key=recency)
    kept = {
        (row.name, row.dataset): row for row in run.metrics.filter(name__in={name for name, _set in latest})
    }
    newer = [
        RunMetric(run=run, name=name, dataset=dataset, **{field: getattr(point, field) for field in UPDATED})
        for (name, dataset), point in latest.items()
        if (name, dataset) not in kept or recency(point) >= recency(kept[name, dataset])
    ]
    RunMetric.objects.bulk_create(
        newer, update_conflicts=True, unique_fields=["run", "name", "dataset"], update_fields=list(UPDATED)
    )


def history(*, run: Run, key: str = "", dataset: str | None = None) -> QuerySet[MetricPoint]:
    """The run's points in the order they count: of all metrics, or of one, or of one on one data set."""
    points = MetricPoint.objects.filter(run=run)
    if key:
        points = points.filter(name=key)
    if dataset is not None:
        points = points.filter(dataset=dataset)
    return points.order_by("name", "dataset", "step", "timestamp", "id")


def downsampled_history(
    *, run: Run, key: str, dataset: str | None = None, max_points: int
) -> tuple[list[MetricPoint], int]:
    """At most `max_points` points of each of the metric's series (one a data set), and how many there are in
    all.

    First, last, lowest and highest of a series are always among them.
    """
    points = history(run=run, key=key, dataset=dataset)
    rows = points.values_list("dataset", "id", "step", "value", "is_nan").iterator(chunk_size=READ_BATCH)
    chosen: list[int] = []
    total = 0
    for _dataset, series in groupby(rows, key=lambda row: row[0]):
        table = np.fromiter((row[1:] for row in series), dtype=HISTORY_ROW)
        total += len(table)
        chosen += table["id"][downsample(table["step"], numbers(table), max_points)].tolist()
    return list(points.filter(pk__in=chosen)), total


def numbers(table: np.ndarray) -> np.ndarray:
    """The values of history rows as floats, with NaN where the row says so."""
    return np.where(table["is_nan"], np.nan, table["value"])
