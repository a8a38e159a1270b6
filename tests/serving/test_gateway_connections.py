"""The gateway's connections and its choice among replicas, against small HTTP servers."""

import contextlib
import http.server
import json
import os
import shutil
import socket
import socketserver
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving.gateway.balancer import Balancer
from serving.gateway.connections import IDLE_PER_ADDRESS, Pool

BODY = b'{"inputs": [[1.0]]}'


class Replica(http.server.BaseHTTPRequestHandler):
    """Answers what its server's `behave` does with the request."""

    protocol_version = "HTTP/1.1"
    server: "UnixServer"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers.items()), body))
        self.server.behave(self)

    def do_nothing(self) -> None:
        self.close_connection = True

    def answer(self, status: int = 200, body: bytes = b'{"predictions": [1]}', **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, behave: Callable[[Replica], None]) -> None:
        self.behave = behave
        self.seen: list[tuple[str, dict[str, str], bytes]] = []
        self.connections: list[socket.socket] = []
        super().__init__(os.fspath(path), Replica)
        self.address = f"unix://{path}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def get_request(self) -> tuple[socket.socket, object]:
        request, address = super().get_request()
        self.connections.append(request)
        return request, address

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class TcpServer(UnixServer):
    address_family = socket.AF_INET

    def __init__(self, behave: Callable[[Replica], None]) -> None:
        self.behave = behave
        self.seen, self.connections = [], []
        socketserver.TCPServer.__init__(self, ("127.0.0.1", 0), Replica)
        self.address = "http://{}:{}/models/7".format(*self.server_address)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def make_replica() -> Iterator[Callable[..., UnixServer]]:
    directory = Path(tempfile.mkdtemp(prefix="gw-"))
    servers = []

    def make(behave: Callable[[Replica], None] = Replica.answer) -> UnixServer:
        servers.append(UnixServer(directory / str(len(servers)), behave))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def balancer() -> Iterator[Balancer]:
    balancer = Balancer()
    yield balancer
    balancer.close()


def send(
    balancer: Balancer,
    *servers: UnixServer | str,
    timeout: float = 5.0,
    headers: dict[str, str] | None = None,
):
    addresses = [server if isinstance(server, str) else server.address for server in servers]
    return balancer.send(addresses, BODY, headers or {"Content-Type": "application/json"}, timeout)


def test_a_request_reaches_a_replica_on_its_unix_socket(balancer, make_replica):
    replica = make_replica()

    answer = send(balancer, replica, headers={"Content-Type": "application/json", "X-Request-Id": "abc"})

    assert (answer.status, answer.body, answer.address) == (200, b'{"predictions": [1]}', replica.address)
    assert not answer.retried
    ((path, headers, body),) = replica.seen
    assert (path, body, headers["X-Request-Id"]) == ("/invocations", BODY, "abc")


def test_a_request_reaches_a_replica_behind_a_url_with_a_prefix(balancer):
    replica = TcpServer(Replica.answer)
    try:
        assert send(balancer, replica).status == 200
        assert replica.seen[0][0] == "/models/7/invocations"
        assert replica.seen[0][1]["Host"] == replica.address.split("/")[2]
    finally:
        replica.stop()


def test_one_after_the_other_uses_one_connection(balancer, make_replica):
    replica = make_replica()

    for _ in range(5):
        send(balancer, replica)

    assert len(replica.connections) == 1


def test_a_body_in_pieces_is_sent_whole(balancer, make_replica):
    replica = make_replica()

    answer = balancer.send([replica.address], iter([b"one", b"two"]), {}, 5.0)

    assert answer.status == 200
    assert replica.seen[0][2] == b"onetwo"


def test_headers_of_the_connection_are_passed_on_in_neither_direction(balancer, make_replica):
    replica = make_replica(
        lambda handler: handler.answer(
            Connection="close, X-Of-Connection", X_Of_Connection="1", Keep_Alive="timeout=5", X_Model="m"
        )
    )
    sent = {
        "Connection": "upgrade", "Upgrade": "h2c", "TE": "trailers", "Transfer-Encoding": "chunked",
        "Content-Length": "999", "Host": "evil", "Content-Type": "text/csv",
    }  # fmt: skip

    answer = send(balancer, replica, headers=sent)

    received = replica.seen[0][1]
    assert {name.lower() for name in received} == {"host", "content-type", "content-length"}
    assert received["Host"] != "evil"
    names = {name.lower() for name, _ in answer.headers}
    assert "x-model" in names
    assert not names & {"connection", "keep-alive", "x-of-connection", "transfer-encoding"}


def test_a_header_with_a_line_break_is_refused_and_counts_nowhere(balancer, make_replica):
    replica = make_replica()

    with pytest.raises(ValueError, match="Invalid header"):
        send(balancer, replica, headers={"X-Request-Id": "a\r\nX-Evil: 1"})

    assert replica.seen == []
    assert balancer.outstanding(replica.address) == 0
    assert send(balancer, replica).status == 200


def test_an_idle_connection_that_the_replica_closed_is_not_used(balancer, make_replica):
    replica = make_replica()
    send(balancer, replica)
    replica.connections[0].shutdown(socket.SHUT_RDWR)

    answer = send(balancer, replica)

    assert answer.status == 200
    assert not answer.retried
    assert len(replica.connections) == 2


def test_a_kept_connection_that_closes_as_it_is_reused_is_replaced_without_blaming_the_replica(
    balancer, make_replica
):
    def answer_once_a_connection(handler: Replica) -> None:
        if handler.request in served:
            handler.do_nothing()
        else:
            served.append(handler.request)
            handler.answer()

    served: list[socket.socket] = []
    replica = make_replica(answer_once_a_connection)

    answers = [send(balancer, replica) for _ in range(3)]

    assert [(answer.status, answer.retried) for answer in answers] == [(200, False)] * 3


def test_the_replica_with_the_least_under_way_is_chosen(balancer, make_replica):
    release = threading.Event()

    def answer_when_released(handler: Replica) -> None:
        release.wait(5)
        handler.answer()

    busy, free = make_replica(answer_when_released), make_replica()
    waiting = threading.Thread(target=lambda: send(balancer, busy))
    waiting.start()
    while not busy.seen:
        time.sleep(0.01)

    answers = [send(balancer, busy, free) for _ in range(5)]
    release.set()
    waiting.join()

    assert {answer.address for answer in answers} == {free.address}
    assert balancer.outstanding(busy.address) == 0


def test_equals_take_turns(balancer, make_replica):
    first, second = make_replica(), make_replica()

    for _ in range(10):
        send(balancer, first, second)

    assert len(first.seen) == len(second.seen) == 5


def test_a_replica_that_dies_before_answering_is_replaced_by_another_one(balancer, make_replica):
    dying, healthy = make_replica(Replica.do_nothing), make_replica()

    answers = [send(balancer, dying, healthy) for _ in range(6)]

    assert {answer.status for answer in answers} == {200}
    assert {answer.address for answer in answers} == {healthy.address}
    # After its first failure it is passed over for a second rather than tried again and again.
    assert len(dying.seen) == 1
    assert sum(answer.retried for answer in answers) == 1


def test_a_replica_that_dies_in_the_middle_of_its_answer_is_replaced_by_another_one(balancer, make_replica):
    def half_an_answer(handler: Replica) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        handler.close_connection = True

    dying, healthy = make_replica(half_an_answer), make_replica()

    answers = [send(balancer, dying, healthy) for _ in range(2)]

    assert {answer.body for answer in answers} == {b'{"predictions": [1]}'}


def test_an_answer_without_a_known_end_is_not_taken_for_a_whole_one(balancer, make_replica):
    def until_the_connection_ends(handler: Replica) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n{")
        handler.close_connection = True

    assert send(balancer, make_replica(until_the_connection_ends)).status == 503


def test_an_answer_in_chunks_is_read_whole(balancer, make_replica):
    def in_chunks(handler: Replica) -> None:
        handler.wfile.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )

    replica = make_replica(in_chunks)

    answers = [send(balancer, replica) for _ in range(2)]

    assert [answer.body for answer in answers] == [b"abcde"] * 2
    assert len(replica.connections) == 1


def test_chunks_that_end_early_are_not_taken_for_a_whole_answer(balancer, make_replica):
    def half_the_chunks(handler: Replica) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        handler.close_connection = True

    assert send(balancer, make_replica(half_the_chunks)).status == 503


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", id="a chunk shorter than nothing"),
        pytest.param(b"X-Header: ", id="a header"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", id="a trailer"),
    ],
)
def test_what_has_no_end_and_is_no_body_is_given_up_before_it_fills_the_memory(
    balancer, make_replica, beginning
):
    swallowed = []

    def without_end(handler: Replica) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + beginning)
        with contextlib.suppress(OSError):
            for _ in range(64):
                handler.wfile.write(b"x" * 2**20)
                swallowed.append(1)

    assert send(balancer, make_replica(without_end)).status == 503
    assert len(swallowed) < 8


def test_a_body_without_end_is_given_up_at_the_longest_that_is_read(balancer, make_replica, monkeypatch):
    monkeypatch.setattr("serving.gateway.replies.LONGEST_REPLY", 2**20)
    swallowed = []

    def without_end(handler: Replica) -> None:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(64):
                handler.wfile.write(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
                swallowed.append(1)

    assert send(balancer, make_replica(without_end)).status == 502
    assert len(swallowed) < 8


def test_an_interim_answer_is_not_taken_for_the_answer(balancer, make_replica):
    def after_an_interim_one(handler: Replica) -> None:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n")
        handler.answer()

    answer = send(balancer, make_replica(after_an_interim_one))

    assert (answer.status, answer.body) == (200, b'{"predictions": [1]}')
    assert "X-Early" not in dict(answer.headers)


def test_a_second_answer_is_never_given_to_the_next_caller(balancer, make_replica):
    def twice(handler: Replica) -> None:
        handler.answer(body=b"%d" % len(replica.seen))
        time.sleep(0.05)
        with contextlib.suppress(OSError):
            handler.answer(body=b"of somebody else")

    replica = make_replica(twice)
    answers = []
    for _ in range(3):
        answers.append(send(balancer, replica).body)
        time.sleep(0.1)

    assert answers == [b"1", b"2", b"3"]


def test_an_answer_that_is_not_http_is_tried_at_another_replica(balancer, make_replica):
    talking, healthy = make_replica(lambda handler: handler.wfile.write(b"hello\r\n")), make_replica()

    answers = [send(balancer, talking, healthy) for _ in range(2)]

    assert {answer.body for answer in answers} == {b'{"predictions": [1]}'}


def test_a_socket_nobody_listens_on_is_refused_and_another_replica_answers(balancer, make_replica):
    healthy = make_replica()
    gone = "unix:///nowhere/s"

    answers = [send(balancer, gone, healthy) for _ in range(2)]

    assert {answer.status for answer in answers} == {200}


def test_however_many_replicas_are_gone_the_one_that_is_left_answers(make_replica):
    healthy = make_replica()
    gone = [f"unix:///nowhere/{number}" for number in range(4)]

    answers = [send(Balancer(), *gone, healthy) for _ in range(5)]

    assert {answer.status for answer in answers} == {200}


def test_the_last_replica_is_tried_even_if_it_just_refused(balancer, make_replica):
    replica = make_replica(Replica.do_nothing)
    assert send(balancer, replica).status == 503
    replica.behave = Replica.answer

    assert send(balancer, replica).status == 200


def test_a_replica_that_answers_again_is_preferred_to_one_that_has_just_died(balancer, make_replica):
    recovered, dying = make_replica(Replica.do_nothing), make_replica()
    send(balancer, recovered)
    recovered.behave, dying.behave = Replica.answer, Replica.do_nothing

    for _ in range(10):
        assert send(balancer, recovered, dying).status == 200

    assert len(dying.seen) <= 2


def test_a_request_is_sent_to_two_replicas_at_most(balancer, make_replica):
    replicas = [make_replica(Replica.do_nothing) for _ in range(3)]

    answer = send(balancer, *replicas)

    assert answer.status == 503
    assert answer.retried
    assert sum(len(replica.seen) for replica in replicas) == 2


def test_a_request_that_kills_replicas_with_kept_connections_kills_two_at_most(balancer, make_replica):
    replicas = [make_replica() for _ in range(4)]

    def die(handler: Replica) -> None:
        os.unlink(handler.server.server_address)
        handler.do_nothing()

    for replica in replicas:
        send(balancer, replica)
        replica.seen.clear()
        replica.behave = die

    assert send(balancer, *replicas).status == 503
    assert sorted(len(replica.seen) for replica in replicas) == [0, 0, 1, 1]


def test_without_a_replica_the_answer_is_503_and_says_when_to_come_back(balancer):
    answer = send(balancer)

    assert (answer.status, answer.address) == (503, "")
    assert ("Retry-After", "1") in answer.headers
    assert json.loads(answer.body)["code"] == "unavailable"


def test_a_full_queue_is_answered_by_another_replica(balancer, make_replica):
    full, free = make_replica(lambda handler: handler.answer(503, Retry_After="1")), make_replica()

    answers = [send(balancer, full, free) for _ in range(2)]

    assert {answer.status for answer in answers} == {200}


def test_when_every_queue_is_full_the_replicas_own_answer_is_passed_back(balancer, make_replica):
    full = make_replica(lambda handler: handler.answer(503, b'{"code": "queue_full"}', Retry_After="2"))

    answer = send(balancer, full)

    assert (answer.status, answer.body) == (503, b'{"code": "queue_full"}')
    assert ("Retry-After", "2") in answer.headers


def test_a_models_error_is_passed_back_and_not_tried_again(balancer, make_replica):
    replicas = [
        make_replica(lambda handler: handler.answer(500, b'{"code": "model_error"}')) for _ in range(2)
    ]

    answer = send(balancer, *replicas)

    assert (answer.status, answer.retried) == (500, False)
    assert sum(len(replica.seen) for replica in replicas) == 1


def test_a_replica_that_stays_silent_is_a_504_and_its_connection_is_not_used_again(balancer, make_replica):
    def too_late(handler: Replica) -> None:
        time.sleep(0.3)
        with contextlib.suppress(BrokenPipeError):
            handler.answer(body=b"late")

    replica = make_replica(too_late)

    assert send(balancer, replica, timeout=0.1).status == 504
    replica.behave = Replica.answer

    assert send(balancer, replica).body == b'{"predictions": [1]}'


def test_an_answer_too_large_for_the_gateway_is_refused(balancer, make_replica, monkeypatch):
    monkeypatch.setattr("serving.gateway.replies.LONGEST_REPLY", 10)

    assert send(balancer, make_replica()).status == 502


@pytest.mark.parametrize("address", ["ftp://host/x", "unixx:///s", "http:///nohost", "/s"])
def test_an_address_of_another_kind_is_an_error_of_the_caller(balancer, address):
    with pytest.raises(ValueError, match="not the address of a replica"):
        send(balancer, address)


def test_idle_connections_are_bounded_and_those_of_gone_replicas_are_dropped(make_replica, monkeypatch):
    pool, replica = Pool(), make_replica()
    connections = [pool.take(replica.address) for _ in range(IDLE_PER_ADDRESS + 5)]
    for connection in connections:
        connection.connect(1.0)
        pool.give_back(replica.address, connection)
    assert sum(connection.usable() for connection in connections) == IDLE_PER_ADDRESS

    monkeypatch.setattr("serving.gateway.connections.IDLE_SECONDS", 0.05)
    time.sleep(0.1)
    other = make_replica()
    last = pool.take(other.address)
    last.connect(1.0)
    pool.give_back(other.address, last)

    assert not any(connection.usable() for connection in connections)
    assert last.usable()
    pool.close()


def test_a_forked_process_starts_with_connections_of_its_own(make_replica):
    pool, replica = Pool(), make_replica()
    connection = pool.take(replica.address)
    connection.connect(1.0)
    pool.give_back(replica.address, connection)

    child = os.fork()
    if child == 0:
        os._exit(int(pool.take(replica.address).reused))
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert pool.take(replica.address).reused
    pool.close()


def test_many_threads_lose_no_count(balancer, make_replica):
    first, second = make_replica(), make_replica()
    statuses = []

    def load() -> None:
        for _ in range(50):
            statuses.append(send(balancer, first, second).status)

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 400
    assert balancer.outstanding(first.address) == balancer.outstanding(second.address) == 0
