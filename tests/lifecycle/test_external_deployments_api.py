"""/deployments of models that are served elsewhere."""

import pytest

from core.models import Alert, AuditEvent
from lifecycle.models import Deployment, ModelVersion
from tests.factories import make_client, make_deployment, make_version
from tests.lifecycle.deployments import EXTERNAL, FIGURES, URL, at, body, make_external, status_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return make_client("operator")


@pytest.fixture
def viewer():
    return make_client("viewer")


@pytest.fixture
def version():
    return make_version(approved=True, stage="production")


def push(client, deployment, **change):
    answer = client.patch(at(deployment), change)
    assert answer.status_code == 200, answer.data
    return answer.data


def test_a_model_served_elsewhere_is_tracked_as_it_is_pushed(
    operator, version, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        created = operator.post(
            URL, body(version, endpoint_config=EXTERNAL, endpoint="https://models.example/churn")
        ).data
    assert callbacks == [], "nothing here carries it forward"
    assert created["endpoint"] == "https://models.example/churn"
    deployment = Deployment.objects.get()
    for status in ("validating", "deploying", "active"):
        assert push(operator, deployment, status=status, reason="CI")["status"] == status
    shown = push(
        operator,
        deployment,
        health_status="degraded",
        metrics={"request_count": 10, "error_count": 1, "error_rate": 0.1, "p95_latency_ms": 80.5},
        reason="slow today",
    )
    assert shown["health_status"] == "degraded"
    assert shown["metrics"] | {"last_updated": None} == dict.fromkeys(FIGURES) | {
        "request_count": 10,
        "error_count": 1,
        "error_rate": 0.1,
        "p95_latency_ms": 80.5,
    }
    assert shown["metrics"]["last_updated"].endswith("Z")
    assert shown["deployed_at"].endswith("Z")
    assert Alert.objects.get(resolved_at=None).message == "slow today"
    assert push(operator, deployment, status="terminated")["health_status"] == "unknown"
    assert not Alert.objects.filter(resolved_at=None).exists()
    after = [event["after"] for event in operator.get(at(deployment, "/events")).data["results"]]
    assert after == ["pending", "validating", "deploying", "active", "terminated"]


def test_what_nobody_pushed_is_shown_as_unknown(viewer):
    deployment = make_external()
    assert viewer.get(at(deployment)).data["metrics"] == dict.fromkeys(FIGURES)
    assert viewer.get(URL).data["results"][0]["metrics"] == dict.fromkeys(FIGURES)


def test_pushes_follow_the_table_of_moves(operator):
    deployment = make_external(status="validating")
    assert operator.patch(at(deployment), {"status": "active"}).status_code == 409
    assert operator.patch(at(deployment), {"status": "rollback"}).status_code == 409
    assert status_of(deployment) == "validating"


def test_what_is_served_elsewhere_goes_live_as_what_was_asked_for(operator):
    deployment = make_external(status="deploying")
    type(deployment.model_version).objects.filter(pk=deployment.model_version_id).update(
        content_sha256="f" * 64, approved_sha256="f" * 64
    )
    answer = operator.patch(at(deployment), {"status": "active"})
    assert answer.status_code == 409
    assert "changed since this deployment was asked for" in answer.data["detail"]
    assert status_of(deployment) == "deploying"


def test_a_failure_elsewhere_says_why(operator):
    shown = push(operator, make_external(status="deploying"), status="failed", reason="no capacity")
    assert (shown["status"], shown["error_message"]) == ("failed", "no capacity")


def test_half_a_surrogate_pair_is_told_back_as_it_was_written(operator):
    sent = '{"a\\ud800": 1}'
    answer = operator.patch(at(make_deployment()), sent, content_type="application/json")
    assert answer.status_code == 400
    assert "a\\\\ud800" in answer.content.decode()


@pytest.mark.parametrize("reason", [{}, {"reason": "  "}])
def test_a_failure_elsewhere_without_a_reason_is_refused(operator, reason):
    deployment = make_external(status="deploying")
    answer = operator.patch(at(deployment), {"status": "failed", **reason})
    assert (answer.status_code, set(answer.data["fields"])) == (400, {"reason"})
    assert status_of(deployment) == "deploying"


def test_the_audit_trail_names_who_pushed_health(operator):
    push(operator, make_external(status="active"), health_status="degraded", reason="slow today")
    row = AuditEvent.objects.get(action="deployment.health")
    assert (row.actor, row.reason) == (operator.user, "slow today")


def test_no_history_is_invented_of_what_is_served_elsewhere(viewer):
    answer = viewer.get(at(make_external(status="active"), "/metrics"))
    assert (answer.status_code, answer.data["results"]) == (200, [])


@pytest.mark.parametrize("status", ["pending", "deploying", "failed", "terminated"])
def test_only_what_serves_elsewhere_has_health(operator, status):
    deployment = make_external(status=status)
    answer = operator.patch(at(deployment), {"health_status": "healthy"})
    assert answer.status_code == 409
    assert Deployment.objects.get().health_status == "unknown"


def test_the_approval_may_have_ended_before_it_serves_elsewhere(operator):
    deployment = make_external(environment="production", status="deploying")
    ModelVersion.objects.update(approved_at=None)
    answer = operator.patch(at(deployment), {"status": "active"})
    assert (answer.status_code, answer.data["code"]) == (409, "not_deployable")


def test_the_next_one_elsewhere_ends_the_one_before(operator):
    before = make_external(status="active", health_status="unhealthy")
    push(operator, before, health_status="degraded")
    assert Alert.objects.filter(resolved_at=None).count() == 1
    after = make_external(
        model_version=make_version(model=before.model, approved=True, stage="production"), status="deploying"
    )
    push(operator, after, status="active")
    assert (status_of(before), status_of(after)) == ("terminated", "active")
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_one_elsewhere_does_not_push_out_what_serves_here(operator):
    here = make_deployment(status="active")
    elsewhere = make_external(
        model_version=make_version(model=here.model, approved=True, stage="production"), status="deploying"
    )
    answer = operator.patch(at(elsewhere), {"status": "active"})
    assert answer.status_code == 409
    assert (status_of(here), status_of(elsewhere)) == ("active", "deploying")


def test_what_serves_elsewhere_is_not_rolled_back_from_here(operator):
    assert operator.post(at(make_external(status="active"), "/rollback")).status_code == 409


def test_replicas_elsewhere_are_not_scaled_from_here(operator):
    answer = operator.patch(at(make_external(status="active")), {"endpoint_config": {"instances": 2}})
    assert answer.status_code == 400
    assert "endpoint_config.instances" in answer.data["fields"]
