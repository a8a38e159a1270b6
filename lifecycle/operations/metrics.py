"""Metric points: append them, keep the latest value of each metric, read histories."""

import math
from itertools import groupby
from typing import NamedTuple, TypedDict

import numpy as np
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import Invalid, TooLarge
from core.milliseconds import milliseconds_of
from core.models import User
from core.names import check_key, check_visible
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.downsampling import downsample
from lifecycle.models import LoggedModelMetric, MetricPoint, Run, RunMetric
from lifecycle.models.runs import Measurement
from lifecycle.operations.logged_models import keys_of

MAX_POINTS_A_REQUEST = 1000
READ_BATCH = 10_000
# What makes a value the latest: the highest step, then time, then value, as in MLflow; NaN counts as 0.
UNLESS_LATER = """(run_id, name, dataset) DO UPDATE SET
value = excluded.value, is_nan = excluded.is_nan, step = excluded.step, timestamp = excluded.timestamp
WHERE (excluded.step, excluded.timestamp, excluded.value) > (kept.step, kept.timestamp, kept.value)"""
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**63 - 1
HISTORY_ROW = np.dtype([("id", "i8"), ("step", "i8"), ("value", "f8"), ("is_nan", "?")])


class Point(TypedDict, total=False):
    """What a client logs; `step` defaults to 0, and `timestamp`, in milliseconds since 1970, to now."""

    metric_name: str
    value: float
    dataset: str
    step: int
    timestamp: int
    model_id: str  # the logged model that it was measured of, and
    dataset_digest: str  # on which state of the data set


class Row(NamedTuple):
    """A point as the columns of its table."""

    run_id: int
    name: str
    dataset: str
    step: int
    timestamp: int
    value: float
    is_nan: bool

    @property
    def recency(self) -> tuple[int, int, float]:
        return self.step, self.timestamp, self.value


@transaction.atomic
def log_metrics(*, actor: User | None, run: Run, metrics: list[Point]) -> None:
    """Append points to the run's histories and bring its latest values up to date. A point that is there already, the
    same in all it says, is not kept twice: a client that heard no answer may send its batch again.

    Raises what `write_points` raises. All points are kept, or none.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    Run.objects.lock(run.pk)
    write_points(run, metrics)


def write_points(run: Run, metrics: list[Point]) -> None:
    """As `log_metrics`, for an operation that has looked at rights and locked the run, or made it.

    Raises TooLarge beyond 1,000 points, NotFound for a logged model that is not there, Invalid for a name, a step or a
    time that cannot be kept.
    """
    if len(metrics) > MAX_POINTS_A_REQUEST:
        raise TooLarge(_("At most %(limit)s points a request.") % {"limit": MAX_POINTS_A_REQUEST})
    now = milliseconds_of(timezone.now())
    rows = [_row(run, metric, now) for metric in metrics]
    _insert(MetricPoint, rows, "DO NOTHING")
    _insert(RunMetric, _latest(rows), UNLESS_LATER)
    _write_of_models(
        [(metric, row) for metric, row in zip(metrics, rows, strict=True) if metric.get("model_id")]
    )


def _write_of_models(measured: list[tuple[Point, Row]]) -> None:
    """What was measured of logged models is kept with them, too. Raises NotFound for one that is not there."""
    keys = keys_of({metric["model_id"] for metric, _row in measured}) if measured else {}
    LoggedModelMetric.objects.bulk_create(
        [
            LoggedModelMetric(
                logged_model_id=keys[metric["model_id"]],
                dataset_digest=check_visible(metric.get("dataset_digest", ""), field="dataset_digest"),
                **row._asdict(),
            )
            for metric, row in measured
        ],
        ignore_conflicts=True,
    )


def _row(run: Run, metric: Point, now: int) -> Row:
    value, step = metric["value"], metric.get("step", 0)
    timestamp = metric.get("timestamp", now)
    if not SMALLEST_INTEGER <= step <= LARGEST_INTEGER:
        raise Invalid(_("A step is a whole number of 64 bits."), fields={"step": step})
    if not SMALLEST_INTEGER <= timestamp <= LARGEST_INTEGER:
        raise Invalid(_("A time is a whole number of 64 bits."), fields={"timestamp": timestamp})
    is_nan = math.isnan(value)
    return Row(
        run_id=run.pk,
        name=check_key(metric["metric_name"]),
        dataset=check_visible(metric.get("dataset", ""), field="dataset"),
        step=step,
        timestamp=timestamp,
        value=0.0 if is_nan else float(value),
        is_nan=is_nan,
    )


def _latest(rows: list[Row]) -> list[Row]:
    """Of each metric in the batch the value that is the latest; the first of those that are."""
    latest: dict[tuple[str, str], Row] = {}
    for row in rows:
        before = latest.setdefault((row.name, row.dataset), row)
        if before is not row and row.recency > before.recency:
            latest[row.name, row.dataset] = row
    return list(latest.values())


def _insert(model: type[Measurement], rows: list[Row], on_conflict: str) -> None:
    """Write the rows by one statement of our own: `bulk_create` takes four times as long for a hundred, and cannot
    leave a later value as it is.
    """
    if not rows:
        return
    values = ", ".join([f"({', '.join(['%s'] * len(Row._fields))})"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} AS kept ({', '.join(Row._fields)}) VALUES {values} "  # noqa: S608
            f"ON CONFLICT {on_conflict}",
            [value for row in rows for value in row],
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
