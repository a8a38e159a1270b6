"""The web server's worker: gunicorn's threads, and a loop that keeps slow clients out of them.

Gunicorn gives a connection to a thread before its request has come, reads it there without a limit of time, and
waits in its only loop for a client to close. So as many clients as there are threads, each sending a byte now and
then, stop everything. Here the loop reads the head of a request and a short body, and a thread gets only what has
arrived. Long bodies are read in threads, by half of them at most, and not below a least rate.
"""

import errno
import re
import socket
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

READ_BYTES = 64 * 1024
LARGEST_HEAD_BYTES = 64 * 1024
SHORT_BODY_BYTES = 256 * 1024
HEAD_SECONDS = 10.0
# As Apache's mod_reqtimeout has it: a body may take 20 s, and longer while it brings 500 bytes a second.
BODY_SECONDS = 20.0
LEAST_BYTES_A_SECOND = 500
# What one write may wait for a client that reads nothing.
SEND_SECONDS = 60.0
# A client that was answered before it sent everything may read the answer this long (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024
# Who says nothing must make room this soon once there are as many connections as there may be.
CROWDED_SECONDS = 1.0
SWEEP_SECONDS = 0.5

END_OF_HEAD = re.compile(rb"\n\r?\n")
# Of a head in small letters: looking for any letters takes several times as long.
CONTENT_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r?\n")
LENGTH_UNKNOWN = re.compile(rb"\n(?:transfer-encoding|expect):")


class Arrival:
    """A request on its way, read by the loop. Gunicorn's parser has the last word about what the bytes mean;
    here they only tell when it is worth a thread.
    """

    def __init__(self, conn: TConn, received: bytes):
        self.conn = conn
        self.received = bytearray()
        self.since = time.monotonic()
        self.needed = 0  # bytes of the head and of a short body, once the head is there
        self.has_long_body = False
        self.take(received)

    def take(self, data: bytes) -> None:
        before = len(self.received)
        self.received += data
        if not self.needed and (end := END_OF_HEAD.search(self.received, max(0, before - 3))):
            self._read_head(end.end())

    def _read_head(self, end: int) -> None:
        head = bytes(self.received[:end]).lower()
        length = CONTENT_LENGTH.search(head)
        body = int(length[1]) if length else 0
        self.has_long_body = body > SHORT_BODY_BYTES or bool(LENGTH_UNKNOWN.search(head))
        self.needed = end if self.has_long_body else end + body
        self.since = time.monotonic()

    @property
    def is_complete(self) -> bool:
        return 0 < self.needed <= len(self.received)

    def is_idle(self, seconds: float) -> bool:
        """Whether so much time passed without even the head of a request."""
        return not self.needed and time.monotonic() - self.since >= seconds

    @property
    def seconds_left(self) -> float:
        return self.since + (BODY_SECONDS if self.needed else HEAD_SECONDS) - time.monotonic()


class PacedReader(SocketUnreader):
    """Reads the rest of a body in a thread. A client that is too slow is one whose connection broke."""

    def begin(self, received: bytes) -> None:
        """A new request, of which `received` is there already."""
        self._waited, self._bytes = 0.0, len(received)
        self.unread(received)

    def chunk(self, size_hint: int | None = None) -> bytes:
        usual = self.sock.gettimeout()
        left = BODY_SECONDS + self._bytes / LEAST_BYTES_A_SECOND - self._waited
        started = time.monotonic()
        try:
            self.sock.settimeout(max(0.001, left if usual is None else min(left, usual)))
            data = super().chunk(size_hint)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "The client was too slow.") from error
        finally:
            self._waited += time.monotonic() - started
            self.sock.settimeout(usual)
        self._bytes += len(data)
        return data


class BodyReader:
    """Gunicorn's reader of a body; malformed chunks are the OSError that WSGI applications know."""

    def __init__(self, reader: Any):
        self._reader = reader

    def read(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except ParseException as error:
            raise OSError(errno.EBADMSG, f"The body is malformed: {error}") from error


class Connection(TConn):
    """A connection that the worker's loop closes, once the client has read its answer."""

    worker: "PatientWorker"
    discarded = 0  # bytes that came after it was to be closed

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.worker.linger(self)
        else:
            super().close()


class PatientWorker(ThreadWorker):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._arriving: dict[TConn, Arrival] = {}
        self._waiting: deque[Arrival] = deque()  # for a thread that may read a long body
        self._reading: set[TConn] = set()
        self._leaving: dict[TConn, float] = {}
        self._next_sweep = 0.0

    # -- a connection comes ----------------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        conn = Connection(self.cfg, client, address, listener.getsockname())
        conn.worker = self
        self.enqueue_req(conn)

    def enqueue_req(self, conn: TConn) -> None:
        """Called by gunicorn for each request of a connection: wait for it before it gets a thread."""
        conn.sock.setblocking(False)
        arrival = Arrival(conn, conn.parser.unreader.take_buffered() if conn.parser else b"")
        if not self._advance(arrival):
            self._arriving[conn] = arrival
            self.poller.register(conn.sock, EVENT_READ, partial(self._go_on, arrival))

    def _go_on(self, arrival: Arrival, _sock: socket.socket) -> None:
        if arrival.conn in self._arriving:
            self._advance(arrival)

    def _advance(self, arrival: Arrival) -> bool:
        """Read what is there; whether the wait for this request is over."""
        conn, ended = arrival.conn, False
        try:
            data = conn.sock.recv(READ_BYTES)
            ended = not data
            arrival.take(data)
        except BlockingIOError:
            pass
        except OSError:
            ended = True
        if arrival.is_complete or (ended and arrival.needed):
            self._start(arrival)
        elif ended:
            self._end(conn)
        elif not arrival.needed and len(arrival.received) > LARGEST_HEAD_BYTES:
            self._refuse(conn, 431, "Request Header Fields Too Large", "The head is over 64 KiB.")
        else:
            return False
        return True

    # -- a request has arrived -------------------------------------------------------------------------------

    def _start(self, arrival: Arrival) -> None:
        self._forget(arrival.conn)
        if arrival.has_long_body and len(self._reading) >= max(1, self.cfg.threads // 2):
            self._waiting.append(arrival)
        else:
            self._hand_over(arrival)

    def _hand_over(self, arrival: Arrival) -> None:
        conn = arrival.conn
        if arrival.has_long_body:
            self._reading.add(conn)
        conn.init()
        if not isinstance(conn.parser.unreader, PacedReader):
            conn.parser.unreader = PacedReader(conn.sock)
        conn.parser.unreader.begin(bytes(arrival.received))
        conn.data_ready = True
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """In a thread. Errors of a client that reads nothing are those of one that has gone."""
        conn.sock.settimeout(SEND_SECONDS)
        req.body.reader = BodyReader(req.body.reader)
        try:
            return super().handle_request(req, conn)
        except TimeoutError as error:
            raise ConnectionResetError(errno.ECONNRESET, "The client read nothing.") from error

    def finish_request(self, conn: TConn, fs: "Future[Any]") -> None:
        self._reading.discard(conn)
        if self._waiting:
            self._start(self._waiting.popleft())
        super().finish_request(conn, fs)

    # -- a connection goes -----------------------------------------------------------------------------------

    def linger(self, conn: Connection) -> None:
        """Close the connection once the client has read what it was sent, or soon."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            conn.close()
            return
        self.nr_conns += 1
        self._leaving[conn] = time.monotonic() + LINGER_SECONDS
        self.poller.register(conn.sock, EVENT_READ, partial(self._discard, conn))

    def _discard(self, conn: Connection, _sock: socket.socket) -> None:
        if conn not in self._leaving:
            return
        try:
            data = conn.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        conn.discarded += len(data)
        if not data or conn.discarded > LINGER_BYTES:
            self._end(conn)

    def _refuse(self, conn: TConn, status: int, reason: str, message: str) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        try:
            util.write_error(conn.sock, status, reason, message)
        except OSError:
            conn.close()
        else:
            self.linger(conn)

    def _end(self, conn: TConn) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: TConn) -> None:
        """The loop listens to it no more."""
        if conn not in self._arriving and conn not in self._leaving:
            return  # most requests are here whole at the first look
        self._arriving.pop(conn, None)
        self._leaving.pop(conn, None)
        with suppress(KeyError, ValueError):
            self.poller.unregister(conn.sock)

    # -- time passes -----------------------------------------------------------------------------------------

    def murder_pending(self) -> None:
        """Called by gunicorn after every turn of the loop: close what has had its time."""
        now = time.monotonic()
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_SECONDS
        if self.nr_conns >= self.worker_connections:
            self._make_room()
        for arrival in list(self._arriving.values()):
            if arrival.seconds_left <= 0 or (not self.alive and arrival.is_idle(LINGER_SECONDS)):
                self._give_up(arrival)
        for conn in [conn for conn, until in self._leaving.items() if until <= now]:
            self._end(conn)
        while self._waiting and self._waiting[0].seconds_left <= 0:
            busy = "Too many large bodies are being read. Try again in a moment."
            self._refuse(self._waiting.popleft().conn, 503, "Service Unavailable", busy)

    def _give_up(self, arrival: Arrival) -> None:
        if arrival.received:
            self._refuse(arrival.conn, 408, "Request Timeout", "The request took too long to arrive.")
        else:
            self._end(arrival.conn)

    def _make_room(self) -> None:
        """Close whoever says nothing: kept connections, and new ones without a request."""
        self.murder_keepalived(force=True)
        for arrival in list(self._arriving.values()):
            if arrival.is_idle(CROWDED_SECONDS):
                self._end(arrival.conn)
