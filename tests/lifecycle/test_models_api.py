"""/models: finding versions, changing what is said about them, and comparing them."""

import pytest

from core.models import AuditEvent
from lifecycle.models import ModelVersion
from tests.factories import (
    MLMODEL,
    make_client,
    make_deployment,
    make_file,
    make_model,
    make_model_run,
    make_registered,
    make_version,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/models"


def at(version, suffix=""):
    return f"{URL}/{version.model.name}/{version.version}{suffix}"


@pytest.fixture
def scientist():
    return make_client("scientist")


# --- Who may ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", "/x/1", "/x/aliases/best"])
def test_reading_takes_a_sign_in(client, suffix):
    assert client.get(URL + suffix).status_code == 401


@pytest.mark.parametrize(
    "suffix", ["", "/x/compare", "/x/1/approve", "/x/1/reject", "/x/1/archive", "/x/1/checklist"]
)
def test_writing_takes_a_sign_in(client, suffix):
    assert client.post(URL + suffix, {}, content_type="application/json").status_code == 401


def test_everybody_signed_in_reads():
    version = make_registered()
    viewer = make_client("viewer", read_only=True)
    assert viewer.get(URL).data["count"] == 1
    assert viewer.get(at(version)).data["id"] == version.pk


# --- One version --------------------------------------------------------------------------------------------


def test_a_version_answers_by_number_label_and_alias(scientist):
    version = make_registered(version_label="v1.2-beta")
    name = version.model.name
    assert scientist.put(f"{URL}/{name}/aliases/best", {"version": "v1.2-beta"}).status_code == 200
    for word in ("1", "v1.2-beta", "@best", "%40best", "1/"):
        assert scientist.get(f"{URL}/{name}/{word}").data["id"] == version.pk


@pytest.mark.parametrize("word", ["2", "0", "99999999999999999999", "v9", "@none", "@", "a%00b", "²", "-1"])
def test_a_version_that_is_not_there_is_not_found(scientist, word):
    version = make_registered()
    answer = scientist.get(f"{URL}/{version.model.name}/{word}")
    assert answer.status_code == 404
    assert answer.data["code"] == "not_found"


def test_a_model_name_with_dots_spaces_and_korean_answers(scientist):
    make_registered(model_name="신용 risk v1.2")
    assert scientist.get(f"{URL}/신용 risk v1.2/1").status_code == 200


def test_the_detail_tells_where_a_version_comes_from(scientist):
    run = make_model_run(name="forest", dataset_name="loans", dataset_version="3")
    run.parameters.create(name="depth", value="5")
    version = make_registered(run_id=run.run_id)
    make_deployment(model_version=version, status="terminated")
    data = scientist.get(at(version)).data
    assert data["hyperparameters"] == {"depth": "5"}
    assert data["deployment_count"] == 1
    assert data["lineage"] == {
        "logged_model": None,
        "run": {"run_id": run.run_id, "name": "forest", "status": "running"},
        "experiment": {"id": run.experiment_id, "name": run.experiment.name},
        "dataset": {"name": "loans", "version": "3"},
    }


def test_the_status_is_derived(scientist):
    draft, approved, serving, archived = (
        make_version(),
        make_version(approved=True),
        make_version(approved=True),
        make_version(approved=True, stage="archived"),
    )
    make_deployment(model_version=serving, status="active")
    expected = {draft: "draft", approved: "registered", serving: "deployed", archived: "archived"}
    assert {version: scientist.get(at(version)).data["status"] for version in expected} == expected


# --- Changing -----------------------------------------------------------------------------------------------


def test_an_author_changes_what_is_said_about_a_version(scientist):
    version = make_registered()
    change = {"version_label": "v2", "description": "d", "tags": {"a": "b"}, "rollback_notes": "was slow"}
    answer = scientist.patch(at(version), change)
    assert answer.status_code == 200
    assert {name: answer.data[name] for name in change} == change
    event = AuditEvent.objects.get(action="model_version.update")
    assert event.changes["version_label"] == ["", "v2"]


def test_a_change_that_changes_nothing_leaves_no_audit_row(scientist):
    version = make_registered(description="same")
    assert scientist.patch(at(version), {"description": "same"}).status_code == 200
    assert not AuditEvent.objects.filter(action="model_version.update").exists()


def test_fields_of_the_server_cannot_be_changed(scientist):
    version = make_registered()
    for field in ("metrics", "approved_by", "status", "version", "content_sha256", "nonsense"):
        answer = scientist.patch(at(version), {field: "x"})
        assert answer.status_code == 400
        assert field in answer.data["fields"]


def test_a_taken_label_is_a_conflict_and_changes_nothing(scientist):
    first = make_registered(version_label="v1")
    second = make_registered(model_name=first.model.name)
    answer = scientist.patch(at(second), {"version_label": "v1", "description": "new"})
    assert answer.status_code == 409
    assert ModelVersion.objects.get(pk=second.pk).description == ""


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("approver", 403), ("operator", 403), ("admin", 200)]
)
def test_only_authors_describe(role, status):
    version = make_registered()
    assert make_client(role).patch(at(version), {"description": "d"}).status_code == status


def test_a_patch_of_several_parts_is_all_or_nothing():
    version = make_registered()
    both = make_client("scientist")
    answer = both.patch(at(version), {"description": "new", "stage": "archived"})
    assert answer.status_code == 403
    assert ModelVersion.objects.get(pk=version.pk).description == ""


@pytest.mark.parametrize(
    ("role", "status"),
    [("viewer", 403), ("scientist", 403), ("operator", 403), ("approver", 200), ("admin", 200)],
)
def test_stages_are_moved_by_those_who_decide(role, status):
    version = make_version(approved=True)
    answer = make_client(role).patch(at(version), {"stage": "staging"})
    assert answer.status_code == status
    assert AuditEvent.objects.filter(action="model_version.move_stage").count() == (status == 200)


@pytest.mark.parametrize("stage", ["staging", "production"])
def test_a_protected_stage_takes_an_approval(stage):
    version = make_version()
    answer = make_client("approver").patch(at(version), {"stage": stage})
    assert answer.status_code == 409
    assert answer.data["code"] == "approval_required"


def test_a_stage_the_setting_leaves_out_takes_no_approval(settings):
    settings.APPROVAL_REQUIRED_STAGES = ["production"]
    version = make_version()
    approver = make_client("approver")
    assert approver.patch(at(version), {"stage": "staging"}).status_code == 200
    assert approver.patch(at(version), {"stage": "production"}).status_code == 409


@pytest.mark.parametrize("stage", ["experimental", "staging", "archived"])
def test_a_version_that_serves_in_production_stays_in_its_stage(stage):
    version = make_version(approved=True, stage="production")
    make_deployment(model_version=version, environment="production", status="active")
    answer = make_client("approver").patch(at(version), {"stage": stage})
    assert answer.status_code == 409
    assert "production" in answer.data["detail"]


def test_a_version_that_serves_in_development_only_may_be_moved():
    version = make_version(approved=True, stage="production")
    make_deployment(model_version=version, environment="development", status="active")
    assert make_client("approver").patch(at(version), {"stage": "experimental"}).status_code == 200


@pytest.mark.parametrize("stage", ["nowhere", "", None, 3])
def test_an_unknown_stage_names_the_known_ones(stage):
    version = make_version()
    answer = make_client("approver").patch(at(version), {"stage": stage}, format="json")
    assert answer.status_code == 400
    assert "stage" in answer.data["fields"]


@pytest.mark.parametrize("status", ["pending", "validating", "deploying", "active"])
def test_a_deployed_version_cannot_be_archived(status):
    version = make_version()
    make_deployment(model_version=version, status=status)
    answer = make_client("approver").post(at(version, "/archive"))
    assert answer.status_code == 409
    assert answer.data["code"] == "version_deployed"


@pytest.mark.parametrize("status", ["failed", "terminated", "rollback"])
def test_a_version_no_longer_deployed_is_archived_once(status):
    version = make_version()
    make_deployment(model_version=version, status=status)
    approver = make_client("approver")
    answer = approver.post(at(version, "/archive"), {"reason": "superseded"})
    assert answer.data["status"] == "archived"
    assert AuditEvent.objects.get(action="model_version.archive").reason == "superseded"
    assert approver.post(at(version, "/archive")).status_code == 409


@pytest.mark.parametrize("role", ["viewer", "scientist", "operator"])
def test_archiving_is_for_those_who_decide(role):
    assert make_client(role).post(at(make_version(), "/archive")).status_code == 403


# --- Lists --------------------------------------------------------------------------------------------------


def found(client, **parameters):
    answer = client.get(URL, parameters)
    assert answer.status_code == 200, answer.data
    return {row["id"] for row in answer.data["results"]}


def test_the_list_is_filtered(scientist):
    one = make_version(tags={"team": "risk", "10": "ten"}, stage="staging", approved=True)
    two = make_version(tags={"team": "growth"}, stage="production", approved=True)
    three = make_version()
    make_deployment(model_version=two, status="active")
    assert found(scientist, model_name=one.model.name) == {one.pk}
    assert found(scientist, stage=["staging", "production"]) == {one.pk, two.pk}
    assert found(scientist, status="deployed") == {two.pk}
    assert found(scientist, status=["draft", "registered"]) == {one.pk, three.pk}
    assert found(scientist, tag="team") == {one.pk, two.pk}
    assert found(scientist, tag="team=risk") == {one.pk}
    assert found(scientist, tag="10=ten") == {one.pk}
    assert found(scientist, tag="team", status="registered") == {one.pk}
    assert found(scientist, run_id=three.run.run_id) == {three.pk}
    assert found(scientist, created_by=three.created_by.username) == {three.pk}
    assert found(scientist, search=three.model.name) == {three.pk}


def test_any_metric_has_a_least_value_to_filter_by(scientist):
    low, high = (
        make_version(metrics={"accuracy": 0.8, "10": 1}),
        make_version(metrics={"accuracy": 0.95, "val auc": 2}),
    )
    make_version(metrics={"accuracy": "NaN"})
    make_version(metrics={"accuracy": "-Infinity"})
    endless = make_version(metrics={"accuracy": "Infinity"})
    make_version(metrics={})
    assert found(scientist, min_accuracy="0.9") == {high.pk, endless.pk}
    assert found(scientist, min_accuracy="0.8") == {low.pk, high.pk, endless.pk}
    assert found(scientist, min_accuracy="-1") == {low.pk, high.pk, endless.pk}
    assert found(scientist, **{"min_val auc": "1.5"}) == {high.pk}
    assert found(scientist, min_10="1", min_accuracy="0.1") == {low.pk}
    assert found(scientist, min_recall="0") == set()


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"min_accuracy": "high"}, "min_accuracy"),
        ({"min_accuracy": "nan"}, "min_accuracy"),
        ({"min_accuracy": ""}, "min_accuracy"),
        ({"stage": "nowhere"}, "stage"),
        ({"status": "active"}, "status"),
        ({"modelname": "x"}, "modelname"),
        ({"ordering": "content_sha256"}, "ordering"),
        ({"model_name": "a\x00b"}, "non_field_errors"),
    ],
)
def test_a_filter_that_is_not_understood_is_refused(scientist, parameters, field):
    answer = scientist.get(URL, parameters)
    assert answer.status_code == 400
    assert field in answer.data["fields"]


def test_a_wrong_stage_names_the_allowed_ones(scientist):
    assert (
        "experimental, staging, production, archived"
        in scientist.get(URL, {"stage": "x"}).data["fields"]["stage"]
    )


def test_the_list_is_ordered(scientist):
    b, a = make_version(model=make_model(name="b")), make_version(model=make_model(name="a"))
    rows = scientist.get(URL, {"ordering": "model_name"}).data["results"]
    assert [row["id"] for row in rows] == [a.pk, b.pk]
    rows = scientist.get(URL, {"ordering": "-model_name,version"}).data["results"]
    assert [row["id"] for row in rows] == [b.pk, a.pk]


def test_a_page_takes_as_many_queries_however_long_it_is(scientist, django_assert_max_num_queries):
    for _ in range(3):
        make_registered()
    with django_assert_max_num_queries(10):
        assert len(scientist.get(URL).data["results"]) == 3
    for _ in range(5):
        make_registered()
    with django_assert_max_num_queries(10):
        assert len(scientist.get(URL).data["results"]) == 8


def test_the_list_is_exported(scientist):
    version = make_registered()
    content = b"".join(scientist.get(URL, {"export": "csv"}).streaming_content).decode()
    assert content.splitlines()[0].startswith("id,model_name,version")
    assert version.model.name in content.splitlines()[1]


# --- Comparing ----------------------------------------------------------------------------------------------


def test_versions_are_compared_metric_by_metric():
    model = make_model()
    make_version(model=model, metrics={"accuracy": 0.8, "loss": "NaN"})
    make_version(model=model, version_label="v2", metrics={"accuracy": 0.9, "auc": 0.7})
    answer = make_client("viewer", read_only=True).post(
        f"{URL}/{model.name}/compare", {"versions": [1, "v2"]}
    )
    assert answer.status_code == 200
    assert [version["version"] for version in answer.data["versions"]] == [1, 2]
    assert answer.data["metrics"] == [
        {"metric_name": "accuracy", "values": [0.8, 0.9]},
        {"metric_name": "auc", "values": [None, 0.7]},
        {"metric_name": "loss", "values": ["NaN", None]},
    ]


@pytest.mark.parametrize("versions", [[], [1], [1, 1], ["1", "v1"], list(range(1, 52)), "1,2", None])
def test_a_comparison_is_of_two_to_fifty_different_versions(versions):
    version = make_version(version_label="v1")
    answer = make_client("viewer").post(
        f"{URL}/{version.model.name}/compare", {"versions": versions}, format="json"
    )
    assert answer.status_code == 400


def test_comparing_with_a_version_that_is_not_there_is_not_found():
    version = make_version()
    answer = make_client("viewer").post(f"{URL}/{version.model.name}/compare", {"versions": [1, 7]})
    assert answer.status_code == 404
    assert "7" in answer.data["detail"]


# --- Changed files ------------------------------------------------------------------------------------------


def test_a_changed_file_is_a_changed_version():
    version = make_registered()
    make_file(version.run, "model/MLmodel", MLMODEL.replace("age", "height"))
    changed = ModelVersion.objects.get(pk=version.pk)
    assert changed.content_sha256 != version.content_sha256
    assert changed.signature["inputs"][0]["name"] == "height"
    event = AuditEvent.objects.get(action="model_version.files_change")
    assert event.changes["content_sha256"] == [version.content_sha256, changed.content_sha256]


@pytest.mark.parametrize(
    ("path", "content"),
    [("model/model.skops", "weights"), ("model2/x", "new"), ("notes.txt", "new"), ("Model/x", "new")],
)
def test_an_upload_that_changes_no_file_of_the_version_changes_nothing(path, content):
    version = make_registered()
    make_file(version.run, path, content)
    assert ModelVersion.objects.get(pk=version.pk).content_sha256 == version.content_sha256
    assert not AuditEvent.objects.filter(action="model_version.files_change").exists()


def test_an_upload_that_breaks_the_model_leaves_it_without_a_signature():
    version = make_registered()
    make_file(version.run, "model/MLmodel", "no longer a model")
    changed = ModelVersion.objects.get(pk=version.pk)
    assert (changed.signature, changed.framework) == (None, "")
