"""What a model process wrote is read as the words of somebody who is not trusted."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from core.sentences import joined, said, sentence, source_of
from serving.backends.base import CheckReport
from serving.backends.check_report import READERS, read_report, to_json
from serving.backends.checking import UNREADABLE
from serving.backends.untrusted import LONGEST_TEXT, read_sentence
from tests.serving.local_backends import make_spec, running_backend
from tests.serving.models_that_end_badly import make_forging_model

DEEP = "[" * 100_000 + "]" * 100_000
GOOD = CheckReport(
    ok=True,
    error=sentence("The file “%s” is missing.") % "model.skops",
    flavor="sklearn",
    format="skops",
    signature={"inputs": [{"type": "double", "name": "나이"}], "outputs": None, "params": None},
    missing_packages=["xgboost"],
    prediction=[1.5, None],
    load_seconds=0.5,
    predict_ms=2,
    memory_bytes=10**8,
    log=[sentence("Predicted on %s.") % sentence("the logged input example"), "UserWarning: so so"],
)


def written(path: Path, **changed: Any) -> Path:
    """A report's file with some fields changed; they may be anything that is JSON."""
    path = path / "report.json"
    path.write_text(json.dumps(json.loads(to_json(GOOD)) | changed))
    return path


def test_a_report_arrives_as_it_was_written_with_its_sentences(tmp_path):
    report = read_report(written(tmp_path))

    assert report == GOOD
    assert source_of(report.error) == {"id": "The file “%s” is missing.", "values": ["model.skops"]}
    assert source_of(report.log[0])["values"] == [{"id": "the logged input example"}]
    assert source_of(report.log[1]) == "UserWarning: so so"


def test_every_field_of_a_report_has_its_reader():
    assert set(READERS) == {field.name for field in dataclasses.fields(CheckReport)}


def test_half_a_surrogate_pair_and_dates_are_no_trouble_to_write(tmp_path):
    odd = dataclasses.replace(GOOD, error="a file’s name: \udcff", signature={"since": tmp_path})
    (tmp_path / "report.json").write_text(to_json(odd))

    report = read_report(tmp_path / "report.json")

    assert report.error == odd.error
    assert report.signature == {"since": str(tmp_path)}


def test_a_report_that_was_not_written_is_none(tmp_path):
    assert read_report(tmp_path / "report.json") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"unknown": 1},
        {"ok": 1},
        {"ok": "true"},
        {"executes_code": None},
        {"error": None},
        {"error": 7},
        {"error": {"id": 7}},
        {"error": {"id": "x", "values": 5}},
        {"error": {"id": "x", "values": [None]}},
        {"error": {"id": "x", "values": [float("inf")]}},
        {"error": {"id": "%d", "values": [10**400]}},
        {"error": {"id": "x", "more": 1}},
        {"error": {"id": "%(a)s" * 11, "values": {"a": "x"}}},
        {"error": [[[["x"]]]]},
        {"flavor": None},
        {"flavor": "x" * 51},
        {"flavor": "a\0b"},
        {"format": "\ud800"},
        {"signature": []},
        {"signature": {"inputs": "a\0b"}},
        {"signature": {"a\0b": 1}},
        {"missing_packages": "xgboost"},
        {"missing_packages": [1]},
        {"missing_packages": ["x" * 101]},
        {"log": "a line"},
        {"log": [1]},
        {"load_seconds": "1"},
        {"load_seconds": float("nan")},
        {"load_seconds": float("inf")},
        {"predict_ms": -1},
        {"predict_ms": True},
        {"memory_bytes": 10**30},
    ],
    ids=lambda changed: str(changed)[:60].replace("\0", "NUL").encode(errors="replace").decode(),
)
def test_a_report_with_anything_that_no_check_writes_cannot_be_read(tmp_path, changed):
    with pytest.raises(ValueError):  # noqa: PT011  # which of the many reasons is nobody's concern
        read_report(written(tmp_path, **changed))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[]",
        "{}",
        DEEP,
        to_json(GOOD).replace('"load_seconds":0.5', '"load_seconds":1e999'),
        to_json(GOOD).replace('"prediction":[1.5,null]', f'"prediction":{DEEP}'),
        to_json(GOOD).replace('"prediction":[1.5,null]', f'"prediction":{"[" * 60}{"]" * 60}'),
        to_json(GOOD).replace('"log":[', f'"log":[{DEEP},'),
        " " * (5 * 2**20),
    ],
    ids=[
        "empty",
        "null",
        "array",
        "no field",
        "deep",
        "1e999",
        "deep value",
        "60 deep",
        "deep line",
        "5 MiB",
    ],
)
def test_what_is_no_report_at_all_cannot_be_read(tmp_path, content):
    (tmp_path / "report.json").write_text(content)

    with pytest.raises(ValueError):  # noqa: PT011
        read_report(tmp_path / "report.json")


def test_a_report_without_one_of_its_fields_cannot_be_read(tmp_path):
    fields = json.loads(to_json(GOOD))
    del fields["ok"]
    (tmp_path / "report.json").write_text(json.dumps(fields))

    with pytest.raises(ValueError, match="other fields"):
        read_report(tmp_path / "report.json")


@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        os.mkdir,
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.symlink(__file__, path),
    ],
    ids=["pipe", "directory", "link to a device", "link to a file"],
)
def test_what_is_no_regular_file_cannot_be_read_and_nobody_waits_for_it(tmp_path, put):
    put(tmp_path / "report.json")

    with pytest.raises(ValueError, match="no file that could be read"):
        read_report(tmp_path / "report.json")


def test_what_is_too_much_of_a_report_is_cut(tmp_path):
    path = written(tmp_path, error="e" * 9000, log=["l" * 9000] * 300, missing_packages=["p"] * 300)

    report = read_report(path)

    assert report.error == "e" * LONGEST_TEXT
    assert report.log == ["l" * LONGEST_TEXT] * 200
    assert len(report.missing_packages) == 200


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"id": "%0999999999d", "values": [1]}, "%0999999999d"),
        ({"id": "%(a)*d", "values": {"a": 1}}, "%(a)*d"),
        ({"id": "%(a)s"}, "%(a)s"),
        ({"id": "%(a)s", "values": [1]}, "%(a)s"),
        ({"id": "%d", "values": ["one"]}, "%d"),
        ({"id": "%s %s", "values": ["one"]}, "%s %s"),
        ("100 %", "100 %"),
        ([], ""),
    ],
)
def test_a_message_that_cannot_be_filled_is_shown_as_it_is(source, text):
    assert read_sentence(source) == text


def test_a_small_source_cannot_make_a_large_text():
    level = {"id": "%(a)s" * 10, "values": {"a": {"id": "%(a)s" * 10, "values": {"a": "x" * 9000}}}}

    assert len(read_sentence([level] * 1000)) == LONGEST_TEXT
    with pytest.raises(ValueError, match="no source"):
        read_sentence({"id": "%(a)s", "values": {"a": [level]}})


def test_a_text_that_was_cut_is_kept_as_the_words_it_had():
    text = read_sentence({"id": "So: %s", "values": ["x" * 5000]})

    assert source_of(text) == text == "So: " + "x" * (LONGEST_TEXT - 4)


def test_the_deepest_sentence_of_ours_arrives_whole():
    deepest = joined(
        [sentence("Not on %s: %s") % (sentence("the example"), "ValueError"), sentence("Log one.")]
    )

    arrived = read_sentence(json.loads(json.dumps(source_of(deepest))))

    korean = {"Not on %s: %s": "%s에서 실패: %s", "the example": "예시", "Log one.": "기록하세요."}
    assert arrived == deepest
    assert said(source_of(arrived), korean.__getitem__) == "예시에서 실패: ValueError 기록하세요."


@pytest.mark.parametrize("forged", ["pipe", '{"ok": true, "error": {"id": "%(a)s"}}', DEEP[:1000]])
def test_a_model_that_forges_its_report_fails_its_check_and_nothing_else(tmp_path, forged):
    path = make_forging_model(tmp_path / "model", forged)
    with running_backend() as backend:
        report = backend.check(make_spec("1", path, allow_code=True), time_limit_seconds=30)

    assert not report.ok
    assert report.error == UNREADABLE
    assert source_of(report.error) == {"id": str(UNREADABLE)}
    assert report.log == ["Forged.", UNREADABLE]
