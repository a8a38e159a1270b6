"""A real model process on its unix socket: answers, readiness, counters, bounds, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import threadpoolctl
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from serving.model_server import limits, logs
from tests.serving.model_process import ModelProcess, split
from tests.serving.models import (
    diabetes,
    make_garbled_model,
    make_picky_model,
    make_sklearn_model,
    make_slow_model,
)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sklearn_model(tmp_path_factory.mktemp("models") / "linear")


@pytest.fixture(scope="module")
def served(linear: Path) -> Iterator[ModelProcess]:
    with ModelProcess(linear, max_rows=50, max_body_bytes=20_000) as process:
        yield process.ready()


X, Y = diabetes()
NAMES = list(X.columns)
ROW = X.iloc[0].tolist()


def test_predictions_are_those_of_the_model(served: ModelProcess) -> None:
    expected = LinearRegression().fit(X, Y).predict(X[:5])
    status, answer = served.predict({"dataframe_split": X[:5].to_dict("split")})
    assert status == 200
    assert answer["predictions"] == pytest.approx(expected)
    assert served.predict(X[:5].to_csv(index=False), "text/csv") == (200, answer)


def test_a_refused_request_names_the_column_as_json(served: ModelProcess) -> None:
    wrong = [*ROW]
    wrong[0] = "59"
    assert served.predict(split(NAMES, wrong)) == (
        400,
        {
            "code": "invalid",
            "detail": 'Column "age", row 1: "59" is text; the signature asks for double.',
        },
    )


def test_other_paths_and_methods_are_refused(served: ModelProcess) -> None:
    assert served.request("GET", "/invocations")[0] == 405
    assert served.request("GET", "/metrics")[0] == 404
    assert served.predict(split(NAMES, ROW), "text/plain")[0] == 415
    assert served.predict(split(NAMES, ROW), Content_Encoding="gzip")[0] == 415


def test_too_many_rows_are_413(served: ModelProcess) -> None:
    status, answer = served.predict(split(NAMES, *[[1.0] * 10] * 51))
    assert (status, answer["code"]) == (413, "too_large")


def test_a_body_announced_too_large_is_413_before_it_is_sent(served: ModelProcess) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(served.spec["socket"])
        raw.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100000000000\r\nExpect: 100-continue\r\n\r\n"
        )
        raw.sendall(b" " * 100_000)
        assert b" 413 " in read_all(raw)


def test_a_chunked_body_is_cut_off_at_its_bound(served: ModelProcess) -> None:
    before = served.stats()["memory_bytes"]
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(served.spec["socket"])
        raw.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"2000\r\n" + b" " * 0x2000 + b"\r\n"
        sent = 0
        try:
            while sent < 200 << 20:
                raw.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass  # the server hung up, as it should
        assert sent < 10 << 20
    assert served.stats()["memory_bytes"] - before < 20 << 20


def test_a_body_somewhat_too_large_hears_the_413(served: ModelProcess) -> None:
    assert served.predict(b" " * 60_000)[0] == 413


def read_all(raw: socket.socket) -> bytes:
    received = b""
    while chunk := raw.recv(65536):
        received += chunk
    return received


def test_stats_count_what_was_answered(linear: Path) -> None:
    with ModelProcess(linear) as process:
        process.ready()
        warm = process.stats()
        for _ in range(3):
            process.predict(split(NAMES, ROW, ROW))
        process.predict({})
        stats = process.stats()
    assert stats["requests"] - warm["requests"] == 4
    assert stats["rows"] - warm["rows"] == 6
    assert stats["requests_by_status"] == {"200": 3, "400": 1}
    assert (stats["errors"], stats["queue_depth"], stats["in_flight"]) == (0, 0, 0)
    assert stats["memory_bytes"] > 50 << 20
    assert stats["uptime_seconds"] > 0


def test_the_process_runs_within_its_limits_and_sees_no_secret(served: ModelProcess) -> None:
    process = psutil.Process(served.pid)
    assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert process.rlimit(psutil.RLIMIT_NOFILE)[0] <= 1024
    assert process.rlimit(psutil.RLIMIT_DATA)[1] < 2 << 30
    status = Path(f"/proc/{served.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert stat.S_IMODE(os.stat(served.spec["socket"]).st_mode) == 0o600


def test_a_model_sees_a_scrubbed_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    os.environ.update(DATABASE_URL="postgres://secret", AWS_SECRET_ACCESS_KEY="secret")
    limits.scrub_environment(temp=tmp_path / "temp", cpu=2)
    assert "secret" not in str(os.environ)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ["HOME"] == str(tmp_path / "temp")


def test_a_log_that_outgrows_its_bound_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_LOG_BYTES", 100)
    (tmp_path / "log").write_bytes(b"x" * 101)
    logs.bound_size(str(tmp_path / "log"))
    assert (tmp_path / "log").stat().st_size == 0


def test_only_many_rows_get_more_than_one_thread() -> None:
    with threadpoolctl.threadpool_limits():  # what is changed here is put back at the end
        threads = limits.Threads(2)
        for rows, given in [(1, 1), (limits.ROWS_WORTH_THREADS, 2), (1, 1)]:
            threads.give_for(rows)
            assert {library["num_threads"] for library in threadpoolctl.threadpool_info()} == {given}


def test_the_resident_size_of_a_scikit_learn_replica_stays_small(served: ModelProcess) -> None:
    assert served.stats()["memory_bytes"] < 230 << 20
    maps = Path(f"/proc/{served.pid}/maps").read_text()
    assert "onnxruntime" not in maps


def test_many_clients_get_their_own_answers_from_shared_batches(tmp_path: Path) -> None:
    model = RandomForestRegressor(20, random_state=0)
    with ModelProcess(make_sklearn_model(tmp_path / "m", model)) as process:
        process.ready()
        expected = model.predict(X)

        def ask(row: int) -> None:
            connection = process.connect()
            for number in range(row, len(X), 8):
                rows = X.iloc[number : number + 1 + number % 3]
                body = json.dumps({"dataframe_split": rows.to_dict("split")})
                connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                answer = json.loads(connection.getresponse().read())
                assert np.allclose(answer["predictions"], expected[number : number + len(rows)], rtol=1e-9)
            connection.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
        stats = process.stats()
    assert stats["requests"] == len(X)
    assert stats["batches"] < len(X)


def test_one_bad_row_fails_only_its_own_request(tmp_path: Path) -> None:
    with ModelProcess(make_picky_model(tmp_path / "m"), allow_code=True) as process:
        process.ready()
        with ThreadPoolExecutor(16) as pool:
            asked = [2000.0 if number % 10 == 0 else float(number) for number in range(200)]
            answers = list(
                pool.map(lambda x: process.predict(split(["x"], [x]), X_Request_Id=f"id-{x:g}"), asked)
            )
        assert process.request("GET", "/ready")[0] == 200
        log = process.log
    for x, (status, answer) in zip(asked, answers, strict=True):
        if x == 2000.0:
            assert (status, answer["code"]) == (500, "model_error")
            assert "ValueError: too large for me" in answer["detail"]
        else:
            assert (status, answer) == (200, {"predictions": [x * 2]})
    assert '"request_id":"id-2000"' in log


def test_a_model_that_raises_what_is_no_text_is_answered_for_and_goes_on(tmp_path: Path) -> None:
    with ModelProcess(make_garbled_model(tmp_path / "m"), allow_code=True) as process:
        process.ready()
        status, answer = process.predict(split(["x"], [2000.0]))
        assert (status, answer["code"]) == (500, "model_error")
        assert answer["detail"].endswith("half a surrogate pair: ?")
        assert process.predict(split(["x"], [1.0]))[0] == 200


def test_a_full_queue_answers_503_with_retry_after(tmp_path: Path) -> None:
    with ModelProcess(make_slow_model(tmp_path / "m", 0.5), allow_code=True, queue_size=2) as process:
        process.ready()
        with ThreadPoolExecutor(12) as pool:
            body, headers = json.dumps(split(["x"], [1.0])), {"Content-Type": "application/json"}
            answers = list(
                pool.map(lambda _: process.request("POST", "/invocations", body, headers), range(12))
            )
    statuses = [status for status, _, _ in answers]
    assert statuses.count(200) >= 3
    assert statuses.count(503) >= 1
    assert set(statuses) == {200, 503}
    assert all(headers["Retry-After"] == "1" for status, _, headers in answers if status == 503)


def test_queue_depth_and_in_flight_are_seen_while_a_predict_runs(tmp_path: Path) -> None:
    with ModelProcess(make_slow_model(tmp_path / "m", 1.0), allow_code=True) as process:
        process.ready()
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(process.predict, split(["x"], [1.0]))]
            time.sleep(0.2)
            asked += [pool.submit(process.predict, split(["x"], [1.0])) for _ in range(2)]
            time.sleep(0.2)
            stats = process.stats()
            assert [answer.result()[0] for answer in asked] == [200] * 3
    assert (stats["in_flight"], stats["queue_depth"]) == (1, 2)
    assert 0.2 < stats["waited_seconds"] < 0.8  # two requests for some 0.2 s


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(tmp_path: Path) -> None:
    with ModelProcess(make_slow_model(tmp_path / "m", 1.0), allow_code=True) as process:
        process.ready()
        answers = []
        asking = threading.Thread(target=lambda: answers.append(process.predict(split(["x"], [1.0]))))
        asking.start()
        time.sleep(0.4)
        process.signal(signal.SIGTERM)
        asking.join()
        assert process.exit_code(5) == 0
    assert answers == [(200, {"predictions": [2.0]})]


def test_sigterm_while_idle_exits_with_0_at_once(linear: Path) -> None:
    with ModelProcess(linear) as process:
        process.ready()
        keep = process.connect()
        keep.request("GET", "/ready")
        keep.getresponse().read()
        process.signal(signal.SIGTERM)
        assert process.exit_code(2) == 0
