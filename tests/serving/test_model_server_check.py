"""The throw-away check: what it reports about good and bad models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestRegressor

from core.sentences import said, source_of
from serving.backends.base import CheckReport
from serving.backends.check_report import read_report
from serving.model_server import limits, requirements
from serving.model_server.mlmodel import MLModel
from tests.serving.model_process import make_spec
from tests.serving.models import (
    diabetes,
    make_dying_model,
    make_picky_model,
    make_sklearn_model,
    make_unloadable_model,
    make_verbose_model,
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
    report = read_report(path.parent / "report.json")
    assert report is not None
    return report


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


def test_a_requirement_whose_marker_does_not_hold_here_is_none(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    (path / "requirements.txt").write_text(
        'not-here==1; python_version < "3.9"\n'
        'scikit-learn==0.20; sys_platform == "amiga"\n'
        'optional==1; extra == "gpu"\n'
        'nonsense==1; python_version > "x"\n'
        'missing-here==1; python_version >= "3.9"\n'
    )
    assert requirements.compare(MLModel(path)) == (["missing-here"], [])


def test_what_a_check_found_can_be_said_in_korean(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    example = json.loads((path / "serving_input_example.json").read_text())
    example["dataframe_split"]["data"] = [["text"] * 10]
    (path / "serving_input_example.json").write_text(json.dumps(example))
    report = check(path)
    korean = {
        "The logged input example does not fit the signature: %s Log both from the same data.": "안 맞음: %s",
        "Flavour %(flavor)s, format %(format)s.": "형식 %(format)s, 플레이버 %(flavor)s.",
    }
    assert said(source_of(report.error), korean.__getitem__).startswith(
        '안 맞음: Column "age", row 1: "text"'
    )
    assert said(source_of(report.log[0]), korean.__getitem__) == "형식 skops, 플레이버 sklearn."
    assert report.log[-1] == report.error


def test_what_the_example_was_is_said_in_korean_too(tmp_path: Path) -> None:
    report = check(make_sklearn_model(tmp_path / "m", input_example=None))
    assert source_of(report.log[-1]) == {
        "id": "Predicted on %s.",
        "values": [{"id": "a row made from the signature"}],
    }


def test_a_prediction_too_large_for_a_report_is_left_out_of_it(tmp_path: Path) -> None:
    report = check(make_verbose_model(tmp_path / "m"), allow_code=True)
    assert report.ok, report.error
    assert report.prediction is None


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
