"""Requests reach the database in batches, once each, from many threads and processes; late if it was away."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from serving import recorder as recorder_module
from serving.models import RequestLog, RequestSums
from serving.recorder import PredictionRecord, Recorder
from tests.serving.same_database import start_python

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TABLES = [RequestLog._meta.db_table, RequestSums._meta.db_table]

WEB_PROCESS = """
import sys
from datetime import datetime, timedelta
import django
django.setup()
from serving.recorder import PredictionRecord, recorder
start = datetime.fromisoformat(sys.argv[1])
for number in range(400):
    at = start + timedelta(seconds=number % 180)
    recorder.record(PredictionRecord(f"r{number}", number % 3, at, 200, 5.0, rows=1))
    if number % 40 == 0:
        recorder.flush()
"""

FORKING_PROCESS = """
import os, sys
from datetime import datetime
import django
django.setup()
from django.db import connections
from serving.recorder import PredictionRecord, recorder
start = datetime.fromisoformat(sys.argv[1])
recorder.record(PredictionRecord("parent", 1, start, 200, 5.0))
child = os.fork()
recorder.record(PredictionRecord("after-fork", 1, start, 200, 5.0))
if child:
    os.waitpid(child, 0)
"""


@pytest.fixture
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.close()


def make_record(number=0, **fields):
    fields = {
        "request_id": f"r{number}",
        "deployment_id": 1,
        "at": NOON,
        "status": 200,
        "latency_ms": 5.0,
    } | fields
    return PredictionRecord(**fields)


def counts(span="minute"):
    rows = RequestSums.objects.filter(span=span).order_by("deployment_id", "start")
    return {(row.deployment_id, row.start): row.count for row in rows}


def test_a_request_is_in_the_database_within_a_second_by_itself(recorder):
    recorder.record(make_record(rows=3, retried=True, user_id=7, input="in", output="out"))

    deadline = time.monotonic() + 1
    while not RequestLog.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.02)

    (log,) = RequestLog.objects.all()
    assert (log.request_id, log.deployment_id, log.at, log.status) == ("r0", 1, NOON, 200)
    assert (log.latency_ms, log.rows, log.retried, log.user_id) == (5.0, 3, True, 7)
    assert (log.input, log.output) == ("in", "out")


def test_a_full_batch_does_not_wait_for_the_clock(recorder, monkeypatch):
    monkeypatch.setattr(recorder_module, "FLUSH_SECONDS", 60)
    for number in range(recorder_module.BATCH_SIZE):
        recorder.record(make_record(number))

    deadline = time.monotonic() + 10
    while RequestLog.objects.count() < recorder_module.BATCH_SIZE and time.monotonic() < deadline:
        time.sleep(0.02)

    assert RequestLog.objects.count() == recorder_module.BATCH_SIZE


def test_recording_does_not_wait_for_a_locked_database(recorder):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE" if connection.vendor == "sqlite" else "BEGIN")
        if connection.vendor != "sqlite":
            cursor.execute(f"LOCK TABLE {RequestLog._meta.db_table}")
        recorder.record(make_record())
        time.sleep(0.7)  # its thread waits for the lock by now
        started = time.monotonic()
        for number in range(1000):
            recorder.record(make_record(number))
        took = time.monotonic() - started
        cursor.execute("COMMIT")

    recorder.close()
    assert took < 0.5
    assert RequestLog.objects.count() == sum(counts().values()) == 1001


def test_sums_are_kept_per_deployment_minute_and_hour(recorder):
    for deployment_id, at in [
        (1, NOON),
        (1, NOON + timedelta(seconds=59)),
        (1, NOON + timedelta(minutes=1)),
        (2, NOON),
    ]:
        recorder.record(make_record(deployment_id=deployment_id, at=at))
    recorder.close()

    assert counts() == {(1, NOON): 2, (1, NOON + timedelta(minutes=1)): 1, (2, NOON): 1}
    assert counts("hour") == {(1, NOON): 3, (2, NOON): 1}


def test_later_requests_are_added_to_the_same_minute(recorder):
    recorder.record(make_record(latency_ms=5.0, rows=2))
    assert recorder.flush()
    recorder.record(make_record(latency_ms=5.0, rows=1, at=NOON + timedelta(seconds=9)))
    recorder.record(make_record(status=500))
    recorder.record(make_record(status=404))
    recorder.close()

    row = RequestSums.objects.get(span="minute")
    assert (row.count, row.errors, row.client_errors, row.rows) == (4, 1, 1, 3)
    assert row.latency_sum_ms == pytest.approx(10.0)
    assert list(row.histogram.values()) == [2]
    assert row.last_at == NOON + timedelta(seconds=9)


def test_threads_lose_nothing_and_count_nothing_twice(recorder):
    def ask():
        for number in range(300):
            recorder.record(make_record(number, deployment_id=number % 2))
            if number % 100 == 0:
                recorder.flush()
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()

    assert RequestLog.objects.count() == 1800
    assert counts() == {(0, NOON): 900, (1, NOON): 900}


def test_web_processes_add_to_the_same_rows_and_write_the_rest_when_they_end():
    processes = [start_python("-c", WEB_PROCESS, NOON.isoformat()) for _ in range(3)]
    errors = [process.communicate(timeout=60)[1] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert RequestLog.objects.count() == 1200
    assert sum(counts().values()) == sum(counts("hour").values()) == 1200
    assert sum(sum(row.histogram.values()) for row in RequestSums.objects.filter(span="minute")) == 1200
    assert len(counts()) == 9


def test_a_forked_child_starts_empty_and_writes_its_own():
    process = start_python("-c", FORKING_PROCESS, NOON.isoformat())
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert sorted(RequestLog.objects.values_list("request_id", flat=True)) == [
        "after-fork",
        "after-fork",
        "parent",
    ]
    assert counts() == {(1, NOON): 3}


def test_a_closed_recorder_starts_again_with_the_next_request(recorder):
    recorder.record(make_record(1))
    recorder.close()
    recorder.record(make_record(2))
    recorder.close()

    assert RequestLog.objects.count() == 2


@contextmanager
def database_away():
    """Nobody new gets to it. On SQLite, where nobody connects, its tables are not there."""
    if connection.vendor == "sqlite":
        before, after = [
            [f'ALTER TABLE "{table}{old}" RENAME TO "{table}{new}"' for table in TABLES]
            for old, new in [("", "_away"), ("_away", "")]
        ]
        cursor_of = connection.cursor
    else:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        before = [f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"]
        after = [f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true"]
        cursor_of = connection._nodb_cursor
    run(before, cursor_of)
    try:
        yield
    finally:
        run(after, cursor_of)


def run(statements, cursor_of):
    with cursor_of() as cursor:
        for statement in statements:
            cursor.execute(statement)


def flush_elsewhere(recorder):
    """As its own thread does: with a connection of its own."""

    def flush():
        try:
            return recorder.flush()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(flush).result()


def test_while_the_database_is_away_requests_wait(recorder):
    with database_away():
        recorder.record(make_record(1))
        assert not flush_elsewhere(recorder)
        recorder.record(make_record(2))
        assert not flush_elsewhere(recorder)
    recorder.close()

    assert sorted(RequestLog.objects.values_list("request_id", flat=True)) == ["r1", "r2"]
    assert counts() == {(1, NOON): 2}


def test_when_it_is_away_for_long_single_requests_are_dropped_and_their_sums_kept(
    recorder, monkeypatch, caplog
):
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 3)
    with database_away():
        for number in range(5):
            recorder.record(make_record(number))
        assert not flush_elsewhere(recorder)
    recorder.close()

    assert sorted(RequestLog.objects.values_list("request_id", flat=True)) == ["r0", "r1", "r2"]
    assert counts() == {(1, NOON): 5}
    assert sum(record.dropped for record in caplog.records if "Single requests" in record.message) == 2


def test_samples_that_wait_do_not_fill_the_memory(recorder, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_WAITING_CHARACTERS", 100)
    for number in range(4):
        recorder.record(make_record(number, input="x" * 40))
    recorder.close()

    assert RequestLog.objects.count() == 2
    assert counts() == {(1, NOON): 4}


def test_a_request_the_database_refuses_does_not_hold_up_the_others(recorder, caplog):
    recorder.record(make_record(1, request_id=None))
    assert not recorder.flush()
    recorder.record(make_record(2))
    recorder.close()

    assert list(RequestLog.objects.values_list("request_id", flat=True)) == ["r2"]
    assert counts() == {(1, NOON): 2}
    assert any(getattr(record, "dropped", 0) == 1 for record in caplog.records)


def test_what_cannot_be_written_at_the_end_is_said(recorder, caplog):
    recorder.record(make_record(1, deployment_id=None))
    recorder.close()

    assert "Requests were left unrecorded" in caplog.text
    recorder.forget()
