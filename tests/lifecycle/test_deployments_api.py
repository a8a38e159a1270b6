"""/deployments: asking for them, looking at them, ending them, rolling them back."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from core.models import Alert, AuditEvent
from lifecycle.endpoint_config import build
from lifecycle.models import Deployment, ModelVersion
from serving.models import Target
from serving.operations.targets import Scale, ensure_target, move_traffic
from serving.recorder import PredictionRecord, Recorder
from tests.factories import (
    make_client,
    make_deployment,
    make_file,
    make_model,
    make_registered,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/deployments"
MODELS = "/api/v1/ml/lifecycle/models"
EXTERNAL = {"backend": "external"}
FIGURES = {
    "request_count",
    "error_count",
    "error_rate",
    "avg_latency_ms",
    "p50_latency_ms",
    "p95_latency_ms",
    "p99_latency_ms",
    "last_updated",
}


def at(deployment, suffix=""):
    return f"{URL}/{deployment.pk}{suffix}"


def body(version, /, **fields):
    return {
        "model_name": version.model.name,
        "version": str(version.version),
        "environment": "development",
        **fields,
    }


def make_external(**fields):
    config = build({"backend": "external"}).as_json()
    return make_deployment(
        is_external=True, endpoint_config=config, external_endpoint="https://models.example/x", **fields
    )


def make_history(*statuses, environment="development"):
    """Deployments of versions 1, 2, 3 … of one model, which took traffic in this order."""
    model, began = make_model(), timezone.now() - timedelta(days=1)
    return [
        make_deployment(
            model_version=make_version(model=model, approved=True, stage="production"),
            status=status,
            environment=environment,
            deployed_at=began + timedelta(minutes=number),
        )
        for number, status in enumerate(statuses)
    ]


def make_target(deployment, **scale):
    """Replicas as the pipeline asks for them, with the traffic."""
    target = ensure_target(
        deployment_id=deployment.pk,
        model_name=deployment.model.name,
        environment=deployment.environment,
        model_version=deployment.model_version.version,
        model_path="/nowhere",
        allow_code=False,
        scale=Scale(**{"instance_type": "small", "minimum": 1, "maximum": 1, "initial": 1} | scale),
        wake_task="",
    )
    move_traffic(deployment_id=deployment.pk)
    return target


def make_traffic(deployment, *requests, at=None):
    """Requests as the gateway records them; each is (status, latency_ms)."""
    recorder = Recorder()
    recorder._start = lambda: None  # written here and now, in the test's own transaction
    for status, latency_ms in requests:
        recorder.record(
            PredictionRecord("r", deployment.pk, at or timezone.now(), status, latency_ms, rows=1)
        )
    assert recorder.flush()


def status_of(deployment):
    return Deployment.objects.get(pk=deployment.pk).status


def exported(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


@pytest.fixture
def operator():
    return make_client("operator")


@pytest.fixture
def viewer():
    return make_client("viewer")


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


# --- Lists --------------------------------------------------------------------------------------------------


@pytest.fixture
def several():
    """A failed one in staging, an active one in production, a pending one in development."""
    version = make_version(model=make_model(name="churn"), approved=True, stage="production")
    later = make_version(model=version.model, approved=True, stage="production")
    return [
        make_deployment(
            model_version=version, environment="staging", status="failed", error_message="It broke"
        ),
        make_deployment(
            model_version=later, environment="production", status="active", health_status="healthy"
        ),
        make_deployment(deployment_notes="for the demo"),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [2, 1, 0]),
        ({"model_name": "churn"}, [1, 0]),
        ({"model_name": "churn", "version": "1"}, [0]),
        ({"environment": "production"}, [1]),
        ({"status": "failed"}, [0]),
        ({"status": ["failed", "pending"]}, [2, 0]),
        ({"health_status": "healthy"}, [1]),
        ({"search": "broke"}, [0]),
        ({"search": "for the demo"}, [2]),
        ({"ordering": "created_at"}, [0, 1, 2]),
        ({"ordering": "-environment"}, [0, 1, 2]),
        ({"ordering": "status"}, [1, 0, 2]),
        ({"ordering": "model__name,-created_at"}, [1, 0, 2]),
        ({"limit": "1", "offset": "1"}, [1]),
    ],
)
def test_a_list_is_narrowed_and_ordered(viewer, several, query, found):
    answer = viewer.get(URL, query)
    assert answer.status_code == 200, answer.data
    assert [row["id"] for row in answer.data["results"]] == [several[index].pk for index in found]


@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ({"colour": "red"}, "colour", "model_name"),
        ({"status": "happy"}, "status", "terminated"),
        ({"environment": "moon"}, "environment", "production"),
        ({"health_status": "ill"}, "health_status", "degraded"),
        ({"version": "one"}, "version", "whole number"),
        ({"version": "1.5"}, "version", "whole number"),
        ({"ordering": "fence"}, "ordering", "created_at"),
        ({"limit": "0"}, "limit", "1000"),
        ({"export": "xml"}, "export", "csv"),
    ],
)
def test_a_parameter_that_is_not_understood_names_what_is(viewer, several, query, field, hint):
    answer = viewer.get(URL, query)
    assert answer.status_code == 400
    assert hint in answer.data["fields"][field]


def test_a_version_number_beyond_every_version_finds_nothing(viewer, several):
    answer = viewer.get(URL, {"version": "9" * 30})
    assert (answer.status_code, answer.data["count"]) == (200, 0)


def test_the_list_carries_the_figures_of_each(viewer, several):
    make_traffic(several[1], (200, 10.0), (200, 10.0), (500, 1.0), (400, 1.0))
    figures = {row["id"]: row["metrics"] for row in viewer.get(URL).data["results"]}
    assert (figures[several[1].pk]["request_count"], figures[several[1].pk]["error_rate"]) == (4, 0.25)
    assert figures[several[0].pk]["request_count"] == 0
    assert set(figures[several[0].pk]) == FIGURES


@pytest.mark.parametrize("rows", [3, 30])
@pytest.mark.parametrize("query", [{}, {"export": "json"}])
def test_a_list_takes_as_many_queries_however_long_it_is(viewer, rows, query, django_assert_max_num_queries):
    for _ in range(rows):
        make_traffic(make_deployment(status="active"), (200, 5.0))
    viewer.get(URL, {"limit": "1"})
    with django_assert_max_num_queries(6):
        answer = viewer.get(URL, query)
        content = exported(answer) if query else answer.content
    assert len(json.loads(content) if query else json.loads(content)["results"]) == rows


def test_an_export_is_the_filtered_list_as_a_file(viewer, several):
    rows = list(csv.DictReader(io.StringIO(exported(viewer.get(URL, {"export": "csv", "status": "failed"})))))
    assert [(row["id"], row["error_message"]) for row in rows] == [(str(several[0].pk), "It broke")]
    listed = json.loads(exported(viewer.get(URL, {"export": "json"})))
    assert listed == json.loads(viewer.get(URL).content)["results"]


# --- One deployment -----------------------------------------------------------------------------------------


def test_the_detail_shows_monitoring_logs_and_replicas(viewer):
    deployment = make_deployment(status="active", health_status="degraded")
    make_traffic(deployment, (200, 20.0), (503, 0.1))
    target = make_target(deployment)
    target.replicas.create(name="r1", state="ready", restarts=2, memory_bytes=1000)
    deployment.log("first")
    deployment.log("second", level="error")
    shown = viewer.get(at(deployment)).data
    assert shown["health_status"] == "degraded"
    assert (shown["metrics"]["request_count"], shown["metrics"]["error_count"]) == (2, 1)
    assert shown["metrics"]["p95_latency_ms"] == pytest.approx(20, rel=0.05)
    assert [(line["message"], line["level"]) for line in shown["logs"]] == [
        ("first", "info"),
        ("second", "error"),
    ]
    assert [(replica["name"], replica["state"], replica["restarts"]) for replica in shown["replicas"]] == [
        ("r1", "ready", 2)
    ]


def test_the_detail_shows_the_newest_lines_of_a_long_log(viewer):
    deployment = make_deployment()
    for number in range(103):
        deployment.log(f"line {number}")
    lines = viewer.get(at(deployment)).data["logs"]
    assert (len(lines), lines[0]["message"], lines[-1]["message"]) == (100, "line 3", "line 102")


def test_what_is_not_there_is_not_found(operator):
    for path in ("", "/logs", "/events", "/metrics"):
        assert operator.get(f"{URL}/999999{path}").status_code == 404
    assert operator.patch(f"{URL}/999999", {}).status_code == 404
    assert operator.delete(f"{URL}/999999").status_code == 404
    assert operator.post(f"{URL}/999999/rollback").status_code == 404


def test_a_filter_of_the_list_does_not_hide_one_deployment(viewer):
    assert viewer.get(at(make_deployment()), {"status": "failed"}).status_code == 200


def test_a_log_is_read_on_after_the_last_line_seen(viewer):
    deployment = make_deployment()
    for message in ("one", "two", "three"):
        deployment.log(message)
    make_deployment().log("of another")
    lines = viewer.get(at(deployment, "/logs")).data["results"]
    assert [line["message"] for line in lines] == ["one", "two", "three"]
    rest = viewer.get(at(deployment, "/logs"), {"after": lines[0]["id"]}).data["results"]
    assert rest == lines[1:]
    assert viewer.get(at(deployment, "/logs"), {"after": lines[-1]["id"]}).data["results"] == []
    assert viewer.get(at(deployment, "/logs"), {"limit": 1}).data["results"] == lines[:1]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/logs", {"after": "yesterday"}, "after"),
        ("/logs", {"after": "-1"}, "after"),
        ("/logs", {"limit": "0"}, "limit"),
        ("/logs", {"befor": "1"}, "befor"),
        ("/metrics", {"window": "2y"}, "window"),
        ("/metrics", {"windw": "1h"}, "windw"),
    ],
)
def test_what_cannot_be_read_names_its_parameter(viewer, path, query, field):
    answer = viewer.get(at(make_deployment(), path), query)
    assert answer.status_code == 400
    assert field in answer.data["fields"]


def test_events_tell_who_did_what_and_why(operator):
    deployment = make_deployment(status="active")
    operator.patch(at(deployment), {"status": "terminated", "reason": "too costly"})
    (event,) = operator.get(at(deployment, "/events")).data["results"]
    assert (event["before"], event["after"]) == ("active", "terminated")
    assert (event["actor"], event["reason"]) == (operator.user.username, "too costly")


@pytest.mark.parametrize(("window", "points"), [("1h", 60), ("24h", 60), ("7d", 56)])
def test_metrics_over_a_window_add_up_to_its_traffic(viewer, window, points):
    deployment = make_deployment(status="active")
    make_traffic(deployment, (200, 10.0), (500, 1.0), (200, 10.0))
    answer = viewer.get(at(deployment, "/metrics"), {"window": window}).data
    assert answer["window"] == window
    assert len(answer["results"]) == points
    assert sum(point["request_count"] for point in answer["results"]) == 3
    assert sum(point["error_count"] for point in answer["results"]) == 1


def test_metrics_are_of_the_last_hour_unless_asked_otherwise(viewer):
    deployment = make_deployment(status="active")
    make_traffic(deployment, (200, 10.0), at=timezone.now() - timedelta(hours=2))
    answer = viewer.get(at(deployment, "/metrics")).data
    assert answer["window"] == "1h"
    assert sum(point["request_count"] for point in answer["results"]) == 0


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


# --- Served elsewhere ---------------------------------------------------------------------------------------


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


# --- Who may ------------------------------------------------------------------------------------------------

READS = ["", "/logs", "/events", "/metrics"]
DEVELOPMENT_ROLES = {"scientist", "operator", "admin"}
PROTECTED_ROLES = {"operator", "admin"}
ROLES = ["viewer", "scientist", "approver", "operator", "admin"]
CHANGES = ["deploy", "deploy by version", "notes", "nothing", "terminate", "terminate by patch", "rollback"]


def ask(client, action, environment):
    """Ask for one change in an environment where nothing but rights stands in its way."""
    if action.startswith("deploy"):
        version = make_version(approved=True, stage="production")
        if action == "deploy":
            return client.post(URL, body(version, environment=environment))
        return client.post(
            f"{MODELS}/{version.model.name}/{version.version}/deploy", {"environment": environment}
        )
    _first, active = make_history("terminated", "active", environment=environment)
    if action == "rollback":
        return client.post(at(active, "/rollback"))
    if action == "terminate":
        return client.delete(at(active))
    changes = {"notes": {"deployment_notes": "x"}, "terminate by patch": {"status": "terminated"}}
    return client.patch(at(active), changes.get(action, {}))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", READS)
def test_everybody_signed_in_reads(role, path):
    deployment = make_deployment()
    assert make_client(role).get(at(deployment, path)).status_code == 200
    assert make_client(role).get(URL).status_code == 200


@pytest.mark.parametrize("environment", ["development", "staging", "production"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", CHANGES)
def test_who_may_change_what(action, role, environment):
    allowed = role in (DEVELOPMENT_ROLES if environment == "development" else PROTECTED_ROLES)
    answer = ask(make_client(role), action, environment)
    assert answer.status_code == (201 if action in ("deploy", "deploy by version", "rollback") else 200) or (
        not allowed and answer.status_code == 403 and answer.data["code"] == "not_allowed"
    )
    assert (answer.status_code < 400) == allowed


@pytest.mark.parametrize("role", ROLES)
def test_who_may_push_what_is_served_elsewhere(role):
    deployment = make_external(environment="production", status="active")
    answer = make_client(role).patch(at(deployment), {"health_status": "healthy"})
    assert answer.status_code == (200 if role in PROTECTED_ROLES else 403)


@pytest.mark.parametrize("action", CHANGES)
def test_a_read_only_token_changes_nothing(action):
    assert ask(make_client("admin", read_only=True), action, "development").status_code == 403


@pytest.mark.parametrize("action", CHANGES)
def test_a_token_of_another_domain_changes_nothing(action):
    assert ask(make_client("admin", domain="features"), action, "development").status_code == 403


@pytest.mark.parametrize("path", READS)
def test_a_token_of_another_domain_reads_nothing(path):
    client = make_client("admin", domain="features")
    assert client.get(at(make_deployment(), path)).status_code == 403
    assert client.get(URL).status_code == 403


def test_a_read_only_token_reads():
    assert make_client(read_only=True).get(URL).status_code == 200


def test_a_token_of_this_domain_deploys():
    client = make_client(user=make_user("operator"), domain="lifecycle")
    assert ask(client, "deploy", "production").status_code == 201


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_signing_in(client, path):
    assert client.get(at(make_deployment(), path)).status_code == 401
    assert client.get(URL).status_code == 401


def test_nobody_changes_without_signing_in(client):
    _first, active = make_history("terminated", "active")
    kind = "application/json"
    assert client.post(URL, body(active.model_version), content_type=kind).status_code == 401
    assert client.patch(at(active), {"deployment_notes": "x"}, content_type=kind).status_code == 401
    assert client.delete(at(active)).status_code == 401
    assert client.post(at(active, "/rollback"), {}, content_type=kind).status_code == 401
    page = f"{MODELS}/{active.model.name}/1/deploy"
    assert client.post(page, {"environment": "development"}, content_type=kind).status_code == 401
    assert Deployment.objects.count() == 2
