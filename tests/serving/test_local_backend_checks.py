"""Trying a model in a throw-away process, and the fork server that starts it."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.sentences import source_of
from serving.backends import fork_client
from serving.backends.local import LocalBackend
from tests.serving.local_backends import (
    MEBIBYTE,
    fork_server,
    make_spec,
    processes_in,
    running_backend,
    wait_until,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    with running_backend() as backend:
        yield backend


def left_behind(backend: LocalBackend) -> list[Path]:
    return list((backend.run_dir / ".checks").iterdir())


def test_a_good_model_passes_without_anybody_owning_the_run_directory(model):
    with running_backend() as backend:
        report = backend.check(make_spec("1", model.path), time_limit_seconds=30)

        assert report.ok, report
        assert report.signature["inputs"]
        assert report.prediction is not None
        assert left_behind(backend) == []
        assert not (backend.run_dir / ".owner.lock").exists()


def test_a_model_that_does_not_load_is_reported_with_its_reason(backend, unloadable):
    report = backend.check(make_spec("1", unloadable, allow_code=True), time_limit_seconds=30)

    assert not report.ok
    assert source_of(report.error)["id"] == "The model could not be loaded: %s"


def test_a_check_that_takes_too_long_is_ended(backend, slow_loading):
    report = backend.check(make_spec("1", slow_loading, allow_code=True), time_limit_seconds=1)

    assert not report.ok
    assert "not done after 1 s" in report.error
    assert source_of(report.error)["values"] == ["1"]
    assert left_behind(backend) == []
    wait_until(lambda: len(processes_in(backend.run_dir)) <= 1)


def test_a_model_that_crashes_its_process_is_a_report_and_no_crash_of_ours(backend, crashing):
    report = backend.check(make_spec("1", crashing, allow_code=True), time_limit_seconds=30)

    assert not report.ok
    assert "SIGSEGV" in report.error
    assert source_of(report.error)["values"] == ["SIGSEGV"]
    assert report.log[-1] == report.error


def test_a_model_killed_from_outside_is_said_to_have_run_out_of_memory(backend, slow_loading):
    reports = []
    spec = make_spec("1", slow_loading, allow_code=True)
    checking = threading.Thread(target=lambda: reports.append(backend.check(spec, time_limit_seconds=20)))
    checking.start()
    wait_until(lambda: list(backend.run_dir.glob(".checks/*/process.json")))
    (record,) = backend.run_dir.glob(".checks/*/process.json")

    os.kill(json.loads(record.read_text())["pid"], 9)
    checking.join()

    assert "ran out of memory" in reports[0].error


def test_a_model_that_needs_more_memory_than_its_limit_is_refused(backend, model):
    report = backend.check(make_spec("1", model.path, memory_bytes=40 * MEBIBYTE), time_limit_seconds=30)

    assert not report.ok
    assert "memory" in report.error


def test_checks_from_several_threads_share_one_fork_server_started_once(model):
    with running_backend() as backend:
        reports = []
        spec = make_spec("1", model.path)
        threads = [
            threading.Thread(
                target=lambda: reports.append(
                    LocalBackend(backend.run_dir).check(spec, time_limit_seconds=60)
                )
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [report.ok for report in reports] == [True] * 4
        assert len(processes_in(backend.run_dir)) == 1


def test_the_fork_server_has_no_secret_no_thread_and_is_nobodys_child(model, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://secret")
    with running_backend() as backend:
        backend.check(make_spec("1", model.path), time_limit_seconds=30)
        server = fork_server(backend.run_dir)

        assert "DATABASE_URL" not in server.environ()
        assert server.num_threads() == 1
        assert server.ppid() != os.getpid()
        assert os.getsid(server.pid) == server.pid


def test_the_fork_server_leaves_no_zombie(backend, model):
    for _ in range(3):
        backend.check(make_spec("1", model.path), time_limit_seconds=30)

    server = fork_server(backend.run_dir)

    wait_until(lambda: server.children() == [])


def test_a_client_that_says_nothing_holds_up_the_others_for_two_seconds_at_most(backend, model):
    backend.check(make_spec("1", model.path), time_limit_seconds=30)
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as rude:
        silent.connect(os.fspath(backend.run_dir / ".fork.sock"))
        rude.connect(os.fspath(backend.run_dir / ".fork.sock"))
        rude.sendall(b"not json\n")

        assert backend.check(make_spec("1", model.path), time_limit_seconds=30).ok


def test_a_dead_fork_server_is_replaced_by_whoever_needs_one(backend, model):
    backend.check(make_spec("1", model.path), time_limit_seconds=30)
    server = fork_server(backend.run_dir)
    server.kill()

    assert backend.check(make_spec("1", model.path), time_limit_seconds=30).ok
    assert fork_server(backend.run_dir).pid != server.pid


def test_a_fork_server_that_cannot_start_is_no_fault_of_the_model(backend, model, monkeypatch):
    with running_backend() as broken:
        monkeypatch.setattr(fork_client, "START_TIMEOUT_SECONDS", 0.5)
        monkeypatch.setattr(fork_client.sys, "executable", "/bin/false")

        with pytest.raises(fork_client.ForkServerError, match="does not come up"):
            broken.check(make_spec("1", model.path), time_limit_seconds=30)

        monkeypatch.undo()


def test_an_owner_starts_with_a_fork_server_of_its_own_release(backend, model):
    with running_backend() as backend:
        backend.check(make_spec("1", model.path), time_limit_seconds=30)
        earlier = fork_server(backend.run_dir)

        backend.ensure(make_spec("1", model.path), 1)
        wait_until_ready(backend, "1")

        wait_until(lambda: not psutil.pid_exists(earlier.pid))
