"""The rules of the local backend that need no process."""

import dataclasses
import json
import os
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from core.sentences import source_of
from serving.backends import fork_client
from serving.backends.adoption import adopt_all
from serving.backends.backoff import Backoff
from serving.backends.fork_client import ForkServerError
from serving.backends.replica import Replica
from serving.backends.run_directory import (
    SOCKET_PATH_BYTES,
    cap_log,
    check_target,
    last_error,
    last_lines,
    private_directory,
    read_exit_code,
    read_json,
    short_run_directory,
)
from tests.serving.local_backends import make_spec


def test_the_first_restart_comes_at_once_and_the_next_ones_wait_twice_as_long_up_to_a_minute():
    backoff = Backoff()

    delays = [backoff.ended(ready_seconds=1.0) for _ in range(10)]

    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert not backoff.given_up


def test_a_minute_of_good_service_is_a_clean_slate():
    backoff = Backoff()
    for _ in range(4):
        backoff.ended(ready_seconds=None)

    assert backoff.ended(ready_seconds=60.0) == 0
    assert backoff.ended(ready_seconds=1.0) == 1


def test_five_ends_without_ever_being_ready_give_up_and_try_once_a_minute():
    backoff = Backoff()

    delays = [backoff.ended(ready_seconds=None) for _ in range(5)]

    assert delays == [0, 1, 2, 4, 60]
    assert backoff.given_up


def test_having_been_ready_once_interrupts_the_row_of_five():
    backoff = Backoff()
    for ready_seconds in (None, None, None, None, 2.0):
        backoff.ended(ready_seconds=ready_seconds)

    assert not backoff.given_up


def test_the_run_directory_lies_in_a_short_data_directory(tmp_path_factory):
    data_dir = (
        Path(tmp_path_factory.mktemp("d")) if len(str(tmp_path_factory.getbasetemp())) < 40 else Path("/tmp")
    )

    assert short_run_directory(data_dir) == data_dir.resolve() / "run"


def test_sockets_of_a_deep_data_directory_go_to_a_short_private_one(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)

    found = short_run_directory(deep)

    try:
        assert len(os.fsencode(found)) + len("/" + "t" * 32 + "/12345678/s") <= SOCKET_PATH_BYTES
        assert stat.S_IMODE(found.stat().st_mode) == 0o700
        assert short_run_directory(deep) == found
        assert short_run_directory(tmp_path / ("e" * 100)) != found
    finally:
        found.rmdir()
        short_run_directory(tmp_path / ("e" * 100)).rmdir()


def test_a_run_directory_that_others_may_read_is_closed_to_them(tmp_path):
    open_to_all = tmp_path / "run"
    open_to_all.mkdir(mode=0o755)

    private_directory(open_to_all)

    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_run_directory_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PermissionError, match="not a directory of this user"):
        private_directory(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_run_directory_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 65534, 65534)

    with pytest.raises(PermissionError, match="not a directory of this user"):
        private_directory(tmp_path / "run")


@pytest.mark.parametrize("target", ["", "..", ".checks", "a/b", "a\0", "x" * 33, "é"])
def test_a_target_that_is_no_safe_directory_name_is_refused(target):
    with pytest.raises(ValueError, match="cannot name what is served"):
        check_target(target)


def test_a_log_that_outgrew_its_limit_is_moved_aside_and_its_writer_goes_on(tmp_path):
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 2_000_000)
        cap_log(log)
        writer.write(b"new\n")

    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "log.1").stat().st_size == 4 * 2**20


def test_the_error_of_a_log_is_the_sentence_its_model_server_closed_it_with(tmp_path):
    log = tmp_path / "log"
    log.write_text('loading\n{"error": "The model needs xgboost."}\n\n')

    assert last_error(log) == "The model needs xgboost."


def test_the_error_of_a_log_keeps_its_source(tmp_path):
    log = tmp_path / "log"
    source = {"id": "The model needs %s.", "values": ["xgboost"]}
    log.write_text(json.dumps({"error": source}))

    assert last_error(log) == "The model needs xgboost."
    assert source_of(last_error(log)) == source


@pytest.mark.parametrize(
    "line",
    [
        "Killed",
        "[" * 10_000,
        '{"error": 5}',
        '{"error": {"id": 5}}',
        '{"error": {"id": "%d", "values": [1e999]}}',
        '{"error": [[[["deep"]]]]}',
    ],
)
def test_a_last_line_that_a_model_made_up_is_shown_as_it_is(tmp_path, line):
    log = tmp_path / "log"
    log.write_text(f"{line}\n")

    assert last_error(log) == line[:4000]


@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(__file__),
    ],
    ids=["pipe", "directory", "link to a device", "link to a file"],
)
def test_what_a_model_process_put_in_place_of_its_log_is_neither_read_nor_emptied(tmp_path, put):
    log = tmp_path / "log"
    put(log)

    cap_log(log)

    assert last_error(log) == ""
    assert last_lines(log, 5) == []
    assert Path(__file__).stat().st_size > 0


def test_a_pipe_in_place_of_the_older_log_is_replaced(tmp_path):
    (tmp_path / "log").write_bytes(b"old\n" * 2_000_000)
    os.mkfifo(tmp_path / "log.1")

    cap_log(tmp_path / "log")

    assert (tmp_path / "log.1").stat().st_size == 4 * 2**20


def test_an_overlong_line_of_a_log_is_cut(tmp_path):
    (tmp_path / "log").write_text("x" * 10_000)

    assert last_lines(tmp_path / "log", 1) == ["x" * 4000]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        "{}",
        '{"exit_code": "7"}',
        '{"exit_code": 1e999}',
        '{"exit_code": 1000}',
        '{"exit_code": true}',
    ],
)
def test_an_exit_note_without_an_exit_code_is_none(tmp_path, note):
    (tmp_path / "exit.json").write_text(note)

    assert read_exit_code(tmp_path) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"pid": -1},
        {"pid": 10**30},
        {"pid": "self"},
        {"process_created": "now"},
        {"target": []},
        {"memory_bytes": "all"},
        {"timeout_seconds": 10**300},
        {"restarts": None},
    ],
    ids=str,
)
def test_a_record_that_a_model_process_forged_keeps_no_agent_from_starting(tmp_path, changed):
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    directory = tmp_path / "t" / "r"
    directory.mkdir(parents=True)
    record = {
        **dataclasses.asdict(make_spec("t", tmp_path)),
        "pid": process.pid,
        "process_created": psutil.Process(process.pid).create_time(),
        "restarts": 0,
    }
    (directory / "process.json").write_text(json.dumps(record | changed))

    try:
        assert adopt_all(tmp_path) == []
        assert not directory.exists()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda path: path.write_text("[" * 100_000)])
def test_what_a_model_process_put_in_place_of_a_record_is_taken_for_none(tmp_path, put):
    put(tmp_path / "process.json")

    assert read_json(tmp_path / "process.json") is None


@pytest.mark.parametrize("written", ["{}", '{"pid": 7}', '{"pid": 7, "exit_code": "no number"}'])
def test_an_exit_note_that_a_model_process_wrote_explains_nothing(tmp_path, written):
    replica = Replica(replica="r", spec=make_spec("t", tmp_path), directory=tmp_path)
    replica.attach(SimpleNamespace(pid=7, created=0.0))
    (tmp_path / "exit.json").write_text(written)

    assert "wrote nothing to its log" in replica.why_it_ended()


def test_a_signal_without_a_name_is_told_by_its_number(tmp_path):
    replica = Replica(replica="r", spec=make_spec("t", tmp_path), directory=tmp_path)
    replica.attach(SimpleNamespace(pid=7, created=0.0))
    (tmp_path / "exit.json").write_text('{"pid": 7, "exit_code": -40}')

    assert "was ended by signal 40" in replica.why_it_ended()


def test_the_message_of_a_replica_keeps_its_source(tmp_path):
    replica = Replica(replica="r", spec=make_spec("t", tmp_path), directory=tmp_path)
    replica.attach(SimpleNamespace(pid=7, created=0.0))
    (tmp_path / "exit.json").write_text('{"pid": 7, "exit_code": -9}')
    told = {"id": "The model process failed: %s", "values": ["OSError: disk"]}
    (tmp_path / "log").write_text(json.dumps({"error": told}))

    replica.launch_failed(replica.why_it_ended(), 0.0)

    message = replica.status().message
    assert message == (
        "The model process was ended by SIGKILL. Did the machine run out of memory? "
        "The model process failed: OSError: disk"
    )
    assert source_of(message) == [
        {"id": "The model process was ended by %s.", "values": ["SIGKILL"]},
        {"id": "Did the machine run out of memory?"},
        told,
    ]


def test_a_process_that_had_to_be_killed_keeps_the_source_of_why(tmp_path):
    replica = Replica(replica="r", spec=make_spec("t", tmp_path, memory_bytes=2**20), directory=tmp_path)
    replica.attach(SimpleNamespace(pid=7, created=0.0, rss=lambda: 2**22, kill=lambda: None))

    replica.kill(replica.problem(0.0))

    assert source_of(replica.why_it_ended())["values"] == {"used": 4, "limit": 1}


def test_why_no_process_could_be_started_keeps_its_source(tmp_path):
    nowhere = tmp_path / "gone"
    with pytest.raises(ForkServerError) as refused:
        fork_client.launch(nowhere, "replica", {"directory": str(nowhere)})

    assert source_of(fork_client.why_not_started(refused.value))["id"] == "The run directory %s is gone."
    assert source_of(fork_client.why_not_started(OSError("disk")))["values"] == ["disk"]


def test_a_fork_server_that_does_not_start_in_time_is_an_error_that_says_so(tmp_path, monkeypatch):
    def takes_too_long(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(fork_client.subprocess, "run", takes_too_long)

    with pytest.raises(ForkServerError, match="does not come up") as failed:
        fork_client.launch(tmp_path, "replica", {"directory": str(tmp_path)})

    assert source_of(failed.value.detail) == [
        {"id": "The fork server does not come up."},
        {"id": "It wrote no log."},
    ]
