"""The Celery worker and the web server killed and started again, as a supervisor would."""

import os
import signal
import time

import psutil
import pytest

from tests.stack import wait_until

pytestmark = pytest.mark.slow

TRANSITIONS = ["pending", "validating", "deploying", "active"]


@pytest.mark.parametrize("stage", ["validating", "deploying"])
def test_a_deployment_finishes_although_the_worker_is_killed_and_predictions_go_on(
    platform, serve, linear_model, stage
):
    serving = serve()
    version = platform.register(linear_model)

    with platform.traffic(serving, clients=2) as traffic:
        deployment_id = platform.start_deployment(version)
        wait_until(
            lambda: platform.deployment(deployment_id)["status"] == stage,
            seconds=20,
            what=f"{stage} began",
            poll=0.01,
        )
        platform.stack.kill("worker")
        traffic.wait_for(100)
        platform.stack.start("worker")
        platform.wait_for_status(deployment_id, "active")

    events = platform.admin.get(f"/deployments/{deployment_id}/events")["results"]
    platform.terminate(deployment_id)
    assert traffic.failures == []
    assert [event["after"] for event in events] == TRANSITIONS


def test_predictions_are_back_within_five_seconds_after_the_web_server_is_killed(platform, serve):
    served = serve()

    with platform.traffic(served, pause_seconds=0.01) as traffic:
        traffic.wait_for(200)
        platform.stack.kill("web")
        platform.stack.start("web")
        traffic.wait_for(200)

    assert traffic.longest_silence < 5.0


def test_killed_web_workers_are_replaced_and_predictions_are_back_within_five_seconds(platform, serve):
    served = serve()
    workers = psutil.Process(platform.stack.processes["web"].pid).children()

    with platform.traffic(served, pause_seconds=0.01) as traffic:
        traffic.wait_for(200)
        for worker in workers:
            worker.kill()
        traffic.wait_for(200)

    assert traffic.longest_silence < 5.0
    assert not any(worker.is_running() for worker in workers)


def test_a_killed_web_master_leaves_no_worker_in_the_way_of_the_next(platform, serve):
    served = serve()
    master = platform.stack.processes.pop("web")
    workers = psutil.Process(master.pid).children()

    with platform.traffic(served, pause_seconds=0.01) as traffic:
        traffic.wait_for(200)
        os.kill(master.pid, signal.SIGKILL)
        master.wait()
        platform.stack.start("web")
        time.sleep(2)  # the orphans may still answer; it is the next one that counts
        traffic.wait_for(200)

    assert traffic.longest_silence < 5.0
    wait_until(
        lambda: not any(worker.is_running() for worker in workers), seconds=40, what="the orphans are gone"
    )
    assert served.predict().status == 200
