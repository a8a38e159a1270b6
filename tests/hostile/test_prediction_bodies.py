"""Predictions asked for with too much, or with what is no request, on the whole platform."""

import gzip
import json
import time
from collections.abc import Iterator

import pytest

from tests.hostile.raw_http import Answer, Client, ask

pytestmark = pytest.mark.slow

MEBIBYTE = 2**20
GIBIBYTE = 2**30


@pytest.fixture
def head(served, admin_token) -> str:
    return (
        f"POST /api/v1/ml/lifecycle/serve/{served.model_name}/development/invocations HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: Bearer {admin_token}\r\n"
    )


@pytest.fixture
def predict(port, head):
    def send(body: bytes, content_type: str = "application/json", *headers: str) -> Answer:
        lines = [f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *headers, "", ""]
        return ask(port, head.encode() + "\r\n".join(lines).encode(), body)

    return send


@pytest.fixture(autouse=True)
def still_serving(served, web) -> Iterator[None]:
    """Whatever was sent: the same process answers the next request, and no memory stays taken."""
    pids, megabytes = served.pids, web.megabytes
    yield
    assert served.predict().status == 200
    assert served.pids == pids
    assert web.megabytes < megabytes + 150


def assert_refused(answer: Answer, status: int, code: str = "") -> None:
    assert answer.status == status, answer
    body = json.loads(answer.body)
    assert set(body) == {"code", "detail", "fields"}
    assert body["detail"]
    assert not code or body["code"] == code


def test_a_gigabyte_that_is_announced_is_refused_at_once(port, head, web):
    with Client(port) as client:
        started = time.monotonic()
        client.send(
            [f"{head}Content-Type: application/json\r\nContent-Length: {GIBIBYTE}\r\n\r\n".encode(), b"["]
        )
        assert_refused(client.answer(), 413, "too_large")
        assert time.monotonic() - started < 2


def test_a_gigabyte_that_is_sent_nevertheless_is_not_read(port, head, web):
    piece = b" " * MEBIBYTE
    with Client(port) as client:
        client.send([f"{head}Content-Type: application/json\r\nContent-Length: {GIBIBYTE}\r\n\r\n".encode()])
        started = time.monotonic()
        assert client.send(piece for _each in range(1024)) < GIBIBYTE
        assert time.monotonic() - started < 10


def test_a_gigabyte_in_chunks_is_cut_off_at_the_limit(port, head, web):
    chunk = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
    before = web.megabytes
    with Client(port) as client:
        client.send([f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()])
        started = time.monotonic()
        assert client.send(chunk for _each in range(1024)) < GIBIBYTE
        assert time.monotonic() - started < 10
    assert web.megabytes < before + 150


def test_a_body_somewhat_over_the_limit_hears_why(port, head):
    with Client(port) as client:
        length = 17 * MEBIBYTE
        client.send([f"{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()])
        client.send([b" " * length])
        assert_refused(client.answer(), 413, "too_large")


def in_every_format(row: dict[str, float]) -> dict[str, tuple[bytes, str]]:
    """100,000 rows as each body and media type that the endpoint takes."""
    names, rows = list(row), 100_000
    line = ",".join(f"{value:.4f}" for value in row.values())
    bodies = {
        "dataframe_records": [row] * rows,
        "dataframe_split": {"columns": names, "data": [[round(value, 4) for value in row.values()]] * rows},
        "instances": [row] * rows,
        "inputs": {name: [round(value, 4)] * rows for name, value in row.items()},
    }
    csv = "\n".join([",".join(names), *[line] * rows]).encode()
    return {"csv": (csv, "text/csv")} | {
        name: (json.dumps({name: content}).encode(), "application/json") for name, content in bodies.items()
    }


@pytest.mark.parametrize("name", ["csv", "dataframe_records", "dataframe_split", "instances", "inputs"])
def test_a_hundred_thousand_rows_are_refused(predict, served, name):
    body, content_type = in_every_format(served.row)[name]
    assert len(body) < 16 * MEBIBYTE
    answer = predict(body, content_type)
    assert_refused(answer, 413, "too_large")
    assert b"at most 10000 in one" in answer.body


@pytest.mark.parametrize(
    ("line", "status"), [(b"1\n", 413), (b"\n", 400), (b",", 400), (b'"', 400), (b"\x00", 400)], ids=repr
)
def test_csv_as_long_as_a_body_may_be_costs_the_model_nothing(predict, line, status):
    """A cell is a few dozen bytes in memory: eight million of them are not held to be counted."""
    started = time.monotonic()
    assert_refused(predict(line * (16 * MEBIBYTE // len(line) - 1), "text/csv"), status)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"5",
        b'"text"',
        b'{"dataframe_records": 5}',
        b'{"dataframe_records": [5]}',
        b'{"dataframe_records": [{"age": NaN}]}',
        b'{"dataframe_records": [{"age": Infinity}]}',
        b'{"dataframe_records": [{"age": 1e999}]}',
        b'{"dataframe_records": [{"age": ' + b"9" * 10_000 + b"}]}",
        b'{"inputs": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * MEBIBYTE,
        b"\xff\xfe{\x00}\x00",
        b'{"dataframe_records": [{"age": "\xff"}]}',
        b'{"dataframe_records": [{"\\ud800": 1}]}',
        b'{"no_such_format": []}',
        b"\x80\x04cposix\nsystem\n.",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_request_is_refused(predict, body):
    assert_refused(predict(body), 400)


@pytest.mark.parametrize(
    ("content_type", "headers", "status"),
    [
        ("application/x-python-pickle", (), 415),
        ("multipart/form-data; boundary=x", (), 415),
        ("application/json; charset=utf-7", (), 415),
        ("application/json", ("Content-Encoding: gzip",), 415),
        ("application/json", ("Content-Encoding: gzip, gzip",), 415),
        ("application/json", ("Content-Encoding: br",), 415),
    ],
)
def test_a_bomb_in_another_form_is_refused_and_never_inflated(predict, content_type, headers, status):
    bomb = gzip.compress(b" " * 100 * MEBIBYTE)
    assert_refused(predict(bomb, content_type, *headers), status, "unsupported_media_type")
