"""/deployments: changing them, ending them, rolling them back."""

import pytest

from core.models import AuditEvent
from lifecycle.endpoint_config import build
from lifecycle.models import Deployment, ModelVersion
from serving.models import Target
from tests.factories import make_client, make_deployment, make_version
from tests.lifecycle.deployments import at, make_history, make_target, status_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return make_client("operator")


# --- Changing -----------------------------------------------------------------------------------------------


def test_a_rescale_reaches_what_serves(operator):
    deployment = make_deployment(status="active")
    target = make_target(deployment)
    answer = operator.patch(at(deployment), {"endpoint_config": {"instances": 3}})
    assert answer.status_code == 200, answer.data
    assert answer.data["endpoint_config"]["instances"] == 3
    target.refresh_from_db()
    assert (target.min_instances, target.max_instances, target.instances, target.generation) == (3, 3, 3, 1)
    (row,) = AuditEvent.objects.filter(action="deployment.update")
    before, after = row.changes["endpoint_config"]
    assert (before["instances"], after["instances"]) == (1, 3)


def test_a_new_profile_replaces_the_replicas_by_the_next_generation(operator):
    deployment = make_deployment(status="active")
    target = make_target(deployment)
    operator.patch(at(deployment), {"endpoint_config": {"instance_type": "medium"}})
    target.refresh_from_db()
    assert (target.instance_type, target.generation) == ("medium", 2)


def test_an_objective_changes_without_touching_the_replicas(operator):
    config = build({"auto_scaling": True, "min_instances": 1, "max_instances": 4}).as_json()
    deployment = make_deployment(status="active", endpoint_config=config)
    target = make_target(deployment, minimum=1, maximum=4)
    Target.objects.update(instances=4)
    operator.patch(at(deployment), {"endpoint_config": {"slo_p95_ms": 50}})
    target.refresh_from_db()
    assert target.instances == 4
    assert Deployment.objects.get().endpoint_config["slo_p95_ms"] == 50


@pytest.mark.parametrize(("bounds", "instances"), [((1, 3), 3), ((1, 8), 4), ((6, 8), 6)])
def test_new_bounds_keep_as_many_replicas_as_they_allow(operator, bounds, instances):
    config = build({"auto_scaling": True, "min_instances": 1, "max_instances": 4}).as_json()
    deployment = make_deployment(status="active", endpoint_config=config)
    target = make_target(deployment, minimum=1, maximum=4)
    Target.objects.update(instances=4)
    change = {"min_instances": bounds[0], "max_instances": bounds[1]}
    assert operator.patch(at(deployment), {"endpoint_config": change}).status_code == 200
    target.refresh_from_db()
    assert (target.min_instances, target.max_instances, target.instances) == (*bounds, instances)


def test_notes_change_and_are_audited_once(operator):
    deployment = make_deployment(deployment_notes="old")
    for _ in range(2):
        answer = operator.patch(at(deployment), {"deployment_notes": "new"})
        assert answer.data["deployment_notes"] == "new"
    (row,) = AuditEvent.objects.filter(action="deployment.update")
    assert row.changes == {"deployment_notes": ["old", "new"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"endpoint_config": {"instances": 99}}, "endpoint_config.instances"),
        ({"endpoint_config": {"backend": "external"}}, "backend"),
        ({"environment": "staging"}, "environment"),
        ({"reason": "just so"}, "reason"),
        ({"metrics": {"request_count": -1, "error_count": 0, "error_rate": 0}}, "metrics.request_count"),
        ({"metrics": {"request_count": 1}}, "metrics.error_rate"),
        ({"status": "happy"}, "status"),
    ],
)
def test_a_change_that_cannot_be_names_its_field(operator, change, field):
    deployment = make_deployment(status="active")
    answer = operator.patch(at(deployment), change)
    assert answer.status_code == 400
    assert field in answer.data["fields"]
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("status", ["failed", "rollback", "terminated"])
def test_what_has_ended_is_not_reconfigured(operator, status):
    answer = operator.patch(at(make_deployment(status=status)), {"endpoint_config": {"instances": 2}})
    assert answer.status_code == 409


@pytest.mark.parametrize("status", ["pending", "validating", "deploying", "active", "failed"])
def test_forward_moves_belong_to_the_pipeline(operator, status):
    deployment = make_deployment(status="validating")
    answer = operator.patch(at(deployment), {"status": status})
    assert (answer.status_code, answer.data["code"]) == (409, "not_external")
    assert status_of(deployment) == "validating"


@pytest.mark.parametrize(
    "change",
    [
        {"health_status": "healthy"},
        {"metrics": {"request_count": 9, "error_count": 0, "error_rate": 0.0}},
        {"health_status": "healthy", "status": "terminated"},
    ],
)
def test_health_and_metrics_come_from_traffic(operator, change):
    deployment = make_deployment(status="active", health_status="degraded")
    answer = operator.patch(at(deployment), change)
    assert (answer.status_code, answer.data["code"]) == (409, "not_external")
    deployment.refresh_from_db()
    assert (deployment.status, deployment.health_status, deployment.external_metrics) == (
        "active",
        "degraded",
        {},
    )


def test_a_change_is_made_whole_or_not_at_all(operator):
    deployment = make_deployment(status="active", deployment_notes="old")
    answer = operator.patch(at(deployment), {"deployment_notes": "new", "status": "deploying"})
    assert answer.status_code == 409
    deployment.refresh_from_db()
    assert deployment.deployment_notes == "old"


# --- Ending -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "validating", "deploying", "active"])
@pytest.mark.parametrize("way", ["delete", "patch"])
def test_terminating_ends_it_and_takes_it_out_of_traffic(operator, status, way):
    deployment = make_deployment(status=status)
    target = make_target(deployment)
    answer = (
        operator.delete(at(deployment))
        if way == "delete"
        else operator.patch(at(deployment), {"status": "terminated"})
    )
    assert answer.status_code == 200, answer.data
    assert (answer.data["status"], answer.data["health_status"]) == ("terminated", "unknown")
    assert answer.data["terminated_at"].endswith("Z")
    target.refresh_from_db()
    assert (target.state, target.weight) == ("draining", 0)
    assert AuditEvent.objects.get(action="deployment.terminated").actor == operator.user


@pytest.mark.parametrize("status", ["failed", "rollback", "terminated"])
def test_what_has_ended_is_not_terminated_again(operator, status):
    assert operator.delete(at(make_deployment(status=status))).status_code == 409


# --- Rolling back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rollback", "patch"])
def test_a_rollback_deploys_the_version_that_served_before(operator, way):
    first, second = make_history("terminated", "active")
    if way == "rollback":
        answer = operator.post(at(second, "/rollback"), {"reason": "worse"})
        assert answer.status_code == 201, answer.data
        assert answer.data["rollback_from"] == second.pk
    else:
        answer = operator.patch(at(second), {"status": "rollback", "reason": "worse"})
        assert answer.status_code == 200, answer.data
    created = Deployment.objects.get(rollback_from=second)
    assert (created.model_version, created.status) == (first.model_version, "pending")
    assert (created.deployment_notes, created.endpoint_config) == ("worse", first.endpoint_config)
    assert status_of(second) == "active", "it serves until the other is ready"
    assert AuditEvent.objects.get(action="deployment.roll_back").reason == "worse"


def test_there_may_be_nothing_to_go_back_to(operator):
    (only,) = make_history("active")
    answer = operator.post(at(only, "/rollback"))
    assert (answer.status_code, answer.data["code"]) == (409, "nothing_to_roll_back_to")


@pytest.mark.parametrize("status", ["pending", "deploying", "failed", "rollback", "terminated"])
def test_only_what_serves_is_rolled_back(operator, status):
    _first, second = make_history("terminated", status)
    assert operator.post(at(second, "/rollback")).status_code == 409
    assert Deployment.objects.count() == 2


def test_no_rollback_while_another_deployment_is_on_its_way(operator):
    _first, second = make_history("terminated", "active")
    make_deployment(model_version=make_version(model=second.model))
    answer = operator.post(at(second, "/rollback"))
    assert (answer.status_code, answer.data["code"]) == (409, "deployment_in_progress")


def test_no_rollback_to_what_may_not_go_there_any_more(operator):
    first, second = make_history("terminated", "active", environment="production")
    ModelVersion.objects.filter(pk=first.model_version_id).update(stage="archived")
    answer = operator.post(at(second, "/rollback"))
    assert (answer.status_code, answer.data["code"]) == (409, "not_deployable")
    assert "archived" in answer.data["detail"]


def test_a_rollback_takes_a_reason_and_nothing_else(operator):
    _first, second = make_history("terminated", "active")
    answer = operator.post(at(second, "/rollback"), {"to": 1})
    assert answer.status_code == 400
    assert "to" in answer.data["fields"]
