"""Clients that misuse the connection itself, against the whole platform as it is run."""

import resource
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.hostile.raw_http import Client, ask, get
from tests.stack import wait_until

pytestmark = pytest.mark.slow

KIB, MIB = 1024, 2**20
SLOW_CLIENTS = 40
PROMPT_SECONDS = 2.0
POST_HEAD = (
    b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)
PUT_HEAD = b"PUT /api/v1/ml/lifecycle/runs/none/artifacts/a HTTP/1.1\r\nHost: localhost\r\n"
# What each kind of slow client sends at once; after that a byte now and then, if it is not silent.
SLOW_STARTS = {
    "silent": b"",
    "slow head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "slow short body": POST_HEAD + b"Content-Length: 1000\r\n\r\nusername=",
    "slow long body": PUT_HEAD + b"Content-Length: 100000000\r\n\r\n",
    "slow chunked body": PUT_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFF\r\n",
}


@contextmanager
def clients(port: int, number: int) -> Iterator[list[Client]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Client(port)) for _ in range(number)]


@contextmanager
def dripping(slow: list[Client]) -> Iterator[None]:
    """Each client sends another byte twice a second, while anybody listens."""
    stopping = threading.Event()

    def drip() -> None:
        while not stopping.wait(0.5):
            for client in slow:
                client.send([b"a"])

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def assert_others_are_served(port: int, served) -> None:
    for _ in range(5):
        page, seconds = get(port, "/sign-in")
        assert (page.status, seconds < PROMPT_SECONDS) == (200, True), seconds
        started = time.monotonic()
        assert served.predict().status == 200
        assert time.monotonic() - started < PROMPT_SECONDS


@pytest.mark.parametrize("kind", SLOW_STARTS)
def test_forty_slow_clients_keep_nobody_waiting(port, served, web, kind):
    with clients(port, SLOW_CLIENTS) as slow:
        for client in slow:
            client.send([SLOW_STARTS[kind]])
        with dripping([] if kind == "silent" else slow):
            assert_others_are_served(port, served)


def test_clients_that_do_not_read_their_answers_keep_nobody_waiting(port, served, web):
    with clients(port, SLOW_CLIENTS) as slow:
        for client in slow:
            client.send([b"NONSENSE\r\n\r\n"])
        assert_others_are_served(port, served)


def test_slow_clients_are_let_go(port, web):
    with clients(port, len(SLOW_STARTS)) as slow:
        for client, start in zip(slow, SLOW_STARTS.values(), strict=True):
            client.send([start])
        with dripping(slow[1:]):
            wait_until(
                lambda: all(client.is_closed() for client in slow),
                seconds=45,
                what="every slow client is let go",
            )


def test_a_slow_client_is_told_why(port, web):
    with Client(port, timeout=30) as client:
        client.send([SLOW_STARTS["slow head"]])
        assert client.answer().status == 408


@pytest.fixture
def many_files() -> Iterator[None]:
    """Two thousand sockets are more than a test may usually have open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before[1] == resource.RLIM_INFINITY or before[1] >= 4096, "This test needs 4,096 open files."
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 4096), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    "start",
    [b"", SLOW_STARTS["slow head"], b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ids=["idle", "slow heads", "kept after an answer"],
)
def test_two_thousand_connections_are_survived(port, served, web, many_files, start):
    files, megabytes = web.open_files, web.megabytes
    with clients(port, 2000) as crowd:
        for client in crowd:
            client.send([start])
        answer, seconds = get(port, "/healthz")
        assert (answer.status, seconds < 10) == (200, True), seconds
        assert served.predict().status == 200
        assert web.open_files < files + 1200
        assert web.megabytes < megabytes + 100
    wait_until(lambda: web.open_files < files + 50, seconds=20, what="the files of the crowd are closed")


HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
POST = b"POST /sign-in HTTP/1.1\r\n" + HOST
FORM = POST + b"Content-Type: application/x-www-form-urlencoded\r\n"
SMUGGLED = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        (GET + b"X-Large: " + b"a" * MIB + b"\r\n\r\n", {431}),
        (GET + b"".join(b"X-%d: a\r\n" % number for number in range(10_000)) + b"\r\n", {431}),
        (GET + b"X-Name-" + b"a" * MIB + b": a\r\n\r\n", {431}),
        (b"GET /" + b"a" * MIB + b" HTTP/1.1\r\n" + HOST + b"\r\n", {414, 431}),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {414}),
        (GET + b"Cookie: " + b"a=b; " * 200_000 + b"\r\n\r\n", {431}),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost@evil\r\n\r\n", {400}),
        (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n", {400}),
        (b"GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        (GET + b"X-Folded: a\r\n b\r\n\r\n", {400}),
        (GET + b"X-Space : a\r\n\r\n", {400}),
        (GET + b"X-Nul: a\x00b\r\n\r\n", {400}),
        (GET + b"No colon\r\n\r\n", {400}),
        (GET.replace(b"\r\n", b"\n") + b"\n", {400}),
        (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, {400}),
        (POST + b"Content-Length: 4\r\nContent-Length: 50\r\n\r\n" + SMUGGLED, {400}),
        (POST + b"Content-Length: -1\r\n\r\n", {400}),
        (POST + b"Content-Length: 4x\r\n\r\n", {400}),
        (FORM + b"Content-Length: " + b"9" * 1000 + b"\r\n\r\n", {400, 413}),
        (POST + b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED, {400, 501}),
        (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + SMUGGLED, {400, 501}),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED, {400}),
        (b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n", {400, 505}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n", {400}),
    ],
    ids=lambda value: repr(value[:70]) if isinstance(value, bytes) else None,
)
def test_a_request_that_is_not_http_is_refused(port, web, request_bytes, statuses):
    answer = ask(port, request_bytes)
    assert answer.status in statuses, answer
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    "chunks",
    [
        b"XYZ\r\nabc\r\n0\r\n\r\n",
        b"-1\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"f" * 10_000 + b"\r\n",
        b"3\r\nabc\r\n0\r\nX-Trailer: " + b"a" * MIB + b"\r\n\r\n",
        b"FFFFFFFFFFFFFFFFFFFF\r\nabc",
    ],
    ids=lambda chunks: repr(chunks[:30]),
)
@pytest.mark.parametrize("where", ["artifact", "json", "prediction"])
def test_a_malformed_chunk_is_refused_and_nothing_is_kept(
    platform, admin_token, port, web, served, where, chunks
):
    run_id = platform.admin.post("/runs", {"experiment_name": "reliability"})["run_id"]
    lines = {
        "artifact": f"PUT /api/v1/ml/lifecycle/runs/{run_id}/artifacts/a",
        "json": "POST /api/v1/ml/lifecycle/experiments",
        "prediction": f"POST /api/v1/ml/lifecycle/serve/{served.model_name}/development/invocations",
    }
    head = (
        f"{lines[where]} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {admin_token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with Client(port) as client:
        client.send([head.encode(), chunks])
        client.sock.shutdown(1)
        answer = client.answer()
    assert (answer.status, b'"code"' in answer.body) == (400, True), answer
    assert platform.admin.get(f"/runs/{run_id}/artifacts")["count"] == 0
