"""HTTP as bytes on a socket: what no well-behaved client library would send."""

import http.client
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when the connection was closed without an answer."""

    status: int
    body: bytes


class Client:
    """One connection."""

    def __init__(self, port: int, *, timeout: float = 20.0):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.sock.close()

    def send(self, pieces: Iterable[bytes]) -> int:
        """Send until all is sent or the other side has had enough; returns how many bytes went out."""
        sent = 0
        with suppress(OSError):
            for piece in pieces:
                self.sock.sendall(piece)
                sent += len(piece)
        return sent

    def answer(self) -> Answer:
        response = http.client.HTTPResponse(self.sock)
        try:
            response.begin()
            return Answer(response.status, response.read())
        except (ConnectionError, http.client.HTTPException):
            return Answer(0, b"")

    def is_closed(self) -> bool:
        """Whether the server has hung up, once everything it said has been read."""
        self.sock.setblocking(False)
        try:
            while self.sock.recv(65536):
                pass
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True


def ask(port: int, *pieces: bytes, timeout: float = 20.0) -> Answer:
    """Send bytes on a connection of their own, and read one answer."""
    with Client(port, timeout=timeout) as client:
        client.send(pieces)
        return client.answer()


def get(port: int, path: str, *headers: str) -> tuple[Answer, float]:
    """A plain GET, and the seconds it took."""
    started = time.monotonic()
    head = "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""])
    return ask(port, head.encode()), time.monotonic() - started
