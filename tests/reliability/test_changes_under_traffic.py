"""Everything an operator changes while requests come in, without one of them failing."""

import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.reliability.platform import Caller
from tests.serving.models import make_slow_model
from tests.stack import wait_until

pytestmark = pytest.mark.slow


def test_replicas_come_and_go_without_a_failed_request(platform, serve):
    served = serve(instances=1)
    first = served.pids

    with platform.traffic(served) as traffic:
        platform.configure(served.deployment_id, instances=3)
        platform.wait_for_replicas(served.deployment_id, 3)
        traffic.wait_for(500)
        assert first < served.pids
        platform.configure(served.deployment_id, instances=1)
        platform.wait_for_replicas(served.deployment_id, 1)
        traffic.wait_for(500)

    assert traffic.failures == []
    assert served.pids == first


def test_another_instance_type_replaces_the_replicas_without_a_failed_request(platform, serve):
    served = serve(instances=2, instance_type="small")
    before = served.pids

    with platform.traffic(served) as traffic:
        platform.configure(served.deployment_id, instance_type="tight")
        wait_until(lambda: not before & served.pids, seconds=60, what="the old replicas are gone")
        platform.wait_for_replicas(served.deployment_id, 2)
        traffic.wait_for(500)

    assert traffic.failures == []
    assert len(served.pids) == 2


def test_a_second_version_is_deployed_and_rolled_back_without_a_failed_request(platform, serve, linear_model):
    served = serve()
    second = platform.register(linear_model, served.model_name)

    with platform.traffic(served) as traffic:
        traffic.wait_for(300)
        deployment_id = platform.deploy(second)
        traffic.wait_for_version(2)
        assert platform.deployment(served.deployment_id)["status"] == "terminated"
        restored = platform.roll_back(deployment_id)
        traffic.wait_for_version(1)
        # The version that was left drains meanwhile, and requests that went there still are answered.
        wait_until(
            lambda: not platform.pids(deployment_id), seconds=60, what="the version left behind is gone"
        )

    assert traffic.failures == []
    assert set(traffic.versions) == {"1", "2"}
    assert platform.deployment(deployment_id)["status"] == "rollback"
    assert platform.deployment(restored)["rollback_from"] == deployment_id


def test_a_production_deployment_replaces_another_approved_one_without_a_failed_request(
    platform, linear_model, linear_row
):
    first = platform.register(linear_model)
    second = platform.register(linear_model, first["model_name"])
    for version in (first, second):
        platform.approve(version)
    platform.deploy(first, "production")

    with Caller(platform, first["model_name"], "production") as caller:
        assert caller.predict(linear_row).headers["X-Model-Version"] == "1"
        replacing = platform.start_deployment(second, "production", instances=2)
        statuses = [caller.predict(linear_row)]
        while (
            platform.deployment(replacing)["status"] != "active"
            or statuses[-1].headers["X-Model-Version"] == "1"
        ):
            statuses += [caller.predict(linear_row) for _ in range(20)]

    platform.terminate(replacing)
    assert {answer.status for answer in statuses} == {200}


def test_a_terminated_endpoint_says_so_and_its_processes_are_gone(platform, serve):
    served = serve(instances=2)
    processes = [psutil.Process(pid) for pid in served.pids]

    platform.terminate(served.deployment_id)

    refused = served.predict()
    assert (refused.status, refused.body["code"]) == (404, "not_found")
    assert served.model_name in refused.body["detail"]
    assert not any(process.is_running() for process in processes)
    wait_until(
        lambda: not (platform.run_dir / str(served.deployment_id)).exists(),
        seconds=10,
        what="its folder is gone",
    )


def test_a_request_under_way_is_finished_when_its_deployment_is_terminated(platform, serve, tmp_path):
    served = serve(make_slow_model(tmp_path / "model", seconds=4.0))

    with ThreadPoolExecutor() as pool:
        answer = pool.submit(served.predict)
        time.sleep(1.0)
        platform.admin.patch(f"/deployments/{served.deployment_id}", {"status": "terminated"})

    assert answer.result().status == 200
