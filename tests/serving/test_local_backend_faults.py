"""What the local backend does about model processes that die, hang, leak or never come up."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from serving.backends.base import ReplicaStatus
from serving.backends.local import LocalBackend
from serving.backends.replica import Replica
from serving.gateway.balancer import Balancer
from tests.serving.local_backends import (
    MEBIBYTE,
    kill,
    make_spec,
    predict,
    running_backend,
    wait_until,
    wait_until_ready,
)


@pytest.fixture(scope="module")
def backend() -> Iterator[LocalBackend]:
    with running_backend() as backend:
        yield backend


@pytest.fixture
def only(backend, request) -> Iterator[str]:
    """A target of this test's own, gone afterwards."""
    target = request.node.name[-32:].strip("_-")
    yield target
    backend.stop(target, drain_seconds=0)
    wait_until(lambda: target not in backend.targets())


def the_replica(backend: LocalBackend, target: str) -> ReplicaStatus:
    (replica,) = backend.status(target)
    return replica


def test_not_one_request_fails_when_one_of_two_replicas_is_killed_under_load(backend, model, only):
    backend.ensure(make_spec(only, model.path), 2)
    wait_until_ready(backend, only, 2)
    balancer, answers, left = Balancer(), [], iter(range(2000))

    def load() -> None:
        for number in left:
            if number == 500:
                kill(backend.status(only)[0].pid)
            answers.append(predict(balancer, route, model.body))

    route = backend.endpoint(only)
    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 2000
    assert {answer.status for answer in answers} == {200}
    assert any(answer.retried for answer in answers)
    wait_until_ready(backend, only, 2)


def test_a_killed_replica_is_noticed_at_once_and_back_within_two_seconds(backend, model, only):
    backend.ensure(make_spec(only, model.path), 1)
    wait_until_ready(backend, only)

    kill(the_replica(backend, only).pid)

    assert wait_until(lambda: not backend.endpoint(only)) < 0.2
    assert wait_until_ready(backend, only) < 2.0
    assert the_replica(backend, only).restarts == 1
    assert "SIGKILL" in the_replica(backend, only).message


def test_a_killed_replica_is_back_within_two_seconds_on_a_busy_machine(backend, model, only):
    backend.ensure(make_spec(only, model.path), 1)
    wait_until_ready(backend, only)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        kill(the_replica(backend, only).pid)
        wait_until(lambda: not backend.endpoint(only))

        assert wait_until_ready(backend, only) < 2.0
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_a_model_that_cannot_load_backs_off_and_its_neighbour_is_untouched(backend, model, unloadable, only):
    backend.ensure(make_spec("neighbour", model.path), 1)
    wait_until_ready(backend, "neighbour")
    neighbour = the_replica(backend, "neighbour").pid

    backend.ensure(make_spec(only, unloadable, allow_code=True), 1)

    wait_until(lambda: the_replica(backend, only).restarts == 2)
    wait_until(lambda: the_replica(backend, only).state == "backoff")
    assert the_replica(backend, only).message
    assert not the_replica(backend, only).message.startswith("{")
    assert backend.endpoint(only) == []
    assert the_replica(backend, "neighbour").pid == neighbour
    assert the_replica(backend, "neighbour").restarts == 0
    assert predict(Balancer(), backend.endpoint("neighbour"), model.body).status == 200


@pytest.mark.slow
def test_a_model_that_never_loads_is_failed_with_the_last_line_of_its_log(backend, unloadable, only):
    backend.ensure(make_spec(only, unloadable, allow_code=True), 1)

    wait_until(lambda: the_replica(backend, only).state == "failed", seconds=30)

    assert the_replica(backend, only).restarts == 4
    assert the_replica(backend, only).message


def test_a_leaking_model_is_ended_at_its_limit_and_started_again(backend, leaking_model, only):
    limit = 400 * MEBIBYTE
    backend.ensure(make_spec(only, leaking_model.path, allow_code=True, memory_bytes=limit), 1)
    wait_until_ready(backend, only)
    balancer = Balancer()

    def leak_once() -> bool:
        predict(balancer, backend.endpoint(only), leaking_model.body)
        return the_replica(backend, only).restarts > 0

    wait_until(leak_once, seconds=30)

    assert "limit" in the_replica(backend, only).message
    wait_until_ready(backend, only)


def test_a_process_over_its_memory_limit_is_killed_and_the_message_says_so(backend, model, only):
    backend.ensure(make_spec(only, model.path), 1)
    wait_until_ready(backend, only)
    small = 60 * MEBIBYTE  # what is imported is more

    backend.ensure(make_spec(only, model.path, memory_bytes=small), 1)

    wait_until(lambda: the_replica(backend, only).restarts > 0)
    assert "more than its limit of 60 MiB" in the_replica(backend, only).message


def test_a_process_that_does_not_answer_any_more_is_killed_and_started_again(backend, model, only):
    backend.ensure(make_spec(only, model.path, timeout_seconds=0.5), 1)
    wait_until_ready(backend, only)
    frozen = the_replica(backend, only).pid

    os.kill(frozen, signal.SIGSTOP)

    wait_until(lambda: the_replica(backend, only).pid not in (frozen, None))
    wait_until_ready(backend, only)
    assert "did not answer" in the_replica(backend, only).message
    wait_until(lambda: not psutil.pid_exists(frozen))


def test_a_model_that_hangs_in_predict_is_replaced_and_the_request_is_answered(backend, hanging_model, only):
    backend.ensure(make_spec(only, hanging_model.path, allow_code=True, timeout_seconds=0.5), 1)
    wait_until_ready(backend, only)

    answer = predict(Balancer(), backend.endpoint(only), hanging_model.body)

    assert answer.status in (503, 504)
    wait_until(lambda: the_replica(backend, only).restarts == 1)
    wait_until_ready(backend, only)
    assert "longer than its time limit" in the_replica(backend, only).message


def test_a_hanging_neighbour_does_not_slow_the_watch_over_the_others(backend, model, only):
    for number in range(3):
        backend.ensure(make_spec(f"frozen{number}", model.path), 1)
        wait_until_ready(backend, f"frozen{number}")
        os.kill(the_replica(backend, f"frozen{number}").pid, signal.SIGSTOP)
    backend.ensure(make_spec(only, model.path), 1)
    wait_until_ready(backend, only)
    time.sleep(1.0)  # by now the probes of the frozen ones hang

    kill(the_replica(backend, only).pid)

    assert wait_until(lambda: not backend.endpoint(only)) < 0.2
    assert wait_until_ready(backend, only) < 2.0
    for number in range(3):
        backend.stop(f"frozen{number}", drain_seconds=0)


def test_trouble_with_looking_after_one_replica_leaves_its_neighbours_looked_after(
    backend, model, only, monkeypatch
):
    sick, healthy = f"{only[:20]}-1", f"{only[:20]}-2"
    for target in (sick, healthy):
        backend.ensure(make_spec(target, model.path), 1)
        wait_until_ready(backend, target)
    problem = Replica.problem

    def surprise(replica: Replica, now: float) -> str:
        if replica.spec.target == sick:
            raise RuntimeError("A surprise.")
        return problem(replica, now)

    monkeypatch.setattr(Replica, "problem", surprise)
    kill(the_replica(backend, healthy).pid)

    assert wait_until_ready(backend, healthy) < 5.0
    for target in (sick, healthy):
        backend.stop(target, drain_seconds=0)
    wait_until(lambda: not {sick, healthy} & backend.targets())


def test_a_process_whose_place_another_one_took_ends_itself(backend, model, only):
    backend.ensure(make_spec(only, model.path), 1)
    wait_until_ready(backend, only)
    first = the_replica(backend, only)
    record = backend.run_dir / only / first.replica / "process.json"

    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": os.getpid()}))

    wait_until(lambda: not psutil.pid_exists(first.pid))
