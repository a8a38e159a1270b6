"""Forty deployments at once while workers are killed: all arrive, and no step of any is done twice."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from tests.postgres import PostgresDatabase
from tests.reliability.platform import ENVIRONMENT, Platform
from tests.stack import ROOT, Stack, wait_until

pytestmark = pytest.mark.slow

DEPLOYMENTS = 40
KILLING_SECONDS = 30.0
KILLS = 12
LONGEST_SECONDS = 240
# Nothing else of the tests uses it, so it may be emptied.
REDIS_DATABASE = 9
WORKERS = ("worker-1", "worker-2")
FORWARD = [("", "pending"), ("pending", "validating"), ("validating", "deploying"), ("deploying", "active")]
AUDITED = ["create", "validating", "deploying", "active"]


@pytest.fixture(params=["filesystem", "redis"])
def stack(request) -> Iterator[Stack]:
    """Two workers and a process that sends their wake-ups over and over."""
    with contextlib.ExitStack() as ending:
        environment = _redis_environment(ending) if request.param == "redis" else {}
        # Not a folder of pytest's: its long name leaves no room for a socket's.
        data_dir = Path(tempfile.mkdtemp(prefix="forty-"))
        ending.callback(shutil.rmtree, data_dir)
        stack = ending.enter_context(Stack(data_dir, **environment))
        stack.end("worker", 15)
        for name in WORKERS:
            stack.start(name)
        ending.enter_context(_doubled_wake_ups(stack))
        yield stack


def _redis_environment(ending: contextlib.ExitStack) -> dict[str, str]:
    """A database of its own on the Redis of REDIS_URL, and on DATABASE_URL's PostgreSQL if there is one."""
    if "REDIS_URL" not in os.environ:
        missing = "REDIS_URL names no Redis to send the wake-ups through."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    url = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{REDIS_DATABASE}").geturl()
    redis.Redis.from_url(url).flushdb()
    environment = {"REDIS_URL": url}
    if server := os.environ.get("DATABASE_URL", ""):
        environment["DATABASE_URL"] = ending.enter_context(PostgresDatabase(server, "forty")).url
    return environment


@contextlib.contextmanager
def _doubled_wake_ups(stack: Stack) -> Iterator[None]:
    log = stack.data_dir / "doubled.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.doubled_wake_ups"],
            cwd=ROOT,
            env=stack.environment,
            stdout=output,
            stderr=output,
        )
        try:
            yield
            assert process.poll() is None, log.read_text()[-2000:]
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def workers_being_killed(stack: Stack) -> Iterator[list[str]]:
    """SIGKILL one of the workers at random moments of 30 s, and start it again at once; yields who was."""
    chance = random.Random(1)
    moments = sorted(chance.uniform(0.5, KILLING_SECONDS) for _ in range(KILLS))
    killed: list[str] = []
    stopping = threading.Event()

    def kill() -> None:
        began = time.monotonic()
        for moment in moments:
            if stopping.wait(max(0.0, began + moment - time.monotonic())):
                return
            killed.append(chance.choice(WORKERS))
            stack.kill(killed[-1])
            stack.start(killed[-1])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        stopping.set()
        killer.join()


def statuses(platform: Platform) -> Counter:
    rows = platform.admin.get(f"/deployments?limit={2 * DEPLOYMENTS}")["results"]
    failed = {row["model_name"]: row["error_message"] for row in rows if row["status"] == "failed"}
    assert not failed
    return Counter(row["status"] for row in rows)


def audited(platform: Platform, deployment_id: int) -> list[str]:
    """What the audit trail says was done to the deployment, oldest first."""
    query = f"object_type=deployment&object_id={deployment_id}&ordering=id"
    rows = platform.admin.request("GET", f"/api/v1/audit-events?{query}")["results"]
    return [row["action"].removeprefix("deployment.") for row in rows]


def wait_until_active(platform: Platform) -> None:
    """All of them; what the workers said last is told when they are not."""
    try:
        wait_until(
            lambda: statuses(platform)["active"] == DEPLOYMENTS,
            seconds=LONGEST_SECONDS,
            what="all forty are active",
            poll=0.5,
        )
    except AssertionError as error:
        logs = [(platform.stack.data_dir / f"{name}.log").read_text()[-3000:] for name in WORKERS]
        raise AssertionError("\n\n".join([f"{error} {statuses(platform)}", *logs])) from error


def test_forty_deployments_arrive_while_workers_are_killed(
    stack, linear_model, linear_row, capsys, record_property
):
    """Half are asked for at once, and half one by one for as long as workers are killed."""
    platform = Platform(stack)
    versions = [platform.register(linear_model, f"forty-{number}") for number in range(DEPLOYMENTS)]
    ids = []

    with workers_being_killed(stack) as killed:
        began = time.monotonic()
        for number, version in enumerate(versions):
            if number >= DEPLOYMENTS / 2:
                time.sleep(2 * KILLING_SECONDS / DEPLOYMENTS)
            ids.append(platform.start_deployment(version))
        wait_until_active(platform)
        seconds = time.monotonic() - began
        wait_until(lambda: len(killed) == KILLS, seconds=KILLING_SECONDS, what="the last kill")
    time.sleep(3)  # late and doubled messages would show now

    assert statuses(platform) == {"active": DEPLOYMENTS}
    for deployment_id in ids:
        events = platform.admin.get(f"/deployments/{deployment_id}/events")["results"]
        assert [(event["before"], event["after"]) for event in events] == FORWARD
        assert audited(platform, deployment_id) == AUDITED
        replicas = platform.deployment(deployment_id)["replicas"]
        assert [replica["state"] for replica in replicas] == ["ready"]
    for version in versions:
        answer = platform.admin.post(
            f"/serve/{version['model_name']}/{ENVIRONMENT}/invocations", {"dataframe_records": [linear_row]}
        )
        assert len(answer["predictions"]) == 1
    record_property("seconds_until_forty_active", round(seconds, 1))
    with capsys.disabled():
        print(f"\nForty active after {seconds:.1f} s, {len(killed)} workers killed.")  # noqa: T201
