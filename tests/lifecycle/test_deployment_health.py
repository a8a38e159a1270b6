"""Health: what figures amount to, and how a change of it is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.models import Alert, AuditEvent
from lifecycle.models import Deployment
from lifecycle.operations.deployments import terminate
from lifecycle.operations.health import judge, refresh_health
from lifecycle.states import Health
from serving.models import Endpoint, Target
from serving.recorder import PredictionRecord, Recorder
from tests.factories import make_deployment


def figures(requests=100, error_rate=0.0, p95=10.0):
    return {"request_count": requests, "error_rate": error_rate, "p95_latency_ms": p95}


@pytest.mark.parametrize(
    ("ready", "metrics", "health", "why"),
    [
        (1, figures(), "healthy", "Within"),
        (1, figures(requests=0, error_rate=None, p95=None), "healthy", "no traffic"),
        (0, figures(), "unhealthy", "No replica"),
        (0, figures(requests=0, error_rate=None, p95=None), "unhealthy", "No replica"),
        (1, figures(error_rate=0.05), "healthy", "Within"),
        (1, figures(error_rate=0.051), "degraded", "5.1 % of requests fail"),
        (1, figures(error_rate=0.20), "degraded", "20.0 %"),
        (1, figures(error_rate=0.201), "unhealthy", "20.1 %"),
        (1, figures(error_rate=1.0, p95=None), "unhealthy", "100.0 %"),
        (1, figures(p95=1000.0), "healthy", "Within"),
        (1, figures(p95=1000.1), "degraded", "percentile"),
        (1, figures(error_rate=0.0, p95=None), "healthy", "Within"),
        (3, figures(error_rate=0.1, p95=5000.0), "degraded", "requests fail"),
    ],
)
def test_what_figures_amount_to(ready, metrics, health, why):
    judged, reason = judge(ready=ready, metrics=metrics, slo_p95_ms=1000.0, slo_error_rate=0.05)
    assert judged == health
    assert why in reason


def test_the_objectives_are_the_deployments_own():
    assert judge(ready=1, metrics=figures(p95=60), slo_p95_ms=50, slo_error_rate=0.05)[0] == Health.DEGRADED
    assert (
        judge(ready=1, metrics=figures(error_rate=0.02), slo_p95_ms=50, slo_error_rate=0.01)[0]
        == Health.DEGRADED
    )


# --- Refreshing ---------------------------------------------------------------------------------------------


@pytest.fixture
def active(db):
    return make_active()


def make_active(ready=1):
    deployment = make_deployment(status="active", health_status="healthy")
    endpoint = Endpoint.objects.create(model_name=deployment.model.name, environment=deployment.environment)
    target = Target.objects.create(
        endpoint=endpoint, deployment_id=deployment.pk, model_version=1, instance_type="small"
    )
    for number in range(ready):
        target.replicas.create(name=f"{deployment.pk}-{number}", state="ready")
    return deployment


def traffic(deployment, *statuses, latency_ms=5.0, seconds_ago=0):
    recorder = Recorder()
    recorder._start = lambda: None  # written here and now, in the test's own transaction
    at = timezone.now() - timedelta(seconds=seconds_ago)
    for status in statuses:
        recorder.record(PredictionRecord("r", deployment.pk, at, status, latency_ms, rows=1))
    assert recorder.flush()


def health_of(deployment):
    return Deployment.objects.get(pk=deployment.pk).health_status


def open_alerts():
    return list(Alert.objects.filter(resolved_at=None).values_list("severity", "message"))


def test_a_change_raises_an_alert_that_stays_until_it_is_well_again(active):
    traffic(active, *[200] * 9, 500)
    assert refresh_health() == 1
    assert health_of(active) == "degraded"
    assert open_alerts() == [("medium", "10.0 % of requests fail.")]

    traffic(active, *[503] * 10)
    assert refresh_health() == 1
    assert health_of(active) == "unhealthy"
    assert open_alerts() == [("critical", "55.0 % of requests fail.")]

    traffic(active, *[200] * 400)
    assert refresh_health() == 1
    assert health_of(active) == "healthy"
    assert open_alerts() == []
    changes = AuditEvent.objects.filter(action="deployment.health").order_by("pk")
    assert [row.changes["health_status"] for row in changes] == [
        ["healthy", "degraded"],
        ["degraded", "unhealthy"],
        ["unhealthy", "healthy"],
    ]


def test_what_stays_the_same_is_told_once(active):
    Target.objects.get().replicas.all().delete()
    assert [refresh_health() for _ in range(3)] == [1, 0, 0]
    assert open_alerts() == [("critical", "No replica is ready.")]
    assert AuditEvent.objects.filter(action="deployment.health").count() == 1


def test_slow_answers_degrade(active):
    traffic(active, *[200] * 20, latency_ms=2000.0)
    refresh_health()
    assert health_of(active) == "degraded"
    assert "percentile" in open_alerts()[0][1]


def test_requests_that_only_the_callers_got_wrong_do_not_stop_the_watch(active):
    """They count as requests and leave no latency; the next deployment is judged all the same."""
    other = make_active(ready=0)
    traffic(active, 400, 400)
    assert refresh_health() == 1
    assert (health_of(active), health_of(other)) == ("healthy", "unhealthy")


def test_replicas_that_are_not_ready_do_not_count(active):
    Target.objects.get().replicas.update(state="backoff")
    refresh_health()
    assert health_of(active) == "unhealthy"


def test_traffic_before_the_window_is_forgiven(active, settings):
    settings.HEALTH_WINDOW_SECONDS = 300
    traffic(active, *[500] * 10, seconds_ago=400)
    assert refresh_health() == 0


@pytest.mark.parametrize("status", ["pending", "deploying", "failed", "rollback", "terminated"])
def test_only_what_serves_is_judged(db, status):
    make_deployment(status=status)
    assert refresh_health() == 0


def test_what_is_served_elsewhere_is_not_judged_from_here(db):
    make_deployment(status="active", is_external=True)
    assert refresh_health() == 0


def test_a_deployment_that_ends_takes_its_alert_along(active):
    Target.objects.get().replicas.all().delete()
    refresh_health()
    terminate(actor=None, deployment=active)
    assert open_alerts() == []
    assert health_of(active) == "unknown"


@pytest.mark.parametrize("number", [3, 30])
def test_any_number_that_stays_well_is_judged_by_three_queries(db, django_assert_num_queries, number):
    for _ in range(number):
        make_active()
    with django_assert_num_queries(3):
        refresh_health()
