"""Pooled HTTP connections to replicas, over unix sockets and TCP."""

import http.client
import os
import select
import socket
import threading
import time
from collections import deque
from urllib.parse import urlsplit

IDLE_PER_ADDRESS = 32
# Replicas close what was idle for longer; connections of replicas that are gone are dropped by this as well.
IDLE_SECONDS = 5.0


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, socket_path: str) -> None:
        super().__init__("replica")
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)


class Connection:
    """One connection to a replica. `prefix` goes before the path of every request."""

    def __init__(self, address: str) -> None:
        self.http, self.prefix = _open(address)
        self.reused = False
        self.idle_since = 0.0

    def set_timeout(self, seconds: float) -> None:
        self.http.timeout = seconds
        if self.http.sock is not None:
            self.http.sock.settimeout(seconds)

    def usable(self) -> bool:
        """Whether the other side still holds it: the only thing readable on an idle one is its end."""
        sock = self.http.sock
        if sock is None:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self.http.close()


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


def _open(address: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        return UnixConnection(parts.path), ""
    if parts.scheme == "http" and parts.hostname:
        return http.client.HTTPConnection(parts.hostname, parts.port), parts.path.rstrip("/")
    raise ValueError(
        f"{address!r} is not the address of a replica: use unix:///path or http://host:port/prefix."
    )
