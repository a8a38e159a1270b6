"""The database away for a while, as when it is restarted or fails over."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.postgres import PostgresDatabase
from tests.reliability.platform import Platform, Served
from tests.stack import Stack

pytestmark = pytest.mark.slow

AWAY_SECONDS = 5


@pytest.fixture
def database() -> Iterator[PostgresDatabase]:
    if "DATABASE_URL" not in os.environ:
        missing = "DATABASE_URL names no PostgreSQL server to make a database on."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with PostgresDatabase(os.environ["DATABASE_URL"], "away") as made:
        yield made


@pytest.fixture
def platform(database) -> Iterator[Platform]:
    data_dir = Path(tempfile.mkdtemp(prefix="away-"))
    with Stack(data_dir, DATABASE_URL=database.url) as stack:
        yield Platform(stack)
    shutil.rmtree(data_dir)


def test_a_database_that_is_away_costs_predictions_only_while_it_is_and_no_process(
    platform, database, linear_model, linear_row
):
    version = platform.register(linear_model)
    deployment = platform.deploy(version)
    served = Served(platform, version["model_name"], deployment, linear_row)
    processes, models = dict(platform.stack.processes), served.pids

    with platform.traffic(served, clients=2, pause_seconds=0.01) as traffic:
        traffic.wait_for(100)
        with database.away():
            time.sleep(AWAY_SECONDS)
            answer = requests.get(
                f"{platform.stack.url}/api/v1/ml/lifecycle/deployments",
                headers={"Authorization": f"Bearer {platform.viewer_token}"},
                timeout=10,
            )
            ready = requests.get(f"{platform.stack.url}/readyz", timeout=10)
        traffic.wait_for(200)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "failed")
    assert traffic.longest_silence < AWAY_SECONDS + 3
    assert {failure.status for failure in traffic.failures} == {503}
    assert all(failure.headers["Retry-After"] for failure in traffic.failures)
    assert served.pids == models
    assert all(process.poll() is None for process in processes.values())
    # Worker, beat and agent have found their way back as well.
    platform.deploy(platform.register(linear_model))
