"""The local backend with real model processes: start, scale, replace, drain, adopt."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from serving.backends.local import AlreadyOwned, LocalBackend
from serving.gateway.balancer import Balancer
from tests.serving.local_backends import (
    fork_server,
    make_spec,
    predict,
    processes_in,
    running_backend,
    wait_until,
    wait_until_ready,
)

OWNER = """
import sys, time
from pathlib import Path
from serving.backends.local import LocalBackend
from tests.serving.local_backends import make_spec, wait_until_ready
backend = LocalBackend(Path(sys.argv[1]))
backend.ensure(make_spec("adopted", Path(sys.argv[2])), 2)
wait_until_ready(backend, "adopted", 2)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    with running_backend() as backend:
        yield backend


def pids(backend: LocalBackend, target: str) -> set[int | None]:
    return {replica.pid for replica in backend.status(target)}


def opened_by(pid: int) -> set[str]:
    """Files, and sockets and pipes by their inode; kernel objects without a name of their own left out."""
    links = {os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return {link for link in links if not link.startswith("anon_inode:")}


def test_ensure_starts_replicas_without_waiting_for_them(backend, model):
    started = time.monotonic()
    backend.ensure(make_spec("start", model.path), 2)

    assert time.monotonic() - started < 0.2
    assert {replica.state for replica in backend.status("start")} == {"starting"}
    wait_until_ready(backend, "start", 2)
    assert len(pids(backend, "start")) == 2
    assert "start" in backend.targets()
    assert predict(Balancer(), backend.endpoint("start"), model.body).status == 200


def test_asking_again_for_the_same_changes_nothing(backend, model):
    spec = make_spec("again", model.path)
    backend.ensure(spec, 1)
    wait_until_ready(backend, "again")
    before = pids(backend, "again")

    for _ in range(5):
        backend.ensure(spec, 1)

    assert pids(backend, "again") == before


def test_a_replica_shares_no_session_and_no_open_file_with_its_fork_server(backend, model):
    backend.ensure(make_spec("alone", model.path), 1)
    wait_until_ready(backend, "alone")
    (replica,) = backend.status("alone")

    shared = opened_by(replica.pid) & opened_by(fork_server(backend.run_dir).pid)

    assert shared <= {"/dev/null"}
    assert os.getsid(replica.pid) == replica.pid


def test_the_surplus_is_drained_newest_first(backend, model):
    spec = make_spec("shrink", model.path)
    backend.ensure(spec, 1)
    wait_until_ready(backend, "shrink")
    (oldest,) = pids(backend, "shrink")
    backend.ensure(spec, 3)
    wait_until_ready(backend, "shrink", 3)

    backend.ensure(spec, 1)

    assert len(backend.endpoint("shrink")) == 1
    wait_until(lambda: pids(backend, "shrink") == {oldest})


def test_a_new_generation_takes_over_only_when_it_is_ready_and_no_request_fails(backend, model):
    spec = make_spec("roll", model.path)
    backend.ensure(spec, 2)
    wait_until_ready(backend, "roll", 2)
    old = set(backend.endpoint("roll"))
    balancer, statuses, stopped = Balancer(), [], threading.Event()
    route = list(old)

    def load() -> None:
        while not stopped.is_set():
            statuses.append(predict(balancer, route, model.body).status)

    def refresh_route_once_a_second() -> None:
        while not stopped.wait(0.9):
            route[:] = backend.endpoint("roll")

    threads = [
        threading.Thread(target=work) for work in (load, load, load, load, refresh_route_once_a_second)
    ]
    for thread in threads:
        thread.start()
    backend.ensure(dataclasses.replace(spec, generation=2), 2)
    assert set(backend.endpoint("roll")) == old
    wait_until(lambda: not old & set(backend.endpoint("roll")))
    wait_until(lambda: {replica.generation for replica in backend.status("roll")} == {2})
    stopped.set()
    for thread in threads:
        thread.join()

    assert len(backend.endpoint("roll")) == 2
    assert set(statuses) == {200}


def test_a_new_generation_that_cannot_load_leaves_the_old_one_serving(backend, model, unloadable):
    spec = make_spec("keep", model.path)
    backend.ensure(spec, 1)
    wait_until_ready(backend, "keep")
    old = backend.endpoint("keep")

    backend.ensure(make_spec("keep", unloadable, generation=2, allow_code=True), 1)
    wait_until(lambda: any(replica.state == "backoff" for replica in backend.status("keep")))

    assert backend.endpoint("keep") == old
    assert predict(Balancer(), old, model.body).status == 200
    backend.stop("keep", drain_seconds=0)


def test_stop_withdraws_at_once_and_ends_the_process_when_idle(backend, model):
    backend.ensure(make_spec("stop", model.path), 1)
    wait_until_ready(backend, "stop")
    (pid,) = pids(backend, "stop")
    directory = backend.run_dir / "stop"

    backend.stop("stop", drain_seconds=30)

    assert backend.endpoint("stop") == []
    assert [replica.state for replica in backend.status("stop")] == ["draining"]
    # Gateways may send by an old route for a second: it goes on answering for two.
    assert wait_until(lambda: not psutil.pid_exists(pid)) >= 2.0
    wait_until(lambda: not directory.exists())
    assert "stop" not in backend.targets()


def test_a_draining_replica_finishes_the_request_it_has(backend, slow_model):
    backend.ensure(make_spec("finish", slow_model.path, allow_code=True), 1)
    wait_until_ready(backend, "finish")
    route = backend.endpoint("finish")
    answers = []
    request = threading.Thread(
        target=lambda: answers.append(predict(Balancer(), route, slow_model.body).status)
    )
    request.start()
    time.sleep(0.2)

    backend.stop("finish", drain_seconds=30)
    request.join()

    assert answers == [200]
    wait_until(lambda: "finish" not in backend.targets())


def test_stop_ends_a_busy_process_when_its_time_is_up(backend, hanging_model):
    spec = make_spec("busy", hanging_model.path, allow_code=True, timeout_seconds=60.0)
    backend.ensure(spec, 1)
    wait_until_ready(backend, "busy")
    (pid,) = pids(backend, "busy")
    route = backend.endpoint("busy")
    request = threading.Thread(target=lambda: predict(Balancer(), route, hanging_model.body, timeout=30.0))
    request.start()
    time.sleep(0.3)

    backend.stop("busy", drain_seconds=1.0)

    assert wait_until(lambda: not psutil.pid_exists(pid)) < 8.0
    request.join()


def test_replicas_survive_their_fork_server_and_the_next_one_is_started(backend, model):
    spec = make_spec("orphans", model.path)
    backend.ensure(spec, 1)
    wait_until_ready(backend, "orphans")
    (first,) = pids(backend, "orphans")
    server = fork_server(backend.run_dir)

    server.kill()
    wait_until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    backend.ensure(spec, 2)
    wait_until_ready(backend, "orphans", 2)

    assert first in pids(backend, "orphans")
    assert fork_server(backend.run_dir).pid != server.pid


def test_only_one_backend_may_own_a_run_directory(backend, model):
    backend.own()
    second = LocalBackend(backend.run_dir)

    with pytest.raises(AlreadyOwned, match="Another serving agent"):
        second.ensure(make_spec("other", model.path), 1)


def test_a_new_backend_adopts_the_processes_of_a_killed_one_and_goes_on(model):
    with running_backend() as backend:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(backend.run_dir), str(model.path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert owner.stdout.readline() == "ready\n"
        before = {path.parent.name for path in backend.run_dir.glob("adopted/*/process.json")}
        stale = backend.run_dir / "adopted" / "deadbeef"
        stale.mkdir()
        (stale / "process.json").write_text('{"pid": 999999, "process_created": 1.0}')
        owner.send_signal(signal.SIGKILL)
        owner.wait()

        assert len(backend.endpoint("adopted")) == 2

        assert backend.targets() == {"adopted"}
        assert {replica.replica for replica in backend.status("adopted")} == before
        assert not stale.exists()
        adopted = pids(backend, "adopted")
        backend.ensure(make_spec("adopted", model.path), 2)
        assert pids(backend, "adopted") == adopted
        assert predict(Balancer(), backend.endpoint("adopted"), model.body).status == 200


def test_replicas_kept_at_shutdown_are_found_by_the_next_backend(model):
    with running_backend() as second:
        first = LocalBackend(second.run_dir)
        first.ensure(make_spec("kept", model.path), 1)
        wait_until_ready(first, "kept")
        before = pids(first, "kept")

        first.shutdown(keep_replicas=True)

        assert pids(second, "kept") == before
        assert len(second.endpoint("kept")) == 1


def test_everything_leaves_when_the_run_directory_vanishes(model):
    with running_backend() as cleaner:
        backend = LocalBackend(cleaner.run_dir)
        backend.ensure(make_spec("gone", model.path), 1)
        wait_until_ready(backend, "gone")
        backend.shutdown(keep_replicas=True)
        moved = backend.run_dir.rename(backend.run_dir.with_name(backend.run_dir.name + "-moved"))

        wait_until(lambda: not processes_in(backend.run_dir))

        moved.rename(backend.run_dir)
