"""Pooled HTTP connections to replicas, over unix sockets and TCP."""

import os
import re
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from serving.gateway.replies import Malformed, Reply

IDLE_PER_ADDRESS = 32
# Replicas close what was idle for longer; connections of replicas that are gone are dropped by this as well.
IDLE_SECONDS = 5.0
PIECE = 2**16
# RFC 9110 5.5 and 5.6.2.
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [^\r\n\0]*")


class Unreachable(Exception):
    """The replica refused the connection: it has not seen the request."""


class Connection:
    """One connection to a replica, for one request at a time."""

    def __init__(self, address: str) -> None:
        self._address = _parts(address)
        self._socket: socket.socket | None = None
        self.reused = False
        self.idle_since = 0.0

    def connect(self, timeout: float) -> socket.socket:
        """The open socket. Raises Unreachable and TimeoutError."""
        if self._socket is None:
            try:
                self._socket = _connected(self._address, timeout)
            except TimeoutError:
                raise
            except OSError as error:
                raise Unreachable(f"{self._address.geturl()}: {error}") from error
        self._socket.settimeout(timeout)
        return self._socket

    def post(self, path: str, headers: Iterable[tuple[str, str]], body: bytes, timeout: float) -> Reply:
        """The whole answer to one request; the replica may be silent for `timeout` seconds.

        Raises Unreachable, TimeoutError, other OSErrors, Malformed and TooLong; ValueError for a header that is
        not one.
        """
        head = self._head(path, headers, len(body))
        connected = self.connect(timeout)
        # Together, since a replica that is woken for the head alone has nothing to do yet.
        connected.sendall(head + body)
        reply = Reply()
        while not reply.complete:
            data = connected.recv(PIECE)
            if not data:
                raise Malformed("the connection ended before the answer did")
            reply.feed(data)
        return reply

    def usable(self) -> bool:
        """Whether the other side still holds it: the only thing readable on an idle one is its end."""
        if self._socket is None:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _head(self, path: str, headers: Iterable[tuple[str, str]], length: int) -> bytes:
        host = self._address.netloc or "replica"
        prefix = self._address.path.rstrip("/") if self._address.netloc else ""
        lines = [
            f"Host: {host}",
            f"Content-Length: {length}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        if wrong := [line for line in lines if not HEADER.fullmatch(line)]:
            raise ValueError(f"Invalid header: {wrong[0]!r}")
        return "\r\n".join((f"POST {prefix}{path} HTTP/1.1", *lines, "\r\n")).encode("latin-1")


class Pool:
    """Idle connections by address, the most recently used first. Safe in threads and after a fork."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[Connection]] = {}
        self._lock = threading.Lock()
        self._swept = time.monotonic()
        self._pid = os.getpid()

    def take(self, address: str, *, fresh: bool = False) -> Connection:
        """A connection nobody else uses; a new one is not connected yet.

        Raises ValueError for an unknown scheme.
        """
        while not fresh:
            with self._lock:
                self._forget_after_fork()
                idle = self._idle.get(address)
                connection = idle.pop() if idle else None
            if connection is None:
                break
            if connection.usable():
                connection.reused = True
                return connection
            connection.close()
        return Connection(address)

    def give_back(self, address: str, connection: Connection) -> None:
        """Keep it for the next request; only after its answer was read whole."""
        connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(address, deque())
            idle.append(connection)
            surplus = [idle.popleft()] if len(idle) > IDLE_PER_ADDRESS else []
            if connection.idle_since - self._swept > IDLE_SECONDS:
                surplus += self._sweep(connection.idle_since)
        for old in surplus:
            old.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _sweep(self, now: float) -> list[Connection]:
        """Take out what was idle for too long, so that replicas that are gone leave no descriptors behind."""
        self._swept = now
        old = []
        for address, idle in list(self._idle.items()):
            while idle and now - idle[0].idle_since > IDLE_SECONDS:
                old.append(idle.popleft())
            if not idle:
                del self._idle[address]
        return old

    def _forget_after_fork(self) -> None:
        """Two processes must not share a connection: a child starts with none."""
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), {}


def _parts(address: str) -> SplitResult:
    parts = urlsplit(address)
    if parts.scheme == "unix" or (parts.scheme == "http" and parts.hostname):
        return parts
    raise ValueError(
        f"{address!r} is not the address of a replica: use unix:///path or http://host:port/prefix."
    )


def _connected(address: SplitResult, timeout: float) -> socket.socket:
    if address.scheme == "http":
        return socket.create_connection((address.hostname, address.port or 80), timeout)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeout)
        opened.connect(address.path)
    except BaseException:
        opened.close()
        raise
    return opened
