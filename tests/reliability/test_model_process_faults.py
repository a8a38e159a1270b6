"""Model processes that are killed, hang, leak or cannot load, behind the HTTP endpoint."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.reliability.platform import Platform, Served
from tests.serving import models
from tests.stack import wait_until

pytestmark = pytest.mark.slow

BAD_ROW = {"x": models.TRIGGER + 1}


def test_with_two_replicas_no_request_of_five_thousand_fails_when_they_are_killed_in_turn(platform, serve):
    served = serve(instances=2)

    with platform.traffic(served) as traffic:
        for _ in range(4):
            traffic.wait_for(800)
            served.kill_replica()
        traffic.wait_for(max(5000 - traffic.total, 800))

    assert traffic.total >= 5000
    assert traffic.failures == []
    assert served.restarts >= 4


def test_with_three_replicas_requests_find_the_last_one_when_the_others_are_killed_in_a_row(platform, serve):
    """Sooner than the routes forget the first one, and later than a request takes: it is sent twice at most."""
    served = serve(instances=3)

    with platform.traffic(served) as traffic:
        traffic.wait_for(300)
        for pid in sorted(served.pids)[:2]:
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        traffic.wait_for(1000)

    assert traffic.failures == []
    wait_until(lambda: served.restarts == 2, seconds=20, what="both were started again")


def test_with_one_replica_predictions_are_back_within_two_seconds(platform, serve):
    served = serve()
    (killed,) = served.pids

    with platform.traffic(served) as traffic:
        traffic.wait_for(300)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: served.pids - {killed}, seconds=10, what="a new process is there")
        traffic.wait_for(1000)

    print(f"silent for {traffic.longest_silence:.2f} s, {len(traffic.failures)} of {traffic.total} refused")  # noqa: T201
    assert traffic.longest_silence < 2.0
    assert {failure.status for failure in traffic.failures} <= {503}
    assert all(failure.headers["Retry-After"] for failure in traffic.failures)


def test_a_frozen_process_is_replaced_and_its_callers_hear_that_it_took_too_long(platform, serve, neighbour):
    served = serve(instance_type="tight")
    process = psutil.Process(served.pids.pop())

    process.suspend()

    assert served.predict().status == 504
    wait_until(lambda: served.predict().status == 200, seconds=15, what="it answers again")
    assert not process.is_running()
    wait_until(
        lambda: "did not answer" in served.replicas[0]["message"],
        seconds=5,
        what="the reason is there to read",
    )


def test_a_hanging_model_is_replaced_with_backoff_until_it_is_called_unhealthy(
    platform, serve, neighbour, tmp_path
):
    path = models.make_hanging_model(tmp_path / "model")
    served = serve(path, instance_type="tight")

    for hangs in range(1, 4):
        assert served.predict(BAD_ROW).status == 504
        wait_until(lambda: served.predict().status == 200, seconds=10, what="it answers again")
        served.wait_for_restarts(hangs)
    assert served.predict(BAD_ROW).status == 504

    waiting = wait_until(lambda: _in_state(served, "backoff"), seconds=5, what="the restart waits")
    assert "longer than its time limit" in waiting["message"]
    platform.wait_for_health(served.deployment_id, "unhealthy")
    assert _open_alert(platform, served)["severity"] == "critical"


def test_a_leaking_model_is_ended_at_its_limit_with_backoff_until_it_is_called_unhealthy(
    platform, serve, neighbour, tmp_path
):
    path = models.make_leaking_model(tmp_path / "model", megabytes=40)
    served = serve(path, instance_type="tight")

    with platform.traffic(served, clients=2, pause_seconds=0.05):
        wait_until(lambda: served.restarts >= 2, seconds=60, what="it was ended at its limit twice")
        waiting = wait_until(lambda: _in_state(served, "backoff"), seconds=30, what="the restart waits")
        platform.wait_for_health(served.deployment_id, "unhealthy", seconds=60)

    assert "limit" in waiting["message"]
    assert _open_alert(platform, served)["severity"] == "critical"


def test_an_unloadable_model_never_gets_past_validation(platform, neighbour, tmp_path):
    version = platform.register(models.make_unloadable_model(tmp_path / "model"), runs_code=True)

    deployment_id = platform.start_deployment(version)

    ended = platform.wait_for_status(deployment_id, "failed")
    assert "this file was never meant to be opened" in ended["error_message"]
    assert platform.pids(deployment_id) == set()
    assert [alert["severity"] for alert in platform.alerts(deployment_id)] == ["high"]


def test_a_model_that_cannot_be_loaded_any_more_is_tried_with_backoff_until_it_is_failed(
    platform, serve, neighbour, tmp_path
):
    served = serve(models.make_picky_model(tmp_path / "model"))
    _model_file(served).write_bytes(b"no model any more")

    os.kill(served.pids.pop(), signal.SIGKILL)

    failed = wait_until(lambda: _in_state(served, "failed"), seconds=40, what="the replica is failed")
    assert failed["restarts"] >= 4
    assert failed["message"]
    platform.wait_for_health(served.deployment_id, "unhealthy")
    assert _open_alert(platform, served)["severity"] == "critical"
    refused = served.predict()
    assert (refused.status, refused.body["code"]) == (503, "unavailable")


def _in_state(served: Served, state: str) -> dict | None:
    return next((replica for replica in served.replicas if replica["state"] == state), None)


def _open_alert(platform: Platform, served: Served) -> dict:
    (alert,) = [alert for alert in platform.alerts(served.deployment_id) if not alert["resolved_at"]]
    return alert


def _model_file(served: Served) -> Path:
    """The file a replica loads: the platform's own copy."""
    (record,) = served.platform.run_dir.glob(f"{served.deployment_id}/*/process.json")
    return Path(json.loads(record.read_text())["model_path"]) / "model.pkl"
