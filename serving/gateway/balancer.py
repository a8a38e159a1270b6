"""Sending a request to the replica with the least to do, and to another one when that replica dies."""

import itertools
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from serving.gateway.connections import Connection, Pool, Unreachable
from serving.gateway.replies import Malformed, TooLong

INVOCATIONS = "/invocations"
RETRY_AFTER_SECONDS = 1
MOST_SENDINGS = 2
# A replica that refused or died is passed over for as long as routes may still name it.
REST_SECONDS = 1.0
# One with a full queue says so fast and so has nothing under way: it would look like the best one.
BUSY_REST_SECONDS = 0.1

# RFC 9110 7.6.1, and what belongs to this connection rather than to the request.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
     "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
NOT_SENT_ON = HOP_BY_HOP | {"host", "content-length", "expect", "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `address` is "" and the status 503 or 504 when no replica answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    address: str
    retried: bool


class Gone(Exception):
    """The replica died before its answer was complete."""


class Balancer:
    """Keeps count of the requests under way per replica. One per process, shared by its threads."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._lock = threading.Lock()
        self._outstanding: dict[str, int] = {}
        self._resting_until: dict[str, float] = {}
        self._turn = itertools.count()

    def send(
        self,
        addresses: Sequence[str],
        body: bytes | Iterable[bytes],
        headers: Mapping[str, str],
        timeout: float,
        *,
        path: str = INVOCATIONS,
    ) -> Answer:
        """POST `body` to one of `addresses`; `timeout` is how many seconds a replica may stay silent.

        A prediction changes nothing, so it is sent once more, to another replica, when the first one dies or
        answers 503 because its queue is full; not more often, since it may be this request that kills them.
        Replicas that refuse the connection are passed over, however many. An iterable is read whole first:
        bound its size before. 503 with Retry-After when nobody is left, 504 when the replica stays silent.
        Raises ValueError for a header that is not one.
        """
        content = body if isinstance(body, bytes) else b"".join(body)
        sent_headers = _sent_on(headers)
        tried: list[str] = []
        sendings = 0
        answer: Answer | None = None
        while sendings < MOST_SENDINGS and (address := self._choose(addresses, tried)):
            tried.append(address)
            try:
                answer = self._send_to(address, path, content, sent_headers, timeout, retried=len(tried) > 1)
            except Unreachable:
                self._rest(address, REST_SECONDS)
                continue
            except Gone:
                self._rest(address, REST_SECONDS)
                sendings += 1
                continue
            except TimeoutError:
                return _own_answer(
                    504, "timeout", "The model did not answer in time.", retried=len(tried) > 1
                )
            if answer.status != 503:
                self._recovered(address)
                return answer
            self._rest(address, BUSY_REST_SECONDS)
            sendings += 1
        return answer or _own_answer(
            503,
            "unavailable",
            "No replica of this model can answer now. Try again in a moment.",
            retried=len(tried) > 1,
        )

    def outstanding(self, address: str) -> int:
        """Requests this process has under way there."""
        return self._outstanding.get(address, 0)

    def close(self) -> None:
        self._pool.close()

    def _choose(self, addresses: Sequence[str], tried: list[str]) -> str | None:
        """The one with the least under way, in turns among equals; one that just refused only as the last."""
        now, turn = time.monotonic(), next(self._turn)
        best, best_rank = None, (2, 0, 0)
        with self._lock:
            for index, address in enumerate(addresses):
                if address in tried:
                    continue
                resting = self._resting_until.get(address, 0.0) > now
                rank = (int(resting), self._outstanding.get(address, 0), (index + turn) % len(addresses))
                if rank < best_rank:
                    best, best_rank = address, rank
            if best is not None:
                self._outstanding[best] = self._outstanding.get(best, 0) + 1
        return best

    def _send_to(
        self,
        address: str,
        path: str,
        body: bytes,
        headers: list[tuple[str, str]],
        timeout: float,
        *,
        retried: bool,
    ) -> Answer:
        try:
            connection = self._pool.take(address)
            try:
                return self._exchange(connection, address, path, body, headers, timeout, retried)
            except Gone:
                if not connection.reused:
                    raise
            # A kept connection may have been closed in the moment of its reuse; that says nothing about the
            # replica.
            connection = self._pool.take(address, fresh=True)
            try:
                return self._exchange(connection, address, path, body, headers, timeout, retried)
            except Unreachable as error:
                # It closed the kept connection because it died, perhaps of this request.
                raise Gone(str(error)) from error
        finally:
            self._done(address)

    def _exchange(
        self,
        connection: Connection,
        address: str,
        path: str,
        body: bytes,
        headers: list[tuple[str, str]],
        timeout: float,
        retried: bool,
    ) -> Answer:
        keep = False
        try:
            reply = connection.post(path, headers, body, timeout)
            keep = reply.reusable
            return Answer(reply.status, _passed_back(reply.headers), reply.body, address, retried)
        except TooLong:
            return _own_answer(
                502, "answer_too_large", "The model's answer is larger than 64 MiB.", retried=retried
            )
        except TimeoutError:
            raise
        except (OSError, Malformed) as error:
            raise Gone(f"{address}: {error}") from error
        finally:
            if keep:
                self._pool.give_back(address, connection)
            else:
                connection.close()

    def _done(self, address: str) -> None:
        with self._lock:
            left = self._outstanding[address] - 1
            if left:
                self._outstanding[address] = left
            else:
                del self._outstanding[address]

    def _recovered(self, address: str) -> None:
        if address in self._resting_until:
            with self._lock:
                self._resting_until.pop(address, None)

    def _rest(self, address: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            for old in [known for known, until in self._resting_until.items() if until < now]:
                del self._resting_until[old]
            self._resting_until[address] = now + seconds


def _sent_on(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name.lower() not in NOT_SENT_ON]


def _passed_back(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    named = {
        name.strip().lower()
        for key, value in headers
        if key.lower() == "connection"
        for name in value.split(",")
    }
    return [
        (name, value)
        for name, value in headers
        if name.lower() not in HOP_BY_HOP and name.lower() not in named
    ]


def _own_answer(status: int, code: str, detail: str, *, retried: bool) -> Answer:
    headers = [("Content-Type", "application/json")]
    if status == 503:
        headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    return Answer(status, headers, json.dumps({"code": code, "detail": detail}).encode(), "", retried)
