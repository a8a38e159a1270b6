"""What the platform does by itself: one more replica under pressure, and alerts when a model does badly."""

import pytest

from tests.serving import models

pytestmark = pytest.mark.slow


def test_full_queues_add_a_replica_and_slow_answers_raise_an_alert_until_the_objective_is_met(
    platform, serve, tmp_path
):
    path = models.make_slow_model(tmp_path / "model", seconds=0.2)
    served = serve(path, auto_scaling=True, min_instances=1, max_instances=2, slo_p95_ms=100)

    with platform.traffic(served, clients=16) as traffic:
        platform.wait_for_replicas(served.deployment_id, 2, seconds=40)
        platform.wait_for_health(served.deployment_id, "degraded")
        traffic.wait_for(100)

    assert traffic.failures == []
    (alert,) = platform.alerts(served.deployment_id)
    assert (alert["severity"], alert["resolved_at"]) == ("medium", None)
    assert "95th percentile" in alert["message"]
    assert _scaled(platform, served) == [[1, 2]]

    platform.configure(served.deployment_id, slo_p95_ms=30_000)
    platform.wait_for_health(served.deployment_id, "healthy")
    assert platform.alerts(served.deployment_id)[0]["resolved_at"]


def test_failing_requests_raise_an_alert_that_good_ones_resolve(platform, serve, tmp_path):
    served = serve(models.make_picky_model(tmp_path / "model"))

    for row in [{"x": models.TRIGGER + 1}] * 10 + [{"x": 1.0}] * 90:
        assert served.predict(row).status == (500 if row["x"] > models.TRIGGER else 200)

    platform.wait_for_health(served.deployment_id, "degraded")
    (alert,) = platform.alerts(served.deployment_id)
    assert (alert["severity"], alert["message"]) == ("medium", "10.0 % of requests fail.")

    with platform.traffic(served, clients=4) as traffic:
        traffic.wait_for(300)
    platform.wait_for_health(served.deployment_id, "healthy")
    (alert,) = platform.alerts(served.deployment_id)
    assert alert["resolved_at"]


def _scaled(platform, served) -> list[list[int]]:
    path = f"/api/v1/audit-events?action=target.scale&search={served.model_name}/"
    return [event["changes"]["instances"] for event in platform.admin.request("GET", path)["results"]]
