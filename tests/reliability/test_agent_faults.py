"""The serving agent killed, stopped and started again."""

import os
import signal

import pytest

from tests.reliability.platform import Platform, Served
from tests.stack import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_predictions_go_on_without_the_agent_and_the_next_one_adopts_the_processes(platform, serve, number):
    one, two = serve(), serve(instances=2)
    before = one.pids | two.pids

    with platform.traffic(one, clients=4) as first, platform.traffic(two, clients=4) as second:
        _end_agent(platform, number)
        first.wait_for(300)
        platform.stack.start("agent")
        first.wait_for(300)
        platform.configure(two.deployment_id, instances=3)
        platform.wait_for_replicas(two.deployment_id, 3)
        second.wait_for(300)

    assert first.failures + second.failures == []
    assert len(before) == 3
    assert before < one.pids | two.pids
    assert one.restarts + two.restarts == 0
    assert_nothing_left_over(platform, one, two)


def test_the_next_agent_clears_up_what_happened_while_there_was_none(platform, serve):
    survivor, terminated = serve(instances=2), serve()
    killed, kept = sorted(survivor.pids)

    with platform.traffic(survivor, clients=4) as traffic:
        _end_agent(platform, signal.SIGKILL)
        os.kill(killed, signal.SIGKILL)
        platform.admin.patch(f"/deployments/{terminated.deployment_id}", {"status": "terminated"})
        (platform.run_dir / "999" / "gone").mkdir(parents=True)
        (platform.run_dir / "999" / "gone" / "s").touch()
        traffic.wait_for(300)
        platform.stack.start("agent")
        wait_until(
            lambda: not terminated.pids, seconds=30, what="the terminated deployment's process is gone"
        )
        wait_until(lambda: len(survivor.pids) == 2, seconds=30, what="the killed replica was replaced")
        traffic.wait_for(300)

    assert traffic.failures == []
    assert kept in survivor.pids
    platform.wait_for_replicas(survivor.deployment_id, 2)
    assert_nothing_left_over(platform, survivor)


def test_ctrl_c_stops_the_models_and_the_next_agent_brings_them_back(platform, serve):
    served = serve(instances=2)
    before = served.pids

    platform.stack.end("agent", signal.SIGINT)

    assert platform.processes() == {}
    assert list(platform.run_dir.glob("[0-9]*")) == []
    platform.stack.start("agent")
    wait_until(lambda: len(served.pids) == 2, seconds=30, what="the replicas are back")
    platform.wait_for_replicas(served.deployment_id, 2)
    assert not before & served.pids
    assert served.predict().status == 200
    assert_nothing_left_over(platform, served)


def _end_agent(platform: Platform, number: int) -> None:
    if number == signal.SIGKILL:
        platform.stack.kill("agent")
    else:
        platform.stack.end("agent", number)


def assert_nothing_left_over(platform: Platform, *served: Served) -> None:
    """The replicas of these deployments, their directories, the fork server, and nothing else."""
    expected = {(str(one.deployment_id), replica["name"]) for one in served for replica in one.replicas}

    def directories() -> set[tuple[str, str]]:
        return {(path.parent.name, path.name) for path in platform.run_dir.glob("[0-9]*/*")}

    wait_until(lambda: directories() == expected, seconds=20, what=f"only {expected} are there")
    pids = set().union(*(one.pids for one in served))
    strangers = [process.pid for pid, process in platform.processes().items() if pid not in pids]
    assert len(pids) == len(expected)
    assert len(strangers) <= 1  # the fork server
