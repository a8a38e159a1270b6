"""What deployments were asked and how they did, from sums per minute and hour, so that a week is cheap."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone

from serving import histogram
from serving.models import RequestLog, RequestSums
from serving.states import Span

LENGTH = {Span.MINUTE: timedelta(minutes=1), Span.HOUR: timedelta(hours=1)}
# Longer than any chart that shows minutes.
MINUTES_KEPT = timedelta(days=8)
DELETED_AT_ONCE = 5_000
PERCENTILES = {"p50_latency_ms": 0.5, "p95_latency_ms": 0.95, "p99_latency_ms": 0.99}


@dataclass(frozen=True)
class Point:
    """One point of a chart: the requests from `at` to the next point. Latencies are None without any."""

    at: datetime
    request_count: int
    error_count: int
    client_error_count: int
    p50_latency_ms: float | None
    p95_latency_ms: float | None
    p99_latency_ms: float | None


def deployment_metrics(deployment_id: int, since: datetime, until: datetime | None = None) -> dict[str, Any]:
    """The figures of one deployment over whole minutes: the one `since` falls in and those after it.

    Errors are answers of 500 and above, a gateway that reached no replica included; answers of 4xx count as
    requests and not as errors. Latencies are of requests that got predictions, None without any.
    """
    return metrics_for([deployment_id], since, until)[deployment_id]


def metrics_for(
    deployment_ids: Collection[int], since: datetime, until: datetime | None = None
) -> dict[int, dict[str, Any]]:
    """`deployment_metrics` of many, in one query."""
    rows = _by_deployment(_between(since, until or _next_hour(), deployment_id__in=deployment_ids))
    return {deployment_id: _figures(rows[deployment_id]) for deployment_id in deployment_ids}


def series(deployment_id: int, since: datetime, buckets: int, until: datetime | None = None) -> list[Point]:
    """At most `buckets` points of equal length; the last is the one that `until` (now) falls in.

    A point is a whole number of minutes long, or of hours where it would be longer than one.
    """
    return series_for([deployment_id], since, buckets, until)[deployment_id]


def series_for(
    deployment_ids: Collection[int], since: datetime, buckets: int, until: datetime | None = None
) -> dict[int, list[Point]]:
    """`series` of many, in one query."""
    axis = Axis.over(since, until or timezone.now(), buckets)
    rows = _by_deployment(axis.rows(deployment_id__in=deployment_ids))
    return {deployment_id: axis.points(rows[deployment_id]) for deployment_id in deployment_ids}


def total_series(since: datetime, buckets: int, until: datetime | None = None) -> list[Point]:
    """`series` of all deployments together."""
    axis = Axis.over(since, until or timezone.now(), buckets)
    return axis.points(axis.rows())


def forget_old_requests() -> None:
    """Delete single requests and sums that are older than they are kept."""
    now = timezone.now()
    logs_until = now - timedelta(days=settings.SERVING_LOG_RETENTION_DAYS)
    hours_until = now - timedelta(days=settings.SERVING_METRICS_RETENTION_DAYS)
    _delete(RequestLog, RequestLog.objects.filter(at__lt=logs_until))
    _delete(RequestSums, RequestSums.objects.filter(span=Span.MINUTE, start__lt=now - MINUTES_KEPT))
    _delete(RequestSums, RequestSums.objects.filter(span=Span.HOUR, start__lt=hours_until))


@dataclass(frozen=True)
class Axis:
    """The time axis of a chart: `number` points, each `length` long, of rows of one span."""

    start: datetime
    length: timedelta
    number: int
    span: Span

    @classmethod
    def over(cls, since: datetime, until: datetime, buckets: int) -> "Axis":
        """The finest axis of at most `buckets` points."""
        span = Span.HOUR if (until - since) / buckets >= LENGTH[Span.HOUR] else Span.MINUTE
        # Rounded: a period that was named a moment before now is not one span longer for it.
        spans = max(1, round((until - since) / LENGTH[span]))
        length = LENGTH[span] * math.ceil(spans / buckets)
        number = math.ceil(spans * LENGTH[span] / length)
        end = _floor(until, span) + LENGTH[span]
        return cls(end - number * length, length, number, span)

    def rows(self, **which: Any) -> QuerySet[RequestSums]:
        end = self.start + self.number * self.length
        return RequestSums.objects.filter(span=self.span, start__gte=self.start, start__lt=end, **which)

    def points(self, rows: Iterable[RequestSums]) -> list[Point]:
        """Every point, those without requests included."""
        found: dict[int, list[RequestSums]] = defaultdict(list)
        for row in rows:
            found[(row.start - self.start) // self.length].append(row)
        return [_point(self.start + number * self.length, found[number]) for number in range(self.number)]


def _between(since: datetime, until: datetime, **which: Any) -> QuerySet[RequestSums]:
    """The fewest rows that cover a period: whole hours, and the minutes before and after them."""
    since = _floor(since, Span.MINUTE)
    first, last = (
        _floor(since - timedelta(microseconds=1), Span.HOUR) + LENGTH[Span.HOUR],
        _floor(until, Span.HOUR),
    )
    first, last = min(first, until), max(last, min(first, until))
    rows = RequestSums.objects.filter(**which)
    before = rows.filter(span=Span.MINUTE, start__gte=since, start__lt=first)
    hours = rows.filter(span=Span.HOUR, start__gte=first, start__lt=last)
    after = rows.filter(span=Span.MINUTE, start__gte=last, start__lt=until)
    return before.union(hours, after, all=True)


def _by_deployment(rows: Iterable[RequestSums]) -> dict[int, list[RequestSums]]:
    found: dict[int, list[RequestSums]] = defaultdict(list)
    for row in rows:
        found[row.deployment_id].append(row)
    return found


def _figures(rows: list[RequestSums]) -> dict[str, Any]:
    count = sum(row.count for row in rows)
    errors = sum(row.errors for row in rows)
    latencies = histogram.merge(row.histogram for row in rows)
    answered = sum(latencies.values())
    return {
        "request_count": count,
        "error_count": errors,
        "error_rate": errors / count if count else None,
        "avg_latency_ms": sum(row.latency_sum_ms for row in rows) / answered if answered else None,
        **_percentiles(latencies),
        "last_updated": max((row.last_at for row in rows), default=None),
    }


def _point(at: datetime, rows: list[RequestSums]) -> Point:
    return Point(
        at=at,
        request_count=sum(row.count for row in rows),
        error_count=sum(row.errors for row in rows),
        client_error_count=sum(row.client_errors for row in rows),
        **_percentiles(histogram.merge(row.histogram for row in rows)),
    )


def _percentiles(latencies: dict[str, int]) -> dict[str, float | None]:
    return {name: histogram.quantile(latencies, q) for name, q in PERCENTILES.items()}


def _floor(moment: datetime, span: Span) -> datetime:
    """The start of the minute or hour; hours are those of UTC, as they are recorded."""
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return moment.replace(minute=0) if span == Span.HOUR else moment


def _next_hour() -> datetime:
    """Until then the hour that runs counts as a whole one: nothing after now is in it."""
    return _floor(timezone.now(), Span.HOUR) + LENGTH[Span.HOUR]


def _delete(model: type[Model], old: QuerySet) -> None:
    """In portions, so that whoever else writes gets a turn."""
    while model._default_manager.filter(pk__in=old.order_by("pk").values("pk")[:DELETED_AT_ONCE]).delete()[0]:
        pass
