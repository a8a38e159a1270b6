"""The throw-away check: what it reports about good and bad models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestRegressor

from serving.backends.base import CheckReport
from serving.model_server import limits
from tests.serving.model_process import make_spec
from tests.serving.models import (
    diabetes,
    make_dying_model,
    make_picky_model,
    make_sklearn_model,
    make_unloadable_model,
)

ROOT = Path(__file__).resolve().parents[2]
START = "import json, sys; from serving.model_server.check import run; run(json.loads(sys.argv[1]))"


def check(path: Path, **changed: Any) -> CheckReport:
    spec = make_spec(path, path.parent, **changed)
    subprocess.run(
        [sys.executable, "-c", START, json.dumps(spec)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )
    return CheckReport(**json.loads((path.parent / "report.json").read_text()))


def test_a_good_model_is_reported_with_all_that_was_found(tmp_path: Path) -> None:
    model = RandomForestRegressor(5, random_state=0)
    report = check(make_sklearn_model(tmp_path / "m", model))
    assert report.ok, report.error
    assert (report.flavor, report.format, report.executes_code) == ("sklearn", "skops", False)
    assert report.signature is not None
    assert report.signature["inputs"][0] == {"type": "double", "name": "age", "required": True}
    assert report.prediction == pytest.approx(model.predict(diabetes(3)[0]))
    assert report.missing_packages == []
    assert report.load_seconds > 0
    assert report.predict_ms > 0
    assert report.memory_bytes > 50 << 20
    assert "Predicted on the logged input example." in report.log


def test_without_an_example_a_row_made_from_the_signature_is_tried(tmp_path: Path) -> None:
    report = check(make_sklearn_model(tmp_path / "m", input_example=None))
    assert report.ok, report.error
    assert len(report.prediction) == 1
    assert "Predicted on a row made from the signature." in report.log


def test_a_missing_signature_says_how_to_log_one(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    text = (path / "MLmodel").read_text()
    (path / "MLmodel").write_text(text[: text.index("signature:")])
    report = check(path)
    assert not report.ok
    assert "infer_signature" in report.error
    assert report.signature is None


def test_a_format_that_runs_code_is_reported_and_refused_unless_allowed(tmp_path: Path) -> None:
    path = make_picky_model(tmp_path / "m")
    refused, allowed = check(path), check(path, allow_code=True)
    assert (refused.ok, refused.executes_code, refused.format) == (False, True, "cloudpickle")
    assert "have an admin allow" in refused.error
    assert allowed.ok, allowed.error
    assert any("runs code" in line for line in allowed.log)


def test_missing_packages_are_named(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    (path / "requirements.txt").write_text(
        "mlflow==3\nscikit-learn==0.20\nno-such-package==1\n-r other.txt\n"
    )
    report = check(path)
    assert report.ok, report.error
    assert report.missing_packages == ["no-such-package"]
    assert any("scikit-learn==0.20" in line for line in report.log)


def test_a_model_that_raises_on_load_is_a_sentence_and_a_trace_in_the_log(tmp_path: Path) -> None:
    report = check(make_unloadable_model(tmp_path / "m"), allow_code=True)
    assert not report.ok
    assert "RuntimeError: this file was never meant to be opened" in report.error
    assert any("__setstate__" in line for line in report.log)


def test_a_model_larger_than_its_memory_is_told_so(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m", RandomForestRegressor(400))
    slack_less = (160 << 20) - limits.DATA_SLACK_BYTES  # what the imports need and little more
    report = check(path, memory_bytes=slack_less)
    assert not report.ok
    assert "more memory" in report.error


def test_a_model_that_raises_on_its_example_is_told_to_log_another(tmp_path: Path) -> None:
    path = make_dying_model(tmp_path / "m")
    example = json.loads((path / "serving_input_example.json").read_text())
    example["dataframe_split"]["data"] = [["text"]]
    (path / "serving_input_example.json").write_text(json.dumps(example))
    report = check(path, allow_code=True)
    assert not report.ok
    assert "does not fit the signature" in report.error
    assert 'Column "x", row 1' in report.error


def test_paths_that_leave_the_directory_are_reported(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    text = (
        (path / "MLmodel")
        .read_text()
        .replace("pickled_model: model.skops", "pickled_model: ../../etc/passwd")
    )
    (path / "MLmodel").write_text(text)
    assert "leads out of the model directory" in check(path).error
