"""What MLflow's clients log, while the web server they log to is killed and started again."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import requests

from tests.reliability.point_writer import BATCH
from tests.stack import ROOT

pytestmark = pytest.mark.slow

WRITERS, POINTS_EACH = 8, 12_500
KILLS, PAUSE_SECONDS = 4, 2.0


def test_of_100_000_points_none_is_lost_and_none_is_kept_twice(platform, tmp_path):
    url, token = platform.stack.url, platform.stack.token("logger", "scientist")
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    made = session.post(f"{url}/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}, timeout=60)
    run = made.json()["run"]["info"]["run_id"]
    errors = tmp_path / "errors"
    with errors.open("w") as file:
        writers = [start_writer(url, token, run, f"metric{number}", file) for number in range(WRITERS)]
    acknowledged = [follow(writer) for writer in writers]
    killed_at = []

    try:
        for _kill in range(KILLS):
            before = sum(map(len, acknowledged))
            wait_for_more(acknowledged, before + WRITERS)
            platform.stack.kill("web")
            killed_at.append(sum(map(len, acknowledged)) * BATCH)
            time.sleep(PAUSE_SECONDS)
            platform.stack.start("web")
        for writer in writers:
            assert writer.wait(timeout=300) == 0, errors.read_text()[-2000:]
    finally:
        for writer in writers:
            writer.kill()

    assert 0 < killed_at[0] < killed_at[-1] < WRITERS * POINTS_EACH, "killed while points were logged"
    for number in range(WRITERS):
        asked = {"run_id": run, "metric_key": f"metric{number}"}
        answer = session.get(f"{url}/api/2.0/mlflow/metrics/get-history", params=asked, timeout=60)
        points = Counter(
            (point["step"], point["timestamp"], point["value"]) for point in answer.json()["metrics"]
        )
        assert points == Counter((step, 1_772_368_259_000 + step, step / 7) for step in range(POINTS_EACH))
    latest = session.get(f"{url}/api/2.0/mlflow/runs/get", params={"run_id": run}, timeout=60).json()
    assert {metric["step"] for metric in latest["run"]["data"]["metrics"]} == {POINTS_EACH - 1}


def start_writer(url, token, run, name, errors):
    client = {"MLFLOW_TRACKING_URI": url, "MLFLOW_TRACKING_TOKEN": token, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.point_writer", run, name, str(POINTS_EACH)],
        cwd=ROOT,
        env=os.environ | client,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def follow(writer):
    """What the writer says, a line a batch that was acknowledged, as it comes."""
    lines = []

    def read():
        for line in writer.stdout:
            lines.append(line)  # noqa: PERF402  # each as it comes

    threading.Thread(target=read, daemon=True).start()
    return lines


def wait_for_more(acknowledged, batches):
    deadline = time.monotonic() + 120
    while sum(map(len, acknowledged)) < batches:
        assert time.monotonic() < deadline, f"{sum(map(len, acknowledged))} batches after 120 s"
        time.sleep(0.05)
