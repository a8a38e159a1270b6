"""The pipeline carries a real model forward: every step once, whatever wakes it and whoever interferes."""

import os
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from django.conf import settings as platform
from django.db import connection
from django.utils import timezone

from core.errors import Conflict
from core.models import Alert, AuditEvent
from lifecycle.models import Deployment, ModelVersion
from lifecycle.operations import pipeline
from lifecycle.operations.code_allowances import allow_code
from lifecycle.operations.deployments import roll_back, terminate, update
from lifecycle.operations.pipeline import advance, wake_stalled
from lifecycle.operations.validation import clear_unused_copies
from serving.gateway.balancer import Balancer
from serving.models import Target
from serving.operations.targets import live_model_paths
from tests.factories import make_deployment, make_user
from tests.lifecycle.real_models import carry, make_real_version, moves, said, settle, start
from tests.serving.local_backends import predict
from tests.serving.models import diabetes, make_sklearn_model

pytestmark = pytest.mark.django_db(transaction=True)

FORWARD = [("pending", "validating"), ("validating", "deploying"), ("deploying", "active")]


def audited(deployment):
    rows = AuditEvent.objects.filter(object_type="deployment", object_id=str(deployment.pk)).order_by("pk")
    return list(rows.values_list("action", flat=True))


def expire_lease(deployment):
    Deployment.objects.filter(pk=deployment.pk).update(lease_expires_at=timezone.now())


@pytest.fixture
def version(model_folder):
    return make_real_version(model_folder, approved=True)


# --- Forward ------------------------------------------------------------------------------------------------


def test_a_deployment_becomes_active_in_exactly_three_moves(agent, version):
    deployment = carry(agent, start(version, "production"))
    assert deployment.status == "active", said(deployment)
    assert moves(deployment) == FORWARD
    assert audited(deployment) == [
        "deployment.create",
        "deployment.validating",
        "deployment.deploying",
        "deployment.active",
    ]
    assert deployment.health_status == "healthy"
    assert deployment.deployed_at is not None
    assert deployment.lease_expires_at is None
    target = Target.objects.get(deployment_id=deployment.pk)
    assert (target.state, target.weight) == ("serving", 100)
    assert said(deployment)[0].startswith("Files are those registered")
    assert said(deployment)[-1] == "Ready: traffic moved here."


def test_an_active_deployment_answers_with_the_models_predictions(agent, backend, version):
    deployment = carry(agent, start(version))
    rows = diabetes(2)[0].to_dict("records")
    addresses = backend.endpoint(str(deployment.pk))
    answer = predict(Balancer(), addresses, orjson.dumps({"dataframe_records": rows}))
    assert answer.status == 200
    assert len(orjson.loads(answer.body)["predictions"]) == 2


def test_the_check_tells_the_registry_how_the_model_is_loaded(agent, version):
    carry(agent, start(version))
    version.refresh_from_db()
    assert version.framework == "sklearn"
    assert [column["name"] for column in version.signature["inputs"]] == list(diabetes(1)[0].columns)


def test_code_an_admin_allowed_is_loaded_and_the_log_says_so(agent, tmp_path):
    version = make_real_version(make_sklearn_model(tmp_path / "model", serialization_format="cloudpickle"))
    allow_code(actor=make_user("admin"), model=version.model, reason="our own")
    deployment = carry(agent, start(version))
    assert deployment.status == "active", said(deployment)
    assert "An admin allowed this model’s files to run code when they load." in said(deployment)


def test_all_replicas_are_ready_before_traffic_moves(agent, version):
    deployment = carry(agent, start(version, endpoint_config={"instances": 2}), until="deploying")
    seen = set()
    while deployment.status != "active":
        seen.add(Target.objects.get(deployment_id=deployment.pk).weight)
        advance(deployment_id=deployment.pk)
        agent.tick()
        deployment.refresh_from_db()
    assert seen == {0}
    assert Target.objects.get().replicas.filter(state="ready").count() == 2


def test_a_rescale_before_the_replicas_are_asked_for_counts(agent, version, monkeypatch):
    deployment = carry(agent, start(version), until="validating")
    real = pipeline.validate

    def rescaled_meanwhile(claimed):
        checked = real(claimed)
        update(actor=None, deployment=deployment, endpoint_config={"instances": 2})
        return checked

    monkeypatch.setattr(pipeline, "validate", rescaled_meanwhile)
    advance(deployment_id=deployment.pk)
    assert Target.objects.get(deployment_id=deployment.pk).instances == 2


# --- Replacing ----------------------------------------------------------------------------------------------


def test_the_next_version_takes_over_and_the_one_before_drains_and_stops(agent, version, model_folder):
    first = carry(agent, start(version))
    after = make_real_version(model_folder, model_name=version.model.name)
    second = start(after)
    carry(agent, second, until="deploying")
    assert Deployment.objects.get(pk=first.pk).status == "active"
    second = carry(agent, second)
    first.refresh_from_db()
    assert (first.status, second.status) == ("terminated", "active")
    assert first.events.last().reason == f"Replaced by deployment #{second.pk}."
    before = Target.objects.get(deployment_id=first.pk)
    assert (before.state, before.weight) == ("draining", 0)
    assert settle(agent, first).replicas.count() == 0
    assert agent.backend.targets() == {str(second.pk)}


def test_traffic_and_states_change_together_or_not_at_all(agent, version, model_folder, monkeypatch):
    first = carry(agent, start(version))
    second = carry(
        agent, start(make_real_version(model_folder, model_name=version.model.name)), until="deploying"
    )

    def breaks(**_):
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.targets, "move_traffic", breaks)
        with pytest.raises(RuntimeError, match="the power went"):
            carry(agent, second)
    assert [Deployment.objects.get(pk=row.pk).status for row in (first, second)] == ["active", "deploying"]
    assert Target.objects.get(deployment_id=first.pk).weight == 100
    assert carry(agent, second).status == "active"
    assert moves(second) == FORWARD


def test_a_rollback_brings_the_earlier_version_back(agent, version, model_folder):
    first = carry(agent, start(version))
    second = carry(agent, start(make_real_version(model_folder, model_name=version.model.name)))
    third = roll_back(actor=make_user("operator"), deployment=second, reason="worse")
    assert Deployment.objects.get(pk=second.pk).status == "active"
    third = carry(agent, third)
    second.refresh_from_db()
    assert (second.status, third.status) == ("rollback", "active")
    assert (third.rollback_from, third.restores) == (second, first)
    assert third.model_version == version
    assert moves(third) == FORWARD
    assert moves(second)[-1] == ("active", "rollback")
    told = second.events.last().reason
    assert third.created_by.username in told
    assert third.deployment_notes in told
    with pytest.raises(Conflict) as refusal:
        roll_back(actor=make_user("operator"), deployment=third)
    assert refusal.value.code == "nothing_to_roll_back_to"


def test_a_rollback_to_files_that_changed_is_refused(agent, version, model_folder):
    carry(agent, start(version))
    second = carry(agent, start(make_real_version(model_folder, model_name=version.model.name)))
    ModelVersion.objects.filter(pk=version.pk).update(content_sha256="1" * 64)
    with pytest.raises(Conflict, match="changed since it served"):
        roll_back(actor=make_user("operator"), deployment=second)


def test_a_copy_that_was_damaged_since_is_replaced(agent, version):
    carry(agent, start(version))
    copy = platform.DATA_DIR / "models" / version.content_sha256 / "MLmodel"
    copy.write_text("damaged")
    assert carry(agent, start(version)).status == "active"
    assert "flavors" in copy.read_text()


# --- Ending on the way --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["pending", "validating", "deploying", "active"])
def test_a_termination_in_any_stage_leaves_nothing_running(agent, version, stage):
    deployment = carry(agent, start(version), until=stage)
    agent.tick()
    terminate(actor=make_user("operator"), deployment=deployment)
    advance(deployment_id=deployment.pk)
    assert Deployment.objects.get(pk=deployment.pk).status == "terminated"
    if stage in ("deploying", "active"):
        assert settle(agent, deployment).replicas.count() == 0
    assert agent.backend.targets() == set()
    assert not Target.objects.exclude(state="stopped").exists()


def test_a_termination_during_the_check_leaves_no_replicas_that_nobody_would_stop(
    agent, version, monkeypatch
):
    deployment = carry(agent, start(version), until="validating")
    real = pipeline.validate

    def ended_meanwhile(claimed):
        checked = real(claimed)
        terminate(actor=None, deployment=deployment)
        return checked

    monkeypatch.setattr(pipeline, "validate", ended_meanwhile)
    advance(deployment_id=deployment.pk)
    assert Deployment.objects.get(pk=deployment.pk).status == "terminated"
    assert not Target.objects.exists()


# --- Workers that meet --------------------------------------------------------------------------------------


def test_doubled_wake_ups_do_each_step_once(agent, version):
    deployment = start(version)
    stop = threading.Event()
    problems = []

    def work():
        try:
            while not stop.is_set():
                advance(deployment_id=deployment.pk)
                stop.wait(0.01)
        except Exception as error:
            problems.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    try:
        carry(agent, deployment)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert problems == []
    assert moves(deployment) == FORWARD
    assert len(audited(deployment)) == 4
    assert Target.objects.count() == 1


@pytest.mark.parametrize("outcome", ["good", "bad"])
def test_a_worker_whose_lease_was_taken_changes_nothing(agent, version, monkeypatch, outcome):
    deployment = carry(agent, start(version), until="validating")
    other = Deployment.objects.get(pk=deployment.pk)
    real = pipeline.validate

    def overtaken(claimed):
        checked = real(claimed)
        expire_lease(claimed)
        assert other.claim(lease_seconds=60)
        if outcome == "bad":
            raise Conflict("found something wrong")
        return checked

    monkeypatch.setattr(pipeline, "validate", overtaken)
    advance(deployment_id=deployment.pk)
    now = Deployment.objects.get(pk=deployment.pk)
    assert (now.status, now.fence, now.error_message) == ("validating", other.fence, "")
    assert now.lease_expires_at == other.lease_expires_at
    assert moves(deployment) == FORWARD[:1]
    assert not Target.objects.exists()
    assert not Alert.objects.exists()


def test_a_long_step_keeps_its_lease(agent, version, monkeypatch):
    monkeypatch.setattr(pipeline, "LEASE_SECONDS", 0.6)
    deployment = carry(agent, start(version), until="validating")
    claims = []

    def slow(claimed):
        for _ in range(15):
            threading.Event().wait(0.1)
            claims.append(Deployment.objects.get(pk=claimed.pk).claim(lease_seconds=1))
        raise Conflict("done")

    monkeypatch.setattr(pipeline, "validate", slow)
    advance(deployment_id=deployment.pk)
    assert not any(claims)
    assert Deployment.objects.get(pk=deployment.pk).error_message == "done"


def test_a_step_that_breaks_gives_its_lease_back_and_is_tried_again(agent, version, monkeypatch):
    deployment = carry(agent, start(version), until="validating")

    def breaks(claimed):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "validate", breaks)
        with pytest.raises(OSError, match="no space"):
            advance(deployment_id=deployment.pk)
    assert Deployment.objects.get(pk=deployment.pk).lease_expires_at is None
    assert carry(agent, deployment).status == "active"


def test_the_sweep_wakes_what_nobody_works_on():
    waiting = make_deployment(status="deploying")
    dead = make_deployment(lease_expires_at=timezone.now() - timedelta(seconds=1))
    busy = make_deployment(lease_expires_at=timezone.now() + timedelta(seconds=5))
    make_deployment(status="active")
    make_deployment(status="failed")
    make_deployment(is_external=True)
    assert set(Deployment.objects.claimable()) == {waiting, dead}
    assert wake_stalled() == 2
    assert not busy.claim(lease_seconds=1)


# --- Copies of the files ------------------------------------------------------------------------------------


def test_replicas_load_a_copy_that_outlives_the_artifact_store(agent, version):
    deployment = carry(agent, start(version))
    target = Target.objects.get(deployment_id=deployment.pk)
    assert target.model_path == str(platform.DATA_DIR / "models" / version.content_sha256)


def test_a_worker_killed_while_it_clears_leaves_no_half_copy_under_its_hash(settings, tmp_path, monkeypatch):
    settings.DATA_DIR = tmp_path
    copy = tmp_path / "models" / ("a" * 64)
    copy.mkdir(parents=True)
    (copy / "MLmodel").touch()

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        clear_unused_copies(in_use=set())
    assert not copy.exists()


def test_copies_go_once_nothing_needs_them(agent, version, tmp_path):
    other = make_real_version(make_sklearn_model(tmp_path / "model"))
    serving, ended = carry(agent, start(version)), carry(agent, start(other))
    terminate(actor=None, deployment=ended)
    settle(agent, ended)
    folder = platform.DATA_DIR / "models"
    cut_short, running = folder / "fetching-old", folder / "fetching-new"
    for copy, hours in ((cut_short, 2), (running, 0)):
        copy.mkdir()
        moment = (timezone.now() - timedelta(hours=hours)).timestamp()
        os.utime(copy, (moment, moment))
    clear_unused_copies(in_use=live_model_paths())
    assert {path.name for path in folder.iterdir()} == {version.content_sha256, "fetching-new"}
    assert Path(Target.objects.get(deployment_id=serving.pk).model_path).is_dir()
    running.rmdir()
