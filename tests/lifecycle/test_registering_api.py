"""POST /models: what can be registered as a version, by whom, and what is taken over into it."""

import hashlib
import threading

import pytest
from django.db import connection

from core.errors import Conflict
from core.models import AuditEvent
from lifecycle.models import ModelVersion, RegisteredModel, RunMetric
from lifecycle.operations.registry import register_version
from tests.factories import (
    MLMODEL,
    make_client,
    make_file,
    make_model_run,
    make_registered,
    make_run,
    make_user,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/models"


def body(run, **fields):
    return {"model_name": "churn", "run_id": run.run_id, "artifact_path": "model", **fields}


def make_metric(run, name, value, **fields):
    fields.setdefault("timestamp", 0)
    return RunMetric.objects.create(run=run, name=name, value=value, **fields)


@pytest.fixture
def scientist():
    return make_client("scientist")


def test_the_first_version_makes_the_model(scientist):
    run = make_model_run()
    answer = scientist.post(URL, body(run, version_label="v1.0", description="first", tags={"team": "risk"}))
    assert answer.status_code == 201, answer.data
    assert answer.data["version"] == 1
    assert answer.data["version_label"] == "v1.0"
    assert answer.data["stage"] == "experimental"
    assert answer.data["status"] == "draft"
    assert answer.data["created_by"] == scientist.user.username
    assert answer.data["tags"] == {"team": "risk"}
    assert RegisteredModel.objects.get().name == "churn"


def test_every_further_version_gets_the_next_number(scientist):
    run = make_model_run()
    assert [scientist.post(URL, body(run)).data["version"] for _ in range(3)] == [1, 2, 3]


def test_what_the_mlmodel_file_declares_is_shown(scientist):
    data = scientist.post(URL, body(make_model_run())).data
    assert data["framework"] == "sklearn"
    assert data["signature"] == {
        "inputs": [{"type": "double", "name": "age", "required": True}],
        "outputs": [{"type": "double", "required": True}],
        "params": None,
    }


def test_the_content_hash_is_what_sha256sum_gives(scientist):
    data = scientist.post(URL, body(make_model_run())).data
    lines = [
        f"{hashlib.sha256(content.encode()).hexdigest()}  {path}\n"
        for path, content in [("MLmodel", MLMODEL), ("model.skops", "weights")]
    ]
    assert data["content_sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert data["size_bytes"] == len(MLMODEL) + len("weights")
    assert data["size_mb"] == round(data["size_bytes"] / 1_000_000, 3)


def test_files_beside_the_model_are_not_part_of_it(scientist):
    run = make_model_run()
    make_file(run, "model-notes/readme.txt")
    make_file(run, "MODEL/other.bin")
    assert scientist.post(URL, body(run)).data["size_bytes"] == len(MLMODEL) + len("weights")


def test_the_default_checklist_starts_pending(scientist, settings):
    settings.DEFAULT_CHECKLIST = ["Looked at", "Looked at again"]
    checklist = scientist.post(URL, body(make_model_run())).data["approval_checklist"]
    assert [(item["name"], item["status"], item["completed_by"]) for item in checklist] == [
        ("Looked at", "pending", None),
        ("Looked at again", "pending", None),
    ]


def test_the_latest_metrics_of_the_run_are_taken_over(scientist):
    run = make_model_run()
    make_metric(run, "accuracy", 0.9)
    make_metric(run, "f1", 0.7, dataset="train")
    make_metric(run, "f1", 0.6, dataset="test")
    make_metric(run, "loss", 0, is_nan=True)
    assert scientist.post(URL, body(run)).data["metrics"] == {
        "accuracy": 0.9,
        "f1@train": 0.7,
        "f1@test": 0.6,
        "loss": "NaN",
    }


def test_metrics_given_replace_those_of_the_run(scientist):
    run = make_model_run()
    make_metric(run, "accuracy", 0.9)
    assert scientist.post(URL, body(run, metrics={"auc": 0.8, "ratio": "Infinity"})).data["metrics"] == {
        "auc": 0.8,
        "ratio": "Infinity",
    }


def test_registering_is_audited_with_the_content(scientist):
    data = scientist.post(URL, body(make_model_run())).data
    event = AuditEvent.objects.get(action="model_version.register")
    assert event.object_id == str(data["id"])
    assert event.changes["content_sha256"] == data["content_sha256"]
    assert AuditEvent.objects.filter(action="registered_model.create").count() == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model_name": "a/b"}, "/"),
        ({"model_name": "a:b"}, ":"),
        ({"model_name": "x" * 251}, "250"),
        ({"version_label": "7"}, "7"),
        ({"version_label": "@best"}, "label"),
        ({"version_label": "compare"}, "compare"),
        ({"artifact_path": "../model"}, ".."),
        ({"artifact_path": "/model"}, "relative"),
        ({"metrics": {"a\x00b": 1}}, "letters"),
        ({"metrics": {"accuracy": "high"}}, "number"),
        ({"tags": {"a\x00b": "x"}}, "ull"),
        ({"tags": {"": "x"}}, "blank"),
        ({"stage": "production"}, "stage"),
        ({"status": "registered"}, "status"),
    ],
)
def test_what_cannot_be_registered_is_refused_saying_why(scientist, change, field):
    answer = scientist.post(URL, body(make_model_run()) | change)
    assert answer.status_code == 400, answer.data
    assert field in answer.data["detail"]
    assert not ModelVersion.objects.exists()
    assert not RegisteredModel.objects.exists()


def test_an_unknown_or_deleted_run_is_not_found(scientist):
    run = make_model_run()
    assert scientist.post(URL, body(run, run_id="0" * 32)).status_code == 404
    type(run).objects.update(deleted_at=run.started_at)
    assert scientist.post(URL, body(run)).status_code == 404


def test_a_folder_without_an_mlmodel_file_is_no_model(scientist):
    run = make_run()
    make_file(run, "model/weights.bin")
    answer = scientist.post(URL, body(run))
    assert answer.status_code == 400
    assert "model/MLmodel" in answer.data["detail"]
    assert not RegisteredModel.objects.exists()


@pytest.mark.parametrize(
    "content",
    [
        "a: [",
        "just text",
        "flavors: {}",
        "[" * 100_000,
        "[" + "a," * 500_000 + "]",
        "!!python/object/apply:os.system ['true']",
        "flavors: {sklearn: {}}\nsignature: [1]",
        "flavors: {sklearn: {}}\nsignature: {inputs: '{not json'}",
        "flavors: {sklearn: {}}\nsignature: {inputs: 5}",
        "flavors: {sklearn: {}}\nsignature: {inputs: '[\"\\u0000\"]'}",
        "flavors: {sklearn: {}}\nsignature: {inputs: '[\"\\ud800\"]'}",
        b"\xff\xfe\xfa",
    ],
)
def test_an_mlmodel_file_that_is_none_is_refused(scientist, content):
    run = make_run()
    make_file(run, "model/MLmodel", content)
    answer = scientist.post(URL, body(run))
    assert answer.status_code == 400
    assert "MLmodel" in answer.data["detail"]


def test_an_mlmodel_file_beyond_reason_is_not_read(scientist):
    run = make_run()
    make_file(run, "model/MLmodel", MLMODEL + "# " + "x" * 1024**2)
    assert "bytes" in scientist.post(URL, body(run)).data["detail"]


def test_a_model_without_a_signature_is_registered_without_one(scientist):
    run = make_run()
    make_file(run, "model/MLmodel", "flavors: {python_function: {}}")
    data = scientist.post(URL, body(run)).data
    assert data["signature"] is None
    assert data["framework"] == "python_function"


def test_a_label_is_taken_once_a_model(scientist):
    run = make_model_run()
    scientist.post(URL, body(run, version_label="v1"))
    answer = scientist.post(URL, body(run, version_label="v1"))
    assert answer.status_code == 409
    assert "v1" in answer.data["detail"]
    assert RegisteredModel.objects.get().last_version == 1
    assert scientist.post(URL, body(run, model_name="other", version_label="v1")).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_versions_registered_at_once_get_different_numbers():
    author, run = make_user("scientist"), make_model_run()
    numbers, failures = [], []

    def register():
        try:
            numbers.append(
                register_version(
                    actor=author, model_name="churn", run_id=run.run_id, artifact_path="model"
                ).version
            )
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=register) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]


def test_registering_a_taken_label_by_operation_is_a_conflict():
    version = make_registered(version_label="v1")
    with pytest.raises(Conflict):
        make_registered(model_name=version.model.name, version_label="v1")


@pytest.mark.parametrize(
    ("client", "status"),
    [
        ({"roles": ["viewer"]}, 403),
        ({"roles": ["approver"]}, 403),
        ({"roles": ["operator"]}, 403),
        ({"roles": ["scientist"], "read_only": True}, 403),
        ({"roles": ["scientist"], "domain": "features"}, 403),
        ({"roles": ["scientist"], "domain": "lifecycle"}, 201),
        ({"roles": ["admin"]}, 201),
    ],
)
def test_authors_register(client, status):
    caller = make_client(*client.pop("roles"), **client)
    assert caller.post(URL, body(make_model_run())).status_code == status
