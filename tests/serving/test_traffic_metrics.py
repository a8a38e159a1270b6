"""The figures of deployments come from the requests that were recorded."""

from datetime import UTC, datetime, timedelta

import numpy
import pytest
from django.utils import timezone

from serving.histogram import RELATIVE_ACCURACY
from serving.models import RequestLog, RequestSums
from serving.operations import traffic
from serving.recorder import PredictionRecord, Recorder
from serving.tasks import forget_old_requests

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def record(*records):
    """Write requests as the gateway does; each is (deployment, time, status, latency)."""
    recorder = Recorder()
    recorder._start = lambda: None  # the test's own transaction is the one that must see them
    for deployment_id, at, status, latency_ms in records:
        recorder.record(PredictionRecord("r", deployment_id, at, status, latency_ms, rows=2))
    assert recorder.flush()


def test_a_deployment_without_traffic_has_no_rate_and_no_latency():
    assert traffic.deployment_metrics(1, since=NOON) == {
        "request_count": 0,
        "error_count": 0,
        "error_rate": None,
        "avg_latency_ms": None,
        "p50_latency_ms": None,
        "p95_latency_ms": None,
        "p99_latency_ms": None,
        "last_updated": None,
    }


def test_server_errors_are_errors_and_client_errors_are_not():
    record(*[(1, NOON, status, 10.0) for status in (200, 200, 400, 413, 500, 503, 504, 200)])

    figures = traffic.deployment_metrics(1, since=NOON)

    assert (figures["request_count"], figures["error_count"], figures["error_rate"]) == (8, 3, 3 / 8)
    (point,) = traffic.series(1, since=NOON, buckets=1, until=NOON + MINUTE / 2)
    assert (point.request_count, point.error_count, point.client_error_count) == (8, 3, 2)


def test_latencies_are_of_answered_requests_only():
    record((1, NOON, 200, 40.0), (1, NOON, 200, 60.0), (1, NOON, 503, 0.1), (1, NOON, 504, 30_000.0))

    figures = traffic.deployment_metrics(1, since=NOON)

    assert figures["avg_latency_ms"] == pytest.approx(50.0)
    assert figures["p50_latency_ms"] == pytest.approx(40.0, rel=RELATIVE_ACCURACY)


def test_only_errors_leave_latencies_unknown():
    record((1, NOON, 500, 3.0))

    figures = traffic.deployment_metrics(1, since=NOON)

    assert figures["error_rate"] == 1.0
    assert figures["avg_latency_ms"] is figures["p99_latency_ms"] is None


def test_percentiles_over_many_hours_are_those_of_all_requests_together():
    latencies = numpy.random.default_rng(7).lognormal(3, 1, 600)
    times = [NOON - timedelta(hours=30) + number * 3 * MINUTE for number in range(600)]
    record(*[(1, at, 200, latency) for at, latency in zip(times, latencies, strict=True)])

    figures = traffic.deployment_metrics(1, since=times[0], until=NOON)

    assert figures["request_count"] == 600
    assert figures["avg_latency_ms"] == pytest.approx(latencies.mean())
    for name, q in [("p50_latency_ms", 0.5), ("p95_latency_ms", 0.95), ("p99_latency_ms", 0.99)]:
        true = numpy.quantile(latencies, q, method="lower")
        assert figures[name] == pytest.approx(true, rel=RELATIVE_ACCURACY)
    assert figures["last_updated"] == times[-1]


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOON - 5 * MINUTE, NOON),
        (NOON - 200 * MINUTE, NOON + 7 * MINUTE),
        (NOON - 3 * HOUR, NOON - HOUR),
        (NOON - 90 * MINUTE, NOON - 31 * MINUTE),
        (NOON + 3 * MINUTE, NOON + 9 * MINUTE),
        (NOON, NOON + HOUR),
    ],
)
def test_whole_hours_and_the_minutes_around_them_count_each_request_once(since, until):
    times = [NOON + number * MINUTE for number in range(-300, 61)]
    record(*[(1, at, 200, 1.0) for at in times])

    asked = sum(since <= at < until for at in times)

    assert traffic.deployment_metrics(1, since=since, until=until)["request_count"] == asked


def test_a_period_begins_with_the_minute_it_names():
    record((1, NOON, 200, 1.0), (1, NOON + 30 * timedelta(seconds=1), 200, 1.0), (1, NOON - MINUTE, 200, 1.0))

    since = NOON + timedelta(seconds=20)

    assert traffic.deployment_metrics(1, since=since)["request_count"] == 2


def test_the_running_hour_counts_up_to_now():
    now = timezone.now()
    record((1, now, 200, 1.0), (1, now - 3 * HOUR, 200, 1.0))

    assert traffic.deployment_metrics(1, since=now - 7 * DAY)["request_count"] == 2


def test_many_deployments_take_one_query(django_assert_num_queries):
    record((1, NOON, 200, 1.0), (2, NOON, 500, 1.0), (9, NOON, 200, 1.0))

    with django_assert_num_queries(1):
        figures = traffic.metrics_for([1, 2, 3], since=NOON)

    assert {key: value["request_count"] for key, value in figures.items()} == {1: 1, 2: 1, 3: 0}


def test_a_week_of_traffic_is_read_as_hours(django_assert_num_queries):
    now = timezone.now()
    record(*[(1, now - number * 10 * MINUTE, 200, 1.0) for number in range(1, 6 * 24 * 7)])

    rows = list(traffic._between(now - 7 * DAY, traffic._next_hour(), deployment_id__in=[1]))

    assert len(rows) < 7 * 24 + 60
    assert sum(row.count for row in rows) == 6 * 24 * 7 - 1


@pytest.mark.parametrize(
    ("window", "buckets", "number", "length"),
    [
        (HOUR, 60, 60, MINUTE),
        (HOUR / 2, 30, 30, MINUTE),
        (DAY, 60, 60, 24 * MINUTE),
        (DAY, 24, 24, HOUR),
        (7 * DAY, 60, 56, 3 * HOUR),
    ],
)
def test_a_chart_has_points_of_equal_length_up_to_now(window, buckets, number, length):
    now = timezone.now()

    points = traffic.series(1, since=now - window, buckets=buckets)

    assert len(points) == number
    assert {later.at - point.at for point, later in zip(points, points[1:], strict=False)} == {length}
    assert points[-1].at <= now < points[-1].at + length
    assert {point.request_count for point in points} == {0}
    assert points[0].p50_latency_ms is None


@pytest.mark.parametrize("window", [HOUR, DAY, 7 * DAY])
def test_a_chart_shows_each_request_of_its_period_in_its_place(window):
    now = timezone.now()
    times = [now - window * share for share in (0.9, 0.5, 0.1)] + [now - 1.2 * window]
    record(*[(1, at, 200, 5.0) for at in times])

    points = traffic.series(1, since=now - window, buckets=60)

    length = points[1].at - points[0].at
    for at in times[:3]:
        (point,) = [point for point in points if point.at <= at < point.at + length]
        assert point.request_count == 1
        assert point.p95_latency_ms == pytest.approx(5.0, rel=RELATIVE_ACCURACY)
    assert sum(point.request_count for point in points) == 3


def test_charts_of_many_and_of_all_take_one_query_each(django_assert_num_queries):
    now = timezone.now()
    record((1, now, 200, 1.0), (2, now, 200, 1.0), (2, now, 500, 1.0))

    with django_assert_num_queries(1):
        each = traffic.series_for([1, 2, 3], since=now - HOUR, buckets=60)
    with django_assert_num_queries(1):
        total = traffic.total_series(since=now - DAY, buckets=24)

    assert {key: points[-1].request_count for key, points in each.items()} == {1: 1, 2: 2, 3: 0}
    assert (total[-1].request_count, total[-1].error_count) == (3, 1)


def test_old_requests_are_forgotten_and_recent_ones_kept(settings, monkeypatch):
    settings.SERVING_LOG_RETENTION_DAYS = 2
    settings.SERVING_METRICS_RETENTION_DAYS = 30
    monkeypatch.setattr(traffic, "DELETED_AT_ONCE", 2)
    now = timezone.now()
    ages = [0, 1, 3, 9, 20, 31, 40]
    record(*[(1, now - age * DAY, 200, 1.0) for age in ages])

    forget_old_requests()

    def days_left(moments):
        return sorted(round((now - at) / DAY) for at in moments)

    assert days_left(RequestLog.objects.values_list("at", flat=True)) == [0, 1]
    assert days_left(RequestSums.objects.filter(span="minute").values_list("last_at", flat=True)) == [0, 1, 3]
    assert days_left(RequestSums.objects.filter(span="hour").values_list("last_at", flat=True)) == [
        0,
        1,
        3,
        9,
        20,
    ]
