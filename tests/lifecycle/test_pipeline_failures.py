"""A deployment that cannot go on ends as failed, says why, and leaves what serves alone."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from core.models import Alert
from lifecycle.artifact_store import artifact_store
from lifecycle.models import Artifact, Deployment, ModelVersion
from lifecycle.operations.code_allowances import allow_code
from lifecycle.operations.pipeline import advance, fail
from serving.models import Target
from tests.factories import make_file, make_user
from tests.lifecycle.real_models import carry, make_real_version, moves, said, start
from tests.serving.models import make_picky_model, make_sklearn_model, make_unloadable_model

pytestmark = pytest.mark.django_db(transaction=True)
PRODUCTION = "production"


@pytest.fixture
def version(model_folder):
    return make_real_version(model_folder, approved=True, model_name="churn")


@pytest.fixture
def serving(agent, version):
    """What serves before, with its process."""
    deployment = carry(agent, start(version, PRODUCTION))
    assert deployment.status == "active", said(deployment)
    return deployment


@pytest.fixture
def untouched(agent, serving):
    """Asserts that what served before still does, in the same process."""
    target = Target.objects.get(deployment_id=serving.pk)
    replicas = list(target.replicas.values_list("name", "pid", "state"))
    assert [state for _name, _pid, state in replicas] == ["ready"]

    def check():
        agent.tick()
        target.refresh_from_db()
        assert Deployment.objects.get(pk=serving.pk).status == "active"
        assert (target.state, target.weight) == ("serving", 100)
        assert list(target.replicas.values_list("name", "pid", "state")) == replicas

    return check


def assert_failed(deployment, *sentences, stages=("validating",)):
    deployment.refresh_from_db()
    assert deployment.status == "failed"
    for sentence in sentences:
        assert sentence in deployment.error_message
    last = deployment.log_lines.last()
    assert (last.level, last.message) == ("error", deployment.error_message)
    path = ["pending", *stages, "failed"]
    assert moves(deployment) == list(zip(path, path[1:], strict=False))
    assert deployment.events.last().reason == deployment.error_message
    assert deployment.terminated_at is not None
    alert = Alert.objects.get(object_type="deployment", object_id=str(deployment.pk), resolved_at=None)
    assert alert.message == deployment.error_message
    assert not Target.objects.filter(deployment_id=deployment.pk, state__in=["starting", "serving"]).exists()


def stored(version, path):
    """Where the bytes of a file of the version lie."""
    artifact = Artifact.objects.get(run=version.run, path=f"model/{path}")
    return artifact_store()._path(artifact.storage_key)


def edit_description(folder, old, new):
    file = folder / "MLmodel"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


# --- Files --------------------------------------------------------------------------------------------------


def test_a_file_that_the_store_lost(agent, model_folder, untouched):
    version = make_real_version(model_folder, approved=True, model_name="churn")
    stored(version, "model.skops").unlink()
    deployment = carry(agent, start(version, PRODUCTION))
    assert_failed(deployment, "lost “model/model.skops”")
    untouched()


def test_bytes_that_changed_in_the_store(agent, model_folder, untouched):
    version = make_real_version(model_folder, approved=True, model_name="churn")
    with stored(version, "model.skops").open("ab") as file:
        file.write(b"one byte more")
    deployment = carry(agent, start(version, PRODUCTION))
    assert_failed(deployment, "“model/model.skops” changed in the artifact store")
    untouched()


def test_a_file_that_is_registered_no_more(agent, model_folder, untouched):
    version = make_real_version(model_folder, approved=True, model_name="churn")
    Artifact.objects.filter(run=version.run, path="model/model.skops").delete()
    deployment = carry(agent, start(version, PRODUCTION))
    assert_failed(deployment, "are not those registered")
    untouched()


def test_a_file_uploaded_after_the_approval_voids_it_on_the_way(agent, model_folder, untouched):
    version = make_real_version(model_folder, approved=True, model_name="churn")
    deployment = start(version, PRODUCTION)
    make_file(version.run, "model/extra.txt", "slipped in")
    assert_failed(carry(agent, deployment), "is not approved")
    untouched()


def test_an_approval_that_ends_while_replicas_come_up_is_noticed_before_traffic_moves(
    agent, model_folder, untouched
):
    version = make_real_version(model_folder, approved=True, model_name="churn")
    deployment = carry(agent, start(version, PRODUCTION), until="deploying")
    make_file(version.run, "model/extra.txt", "slipped in")
    assert_failed(carry(agent, deployment), "is not approved", stages=("validating", "deploying"))
    untouched()


def test_files_that_change_during_the_check_are_not_served_unchecked(agent, model_folder, monkeypatch):
    from lifecycle.operations import pipeline

    version = make_real_version(model_folder)
    deployment = carry(agent, start(version), until="validating")
    real = pipeline.validate

    def changed_meanwhile(claimed):
        checked = real(claimed)
        make_file(version.run, "model/extra.txt", "slipped in")
        return checked

    monkeypatch.setattr(pipeline, "validate", changed_meanwhile)
    assert_failed(carry(agent, deployment), "changed while they were checked")


# --- What the model is --------------------------------------------------------------------------------------


def without_signature(folder):
    make_sklearn_model(folder, signature=None, input_example=None)


def pickled(folder):
    make_sklearn_model(folder, serialization_format="cloudpickle")


def needing_what_is_not_here(folder):
    make_sklearn_model(folder)
    (folder / "requirements.txt").write_text("scikit-learn\nno-such-package-for-sure==1.0\n")


def pointing_outside(folder):
    make_sklearn_model(folder)
    edit_description(folder, "pickled_model: model.skops", "pickled_model: ../../../secret_key")


def naming_a_file_that_is_not_there(folder):
    make_sklearn_model(folder)
    edit_description(folder, "pickled_model: model.skops", "pickled_model: other.skops")


def with_weights_that_are_none(folder):
    make_sklearn_model(folder)
    (folder / "model.skops").write_bytes(b"not weights")


def with_an_example_it_cannot_answer(folder):
    make_sklearn_model(folder)
    file = folder / "serving_input_example.json"
    example = json.loads(file.read_text())
    example["dataframe_split"]["data"][0][0] = "old"
    file.write_text(json.dumps(example))


@pytest.mark.parametrize(
    ("make", "sentences"),
    [
        (without_signature, ["signature", "infer_signature"]),
        (pickled, ["runs code", "have an admin allow"]),
        (needing_what_is_not_here, ["no-such-package-for-sure"]),
        (pointing_outside, ["leads out of the model directory"]),
        (naming_a_file_that_is_not_there, ["other.skops", "missing"]),
        (with_weights_that_are_none, ["skops file is damaged", "log the model again"]),
        (with_an_example_it_cannot_answer, ["input example does not fit", "age"]),
    ],
)
def test_a_model_that_cannot_serve_fails_saying_what_to_do(agent, untouched, tmp_path, make, sentences):
    make(tmp_path / "model")
    version = make_real_version(tmp_path / "model", approved=True, model_name="churn")
    assert_failed(carry(agent, start(version, PRODUCTION)), *sentences)
    untouched()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (make_unloadable_model, "this file was never meant to be opened"),
        (lambda path: make_broken_example(make_picky_model(path)), "too large for me"),
    ],
)
def test_allowed_code_that_breaks_fails_with_what_it_said(agent, untouched, tmp_path, make, sentence):
    make(tmp_path / "model")
    version = make_real_version(tmp_path / "model", approved=True, model_name="churn")
    allow_code(actor=make_user("admin"), model=version.model, reason="a test")
    assert_failed(carry(agent, start(version, PRODUCTION)), sentence)
    untouched()


def make_broken_example(folder):
    """Rewrite a model's example so that it triggers what is wrong with the model."""
    file = folder / "serving_input_example.json"
    example = json.loads(file.read_text())
    example["dataframe_split"]["data"] = [[5000.0]]
    file.write_text(json.dumps(example))


def test_a_replica_that_does_not_come_up(agent, model_folder, untouched, tmp_path):
    version = make_real_version(make_sklearn_model(tmp_path / "model"), approved=True, model_name="churn")
    deployment = carry(agent, start(version, PRODUCTION), until="validating")
    advance(deployment_id=deployment.pk)
    shutil.rmtree(Path(Target.objects.get(deployment_id=deployment.pk).model_path))
    deployment = carry(agent, deployment)
    assert_failed(deployment, "A replica does not come up", "MLmodel", stages=("validating", "deploying"))
    untouched()


# --- Time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "stages"),
    [("validating", ("validating",)), ("deploying", ("validating", "deploying"))],
)
def test_a_stage_that_takes_too_long_fails(agent, version, untouched, stage, stages, settings):
    deployment = carry(agent, start(version, PRODUCTION), until=stage)
    settings.DEPLOYMENT_STAGE_TIMEOUT_SECONDS = 300.0
    Deployment.objects.filter(pk=deployment.pk).update(
        stage_started_at=timezone.now() - timedelta(seconds=301)
    )
    advance(deployment_id=deployment.pk)
    assert_failed(deployment, f"“{stage}” took longer than 300 seconds", stages=stages)
    untouched()


def test_waiting_for_a_worker_is_not_failing(agent, version, settings):
    deployment = carry(agent, start(version, PRODUCTION), until="pending")
    settings.DEPLOYMENT_STAGE_TIMEOUT_SECONDS = 300.0
    Deployment.objects.filter(pk=deployment.pk).update(
        stage_started_at=timezone.now() - timedelta(seconds=301)
    )
    assert carry(agent, deployment).status == "active"


def test_other_files_approved_meanwhile_do_not_go_live(agent, version, untouched):
    deployment = carry(agent, start(version, PRODUCTION), until="deploying")
    ModelVersion.objects.filter(pk=version.pk).update(content_sha256="1" * 64, approved_sha256="1" * 64)
    carry(agent, deployment)
    assert_failed(
        deployment, "changed since this deployment was asked for", stages=("validating", "deploying")
    )
    untouched()


def test_a_success_ends_the_alert_of_the_failure_before_it(agent, version):
    failed = carry(agent, start(version, PRODUCTION), until="pending")
    fail(failed, "for the test")
    alert = Alert.objects.get(object_type="deployment", object_id=str(failed.pk))
    assert alert.resolved_at is None
    carry(agent, start(version, PRODUCTION))
    alert.refresh_from_db()
    assert alert.resolved_at is not None


def test_a_check_that_hangs_is_stopped_in_time(agent, untouched, tmp_path, settings):
    from tests.serving.models_that_end_badly import make_slow_loading_model

    settings.VALIDATION_TIME_LIMIT_SECONDS = 0.5
    make_slow_loading_model(tmp_path / "model")
    version = make_real_version(tmp_path / "model", approved=True, model_name="churn")
    allow_code(actor=make_user("admin"), model=version.model, reason="a test")
    assert_failed(carry(agent, start(version, PRODUCTION)), "was not done after 0.5 s")
    untouched()
