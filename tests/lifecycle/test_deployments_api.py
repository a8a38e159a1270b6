"""POST /deployments: what is asked for, what keeps a version from going there, and asking twice."""

import json

import pytest

from core.models import AuditEvent
from lifecycle.models import Deployment
from tests.factories import make_client, make_deployment, make_file, make_registered, make_version
from tests.lifecycle.deployments import EXTERNAL, FIGURES, MODELS, URL, at, body, make_history

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator():
    return make_client("operator")


@pytest.fixture
def version():
    return make_version(approved=True, stage="production")


# --- Deploying ----------------------------------------------------------------------------------------------


def test_a_new_deployment_is_pending_and_shown_as_the_contract_has_it(operator, version):
    answer = operator.post(URL, body(version, environment="production", deployment_notes="first one"))
    assert answer.status_code == 201, answer.data
    created = Deployment.objects.get()
    assert json.loads(answer.content) == {
        "id": created.pk,
        "model_id": version.pk,
        "model_name": version.model.name,
        "model_version": version.version,
        "experiment_name": version.run.experiment.name,
        "status": "pending",
        "environment": "production",
        "endpoint": "http://127.0.0.1:8000"
        f"/api/v1/ml/lifecycle/serve/{version.model.name}/production/invocations",
        "endpoint_config": {
            "backend": "local",
            "instance_type": "small",
            "auto_scaling": False,
            "instances": 1,
            "min_instances": None,
            "max_instances": None,
            "slo_p95_ms": 1000.0,
            "slo_error_rate": 0.05,
        },
        "health_status": "unknown",
        "metrics": dict.fromkeys(FIGURES) | {"request_count": 0, "error_count": 0},
        "created_by": operator.user.username,
        "created_at": created.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "updated_at": created.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "deployed_at": None,
        "terminated_at": None,
        "rollback_from": None,
        "deployment_notes": "first one",
        "error_message": "",
        "logs": [],
        "replicas": [],
    }


def test_deploying_leaves_an_event_and_an_audit_row(operator, version):
    created = operator.post(URL, body(version, deployment_notes="why")).data["id"]
    (event,) = operator.get(f"{URL}/{created}/events").data["results"]
    assert (event["before"], event["after"]) == ("", "pending")
    assert (event["actor"], event["reason"]) == (operator.user.username, "why")
    row = AuditEvent.objects.get(action="deployment.create")
    assert (row.actor, row.object_id, row.reason) == (operator.user, str(created), "why")


def test_deploying_sends_one_wake_up_once_it_is_committed(
    operator, version, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as callbacks:
        operator.post(URL, body(version))
    assert len(callbacks) == 1


def test_a_version_is_named_by_label_and_alias_too(operator):
    version = make_version(version_label="v1.2")
    version.aliases.create(model=version.model, alias="champion")
    assert operator.post(URL, body(version, version="v1.2")).data["model_version"] == version.version
    answer = operator.post(URL, body(version, version="@champion", environment="staging"))
    assert answer.data["code"] == "not_deployable", "the alias is found, and its version is not approved"


def test_a_version_is_deployed_from_its_own_page_too(operator, version):
    answer = operator.post(
        f"{MODELS}/{version.model.name}/{version.version}/deploy",
        {"environment": "staging", "endpoint_config": {"instances": 2}, "deployment_notes": "go"},
    )
    assert answer.status_code == 201, answer.data
    created = Deployment.objects.get()
    assert (created.model_version, created.environment) == (version, "staging")
    assert (created.endpoint_config["instances"], created.deployment_notes) == (2, "go")


def test_a_version_that_is_not_there_is_not_found(operator, version):
    assert operator.post(URL, body(version, version="9")).status_code == 404
    assert operator.post(URL, body(version, model_name="none")).status_code == 404
    assert operator.post(f"{MODELS}/none/1/deploy", {"environment": "development"}).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"environment": "moon"}, "environment"),
        ({"status": "active"}, "status"),
        ({"colour": "red"}, "colour"),
        ({"endpoint": "https://elsewhere.example/x"}, "endpoint"),
        ({"endpoint_config": {"colour": "red"}}, "endpoint_config.colour"),
        ({"endpoint_config": "big"}, "endpoint_config.non_field_errors"),
        ({"endpoint_config": {"backend": "ray"}}, "endpoint_config.backend"),
        ({"endpoint_config": {"instance_type": "huge"}}, "endpoint_config.instance_type"),
        ({"endpoint_config": {"instances": 0}}, "endpoint_config.instances"),
        ({"endpoint_config": {"instances": 10_000}}, "endpoint_config.instances"),
        ({"endpoint_config": {"instances": None}}, "endpoint_config.instances"),
        ({"endpoint_config": {"instances": True}}, "endpoint_config.instances"),
        ({"endpoint_config": {"min_instances": 2}}, "endpoint_config.min_instances"),
        ({"endpoint_config": {"auto_scaling": True, "instances": 2}}, "endpoint_config.instances"),
        (
            {"endpoint_config": {"auto_scaling": True, "min_instances": 3, "max_instances": 2}},
            "endpoint_config.max_instances",
        ),
        ({"endpoint_config": {"slo_p95_ms": 0}}, "endpoint_config.slo_p95_ms"),
        ({"endpoint_config": {"slo_p95_ms": "NaN"}}, "endpoint_config.slo_p95_ms"),
        ({"endpoint_config": {"slo_p95_ms": "Infinity"}}, "endpoint_config.slo_p95_ms"),
        ({"endpoint_config": {"slo_p95_ms": 10**400}}, "endpoint_config.slo_p95_ms"),
        ({"endpoint_config": {"slo_p95_ms": True}}, "endpoint_config.slo_p95_ms"),
        ({"endpoint_config": {"slo_error_rate": 1.5}}, "endpoint_config.slo_error_rate"),
        ({"endpoint_config": {"slo_error_rate": "nan"}}, "endpoint_config.slo_error_rate"),
        ({"endpoint_config": EXTERNAL}, "endpoint"),
        ({"endpoint_config": EXTERNAL, "endpoint": "javascript:alert(1)"}, "endpoint"),
        ({"endpoint_config": EXTERNAL, "endpoint": "https://name:secret@models.example"}, "endpoint"),
        ({"endpoint_config": EXTERNAL, "endpoint": "http://[::1"}, "endpoint"),
        ({"endpoint_config": EXTERNAL, "endpoint": "http://models.example:high/"}, "endpoint"),
        (
            {"endpoint_config": {**EXTERNAL, "instances": 2}, "endpoint": "https://models.example"},
            "endpoint_config.instances",
        ),
    ],
)
def test_what_cannot_be_asked_for_names_its_field(operator, version, change, field):
    answer = operator.post(URL, body(version, **change))
    assert answer.status_code == 400, answer.data
    assert field in answer.data["fields"]
    assert not Deployment.objects.exists()


def test_auto_scaling_starts_from_its_minimum(operator, version):
    answer = operator.post(
        URL, body(version, endpoint_config={"auto_scaling": True, "min_instances": 2, "max_instances": 5})
    )
    config = answer.data["endpoint_config"]
    assert (config["instances"], config["min_instances"], config["max_instances"]) == (None, 2, 5)


# --- What keeps a version from going there ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "environment", "sentence"),
    [
        ({"stage": "production"}, "production", "not approved"),
        ({"stage": "staging", "approved": True}, "production", "in stage “staging”"),
        ({"stage": "experimental", "approved": True}, "staging", "in stage “experimental”"),
        ({"stage": "archived", "approved": True}, "development", "is archived"),
    ],
)
def test_a_version_that_may_not_go_there_is_refused_saying_why(operator, fields, environment, sentence):
    answer = operator.post(URL, body(make_version(**fields), environment=environment))
    assert (answer.status_code, answer.data["code"]) == (409, "not_deployable")
    assert sentence in answer.data["detail"]
    assert not Deployment.objects.exists()


def test_everything_that_is_missing_is_said_at_once(operator):
    detail = operator.post(URL, body(make_version(), environment="production")).data["detail"]
    assert "not approved" in detail
    assert "in stage “experimental”" in detail


def test_an_approval_that_changed_files_voided_does_not_count(operator):
    version = make_registered(ticked=True)
    approver = make_client("approver")
    page = f"{MODELS}/{version.model.name}/{version.version}"
    assert approver.post(f"{page}/approve").status_code == 200
    assert approver.patch(page, {"stage": "production"}).status_code == 200
    make_file(version.run, "model/model.skops", "other weights")
    answer = operator.post(URL, body(version, environment="production"))
    assert (answer.status_code, answer.data["code"]) == (409, "not_deployable")
    assert "approved" in answer.data["detail"]


def test_development_takes_what_nobody_approved(operator):
    assert operator.post(URL, body(make_version())).status_code == 201


@pytest.mark.parametrize("status", ["pending", "validating", "deploying"])
def test_a_second_deployment_on_its_way_is_refused(operator, version, status):
    first = make_deployment(model_version=version, status=status)
    other = make_version(model=version.model)
    answer = operator.post(URL, body(other))
    assert (answer.status_code, answer.data["code"]) == (409, "deployment_in_progress")
    assert list(Deployment.objects.all()) == [first]


@pytest.mark.parametrize("status", ["active", "failed", "rollback", "terminated"])
def test_beside_one_that_is_not_on_its_way_another_may_start(operator, version, status):
    make_deployment(model_version=version, status=status)
    assert operator.post(URL, body(version)).status_code == 201


def test_other_environments_and_models_do_not_stand_in_the_way(operator, version):
    make_deployment(model_version=version)
    assert operator.post(URL, body(version, environment="staging")).status_code == 201
    assert operator.post(URL, body(make_version())).status_code == 201


# --- Idempotency --------------------------------------------------------------------------------------------


def test_a_repeated_key_gives_the_first_answer_again(operator, version):
    first = operator.post(URL, body(version), headers={"Idempotency-Key": "k"})
    again = operator.post(URL, body(version), headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data["id"] == first.data["id"]
    assert Deployment.objects.count() == 1


def test_a_key_used_for_another_body_is_a_conflict(operator, version):
    operator.post(URL, body(version), headers={"Idempotency-Key": "k"})
    answer = operator.post(URL, body(version, environment="staging"), headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.data["code"]) == (409, "idempotency_key_reused")


def test_a_repeated_rollback_starts_one(operator):
    _first, second = make_history("terminated", "active")
    answers = [operator.post(at(second, "/rollback"), headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert Deployment.objects.filter(rollback_from=second).count() == 1
