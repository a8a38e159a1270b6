"""registered-models/* and model-versions/* of MLflow's protocol, on this platform's own registry."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from core.models import Alert, AuditEvent
from core.operations import changes
from lifecycle.models import LoggedModel, ModelAlias, ModelVersion, RegisteredModel
from tests.factories import (
    make_client,
    make_deployment,
    make_file,
    make_logged_model,
    make_model,
    make_model_run,
    make_registered,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

PATH = "/api/2.0/mlflow/"
MODELS = "/api/v1/ml/lifecycle/models"


@pytest.fixture(autouse=True)
def artifact_root(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)


@pytest.fixture
def client():
    return make_client("scientist")


@pytest.fixture
def version():
    """The first of “wine”, checked, but not decided about."""
    return make_registered(model_name="wine", ticked=True)


def ask(client, method, call, **body):
    if method == "GET":
        return client.get(PATH + call, body)
    return client.generic(method, PATH + call, json.dumps(body), content_type="application/json")


def done(client, method, call, **body):
    response = ask(client, method, call, **body)
    assert response.status_code == 200, response.content
    return response.json()


def refusal(response):
    return response.status_code, response.json()["error_code"]


def actions():
    found = AuditEvent.objects.filter(action__regex="^(registered_model|model_)").order_by("pk")
    return list(found.values_list("action", flat=True))


def transition(client, version, stage, **more):
    body = {"name": version.model.name, "version": str(version.version), "stage": stage, **more}
    return ask(client, "POST", "model-versions/transition-stage", **body)


# --- Both ways ----------------------------------------------------------------------------------------------


def test_what_mlflow_registers_is_a_version_here_with_its_checklist(client, settings):
    settings.DEFAULT_CHECKLIST = ["Tests passed"]
    run = make_model_run()
    done(client, "POST", "registered-models/create", name="wine", description="Red.")
    source = {"source": f"runs:/{run.run_id}/model", "run_id": run.run_id}
    told = done(client, "POST", "model-versions/create", name="wine", **source, description="First.")

    assert (told["model_version"]["version"], told["model_version"]["status"]) == ("1", "READY")
    shown = client.get(f"{MODELS}/wine/1").json()
    assert (shown["run_id"], shown["artifact_path"], shown["description"]) == (run.run_id, "model", "First.")
    assert (shown["stage"], shown["status"], shown["framework"]) == ("experimental", "draft", "sklearn")
    assert [item["name"] for item in shown["approval_checklist"]] == ["Tests passed"]


def test_what_the_platform_registers_mlflow_shows(client, version):
    ModelAlias.objects.create(model=version.model, alias="champion", version=version)
    told = done(client, "GET", "model-versions/get", name="wine", version="1")["model_version"]
    assert (told["source"], told["run_id"]) == (f"runs:/{version.run.run_id}/model", version.run.run_id)
    assert (told["current_stage"], told["aliases"]) == ("None", ["champion"])
    address = done(client, "GET", "model-versions/get-download-uri", name="wine", version="1")["artifact_uri"]
    assert address == f"mlflow-artifacts:/{version.run.experiment_id}/{version.run.run_id}/artifacts/model"


def test_a_version_of_a_logged_model_is_noted_on_it(client):
    model = make_logged_model()
    make_model(name="wine")
    body = {"name": "wine", "source": f"models:/{model.model_id}", "model_id": model.model_id}
    for _time in range(2):
        done(client, "POST", "model-versions/create", **body)
    model.refresh_from_db()
    noted = json.loads(model.tags["mlflow.modelVersions"])
    assert noted == [{"name": "wine", "version": 1}, {"name": "wine", "version": 2}]


@pytest.mark.parametrize("tag", ["{}", "no JSON", "[" * 5000])
def test_what_somebody_else_wrote_into_that_tag_stays(client, tag):
    model = make_logged_model(tags={"mlflow.modelVersions": tag})
    make_model(name="wine")
    body = {"name": "wine", "source": f"models:/{model.model_id}", "model_id": model.model_id}
    done(client, "POST", "model-versions/create", **body)
    model.refresh_from_db()
    assert model.tags == {"mlflow.modelVersions": tag}


def test_what_changes_state_is_audited_and_tags_are_not(client, version):
    body = {"name": "wine", "version": "1"}
    done(client, "POST", "model-versions/set-tag", **body, key="k", value="v")
    done(client, "DELETE", "model-versions/delete-tag", **body, key="k")
    done(client, "POST", "registered-models/set-tag", name="wine", key="k", value="v")
    before = len(actions())
    done(client, "PATCH", "model-versions/update", **body, description="New.")
    done(client, "PATCH", "registered-models/update", name="wine", description="New.")
    done(client, "POST", "registered-models/alias", **body, alias="champion")
    done(client, "POST", "registered-models/rename", name="wine", new_name="tea")
    done(client, "DELETE", "model-versions/delete", name="tea", version="1")
    done(client, "DELETE", "registered-models/delete", name="tea")
    assert before == len(["registered_model.create", "model_version.register"])
    assert actions()[before:] == [
        "model_version.update",
        "registered_model.update",
        "model_alias.set",
        "registered_model.rename",
        "model_version.delete",
        "registered_model.delete",
    ]


# --- Approval -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["Staging", "Production"])
def test_a_stage_that_takes_an_approval_is_refused_without_one_in_a_sentence(version, stage):
    approver = make_client("approver")
    response = transition(approver, version, stage)
    assert refusal(response) == (403, "PERMISSION_DENIED")
    assert "not approved" in response.json()["message"]
    assert approver.post(f"{MODELS}/wine/1/approve", {}, format="json").status_code == 200
    assert transition(approver, version, stage).json()["model_version"]["current_stage"] == stage


def test_a_scientist_moves_no_version_while_stages_take_approvals(client, version):
    assert refusal(transition(client, version, "Archived")) == (403, "PERMISSION_DENIED")


def test_where_no_stage_takes_an_approval_authors_move_versions_as_in_mlflow(client, version, settings):
    settings.APPROVAL_REQUIRED_STAGES = []
    for stage in ("Staging", "Production", "None", "Archived"):
        assert transition(client, version, stage).json()["model_version"]["current_stage"] == stage
    assert refusal(transition(make_client("viewer"), version, "None")) == (403, "PERMISSION_DENIED")


def test_those_in_the_stage_are_archived_with_the_move_or_nothing_is_moved(settings):
    settings.APPROVAL_REQUIRED_STAGES = []
    approver, model = make_client("approver"), make_model(name="wine")
    old = make_version(model=model, stage="staging", version=1)
    new = make_version(model=model, stage="experimental", version=2)
    make_deployment(model_version=old, environment="production", status="active")
    archiving = {"archive_existing_versions": True}
    assert transition(approver, new, "Staging", **archiving).status_code == 409
    assert set(ModelVersion.objects.values_list("stage", flat=True)) == {"staging", "experimental"}
    old.deployments.update(status="terminated")
    assert transition(approver, new, "Staging", **archiving).status_code == 200
    assert list(ModelVersion.objects.order_by("version").values_list("stage", flat=True)) == [
        "archived",
        "staging",
    ]


# --- Deleting and renaming ----------------------------------------------------------------------------------


def test_a_deleted_version_is_found_nowhere_and_its_number_is_not_given_again(client, version):
    ModelAlias.objects.create(model=version.model, alias="champion", version=version)
    done(client, "DELETE", "model-versions/delete", name="wine", version="1")
    assert client.get(f"{MODELS}/wine/1").status_code == 404
    assert client.get(f"{MODELS}/wine/@champion").status_code == 404
    assert client.get(MODELS).json()["count"] == 0
    assert done(client, "GET", "model-versions/search") == {}
    again = make_registered(model_name="wine", run_id=version.run.run_id)
    assert again.version == 2


def test_a_deleted_model_leaves_its_name_to_another(client, version):
    done(client, "DELETE", "registered-models/delete", name="wine")
    assert refusal(ask(client, "GET", "registered-models/get", name="wine")) == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
    )
    done(client, "POST", "registered-models/create", name="wine")
    assert make_registered(model_name="wine").version == 1
    assert RegisteredModel.objects.filter(name="wine").count() == 2
    assert client.get(f"{MODELS}/wine/1").json()["run_id"] != version.run.run_id


@pytest.mark.parametrize("status", ["active", "terminated", "failed"])
def test_what_was_deployed_stays_and_keeps_its_name(client, status):
    version = make_version(model=make_model(name="wine"))
    make_deployment(model_version=version, status=status)
    for call, body in {
        "model-versions/delete": {"version": str(version.version)},
        "registered-models/delete": {},
    }.items():
        assert refusal(ask(client, "DELETE", call, name="wine", **body)) == (409, "RESOURCE_CONFLICT")
    response = ask(client, "POST", "registered-models/rename", name="wine", new_name="tea")
    assert refusal(response) == (409, "RESOURCE_CONFLICT")
    assert ModelVersion.objects.kept().get().model.name == "wine"


def test_a_version_in_a_stage_that_takes_an_approval_is_not_deleted(client):
    version = make_version(model=make_model(name="wine"), stage="staging")
    body = {"name": "wine", "version": str(version.version)}
    assert refusal(ask(client, "DELETE", "model-versions/delete", **body)) == (409, "RESOURCE_CONFLICT")
    assert refusal(ask(client, "DELETE", "registered-models/delete", name="wine"))[0] == 409
    assert RegisteredModel.objects.kept().exists()


def test_files_of_a_deleted_version_may_go(client, version):
    done(client, "DELETE", "model-versions/delete", name="wine", version="1")
    run = version.run
    response = client.delete(
        f"/api/2.0/mlflow-artifacts/artifacts/{run.experiment_id}/{run.run_id}/artifacts/model"
    )
    assert response.status_code == 200
    assert not run.artifacts.exists()


def test_a_deleted_version_leaves_its_label_to_another(client):
    run = make_model_run()
    make_registered(model_name="wine", run_id=run.run_id, version_label="v1.2")
    done(client, "DELETE", "model-versions/delete", name="wine", version="1")
    assert make_registered(model_name="wine", run_id=run.run_id, version_label="v1.2").version == 2


def test_what_was_raised_about_a_version_is_over_when_it_is_deleted(client, version):
    make_client("approver").post(f"{MODELS}/wine/1/approve", {}, format="json")
    make_file(version.run, "model/model.skops", "other")
    alert = Alert.objects.get(resolved_at=None)
    done(client, "DELETE", "registered-models/delete", name="wine")
    alert.refresh_from_db()
    assert alert.resolved_at


def test_deleted_models_and_versions_are_shown_to_admins(client, version):
    done(client, "DELETE", "registered-models/delete", name="wine")
    admin = Client()
    admin.force_login(make_user("admin"))
    for model in ("registeredmodel", "modelversion"):
        page = admin.get(f"/admin/lifecycle/{model}/?kept=yes").content.decode()
        assert "wine" in page, model
        assert "wine" not in admin.get(f"/admin/lifecycle/{model}/?kept=no").content.decode(), model


def test_a_name_that_is_taken_meanwhile_is_refused(client, version):
    make_model(name="tea")
    response = ask(client, "POST", "registered-models/rename", name="wine", new_name="tea")
    assert refusal(response) == (400, "RESOURCE_ALREADY_EXISTS")


def test_deleting_many_versions_takes_few_queries(client, django_assert_max_num_queries):
    model = make_model(name="wine")
    for _number in range(20):
        make_version(model=model, created_by=model.created_by)
        model.refresh_from_db()
    with django_assert_max_num_queries(18):
        done(client, "DELETE", "registered-models/delete", name="wine")
    assert not ModelVersion.objects.kept().exists()


# --- Sources ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "s3://bucket/model", "http://169.254.169.254/latest/meta-data", "https://example.com/model.zip", "file:///etc",
        "file://host/etc", "/etc/passwd", "ftp://host/model", "dbfs:/model", "runs:/{run}/../../x",
        "runs:/{run}/%2e%2e/x",
        "runs:/{run}/%252e%252e/x", "runs:/{run}/a\\..\\x", "runs:/{run}/model#x", "runs:/{run}/model?x",
        "runs:/{run}//model",
        "runs:/{run}/", "runs:/{run}", "runs://host/{run}/model", "mlflow-artifacts://evil.example/1/{run}/artifacts/model",
        "mlflow-artifacts:/1/{run}/artifacts/../../x", "mlflow-artifacts:/1/{run}/artifacts", "MODELS:/wine/1",
        "mlflow-artifacts:/999/{run}/artifacts/model", "runs:/{run}/" + "a/" * 500 + "model",
        "http://host/api/2.0/mlflow-artifacts/artifacts/1/{run}/artifacts/model", "\x00", "models:/", "models:/wine",
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_no_source_and_is_never_fetched(client, source):
    run = make_model_run()
    make_model(name="wine")
    asked = {"source": source.replace("{run}", run.run_id), "run_id": run.run_id}
    response = ask(client, "POST", "model-versions/create", name="wine", **asked)
    assert refusal(response) == (400, "INVALID_PARAMETER_VALUE")
    assert not ModelVersion.objects.exists()


def test_a_folder_without_a_model_is_no_version(client):
    run = make_model_run()
    make_model(name="wine")
    body = {"name": "wine", "source": f"runs:/{run.run_id}/other", "run_id": run.run_id}
    assert refusal(ask(client, "POST", "model-versions/create", **body)) == (400, "INVALID_PARAMETER_VALUE")
    assert RegisteredModel.objects.get().last_version == 0


def test_a_copied_version_has_the_makers_of_the_first(client, version):
    make_model(name="tea")
    done(client, "POST", "model-versions/create", name="tea", source="models:/wine/1")
    copy = ModelVersion.objects.get(model__name="tea")
    assert (copy.run, copy.content_sha256) == (version.run, version.content_sha256)
    assert version.run.created_by.person in copy.authors


# --- Bounds -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "call", "body"),
    [
        ("POST", "registered-models/create", {"name": "tea", "description": "d" * 5001}),
        ("POST", "registered-models/create", {"name": "t" * 251}),
        ("POST", "registered-models/create", {"name": "a\u202eb"}),
        ("POST", "registered-models/set-tag", {"name": "wine", "key": "k", "value": "v" * 100_001}),
        (
            "POST",
            "model-versions/set-tag",
            {"name": "wine", "version": "1", "key": "k", "value": "v" * 100_001},
        ),
        ("PATCH", "model-versions/update", {"name": "wine", "version": "1", "description": "d" * 5001}),
        ("GET", "registered-models/search", {"max_results": 0}),
        ("GET", "model-versions/search", {"max_results": 0}),
        ("GET", "registered-models/search", {"filter": "name = '" + "x" * 10_001 + "'"}),
        ("GET", "model-versions/search", {"filter": "version_number = " + "9" * 30}),
        ("GET", "registered-models/search", {"filter": "name IN ({[]})"}),
        ("GET", "model-versions/search", {"filter": "name IN ('\\ud800')"}),
        ("GET", "model-versions/search", {"filter": "run_id IN ('\\x00')"}),
        ("GET", "model-versions/get", {"name": "wine", "version": "9" * 5000}),
        ("GET", "model-versions/get", {"name": "wine", "version": "@champion"}),
    ],
)
def test_what_cannot_be_is_refused(client, version, method, call, body):
    assert refusal(ask(client, method, call, **body)) == (400, "INVALID_PARAMETER_VALUE")


def test_all_tags_together_have_a_bound(client, version, monkeypatch):
    monkeypatch.setattr(changes, "MAX_PAIRS", 10)
    for call, body in {"registered-models": {}, "model-versions": {"version": "1"}}.items():
        told = {"name": "wine", "value": "v" * 4, **body}
        answers = [ask(client, "POST", f"{call}/set-tag", key=key, **told).status_code for key in "abac"]
        assert answers == [200, 200, 200, 400]


def test_who_may_not_write_hears_so_where_nothing_is_to_be_done(version):
    viewer, model = make_client("viewer"), make_logged_model()
    LoggedModel.objects.update(deleted_at=timezone.now())
    assert ask(viewer, "DELETE", "registered-models/alias", name="wine", alias="nothing").status_code == 403
    assert ask(viewer, "DELETE", f"logged-models/{model.model_id}").status_code == 403


def test_searches_take_as_many_queries_for_many_as_for_few(client, django_assert_max_num_queries):
    owner = make_user("scientist")
    for number in range(20):
        model = make_model(name=f"model {number:02}", created_by=owner)
        for stage in ("experimental", "staging"):
            version = make_version(model=model, stage=stage, created_by=owner, tags={"team": "risk"})
            ModelAlias.objects.create(model=model, alias=f"a{version.version}", version=version)
    with django_assert_max_num_queries(8):
        found = done(client, "GET", "registered-models/search")["registered_models"]
    assert [len(model["latest_versions"]) for model in found] == [2] * 20
    with django_assert_max_num_queries(6):
        found = done(client, "GET", "model-versions/search", filter="tags.team = 'risk'")["model_versions"]
    assert len(found) == 40
