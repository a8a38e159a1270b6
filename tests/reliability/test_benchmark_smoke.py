"""`python -m bench.serving --smoke`: that the benchmark measures what it names, not how fast anything is."""

import json
import subprocess
import sys

import pytest

from tests.stack import ROOT

pytestmark = pytest.mark.slow
SERVING = [sys.executable, "-m", "bench.serving"]


def test_the_serving_benchmark_gets_predictions_in_every_cell(tmp_path):
    figures = tmp_path / "figures.json"

    done = subprocess.run(
        [*SERVING, "--smoke", "--json", figures], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "NO COMPARISON" in done.stdout
    found = json.loads(figures.read_text())
    assert {cell["cell"] for cell in found["cells"]} == {
        f"{model}/{connections}/{rows}"
        for model in ("forest", "logistic")
        for connections in (1, 16)
        for rows in (1, 1000)
    }
    for cell in found["cells"]:
        assert (cell["side"], cell["errors"]) == ("ours", 0)
        assert cell["answered"] > 0
        assert cell["cpu_ms"].keys() == {"web", "replica", "background"}
    assert [(cost["model"], cost["starts"]) for cost in found["processes"]] == [
        ("forest", 1),
        ("logistic", 1),
    ]


def test_the_serving_benchmark_refuses_a_cell_that_it_does_not_have():
    done = subprocess.run(
        [*SERVING, "--only", "forest/2"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert "forest/16/1000" in done.stderr
