"""The HTTP side of a model process: an ASGI application with predictions, readiness and counters."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import psutil

from serving.model_server import logs
from serving.model_server.batching import Batcher
from serving.model_server.errors import Busy, Invalid, ModelFailed, Refused, TooLarge
from serving.model_server.scoring import Scoring, media_type

RETRY_AFTER_SECONDS = b"1"
BODY_SECONDS = 30.0
PARSE_IN_THREAD_BYTES = (
    256 << 10
)  # above this, reading a body takes milliseconds that /ready should not wait for
DISCARD_FACTOR = 4  # how far beyond its bound a body is read and dropped so that its sender can hear the 413

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ModelApp:
    """Answers POST /invocations, GET /ready and GET /stats."""

    def __init__(
        self, scoring: Scoring, batcher: Batcher, *, max_body_bytes: int, on_out_of_memory: Callable[[], None]
    ) -> None:
        self._scoring = scoring
        self._batcher = batcher
        self._max_body_bytes = max_body_bytes
        self._on_out_of_memory = on_out_of_memory
        self._process = psutil.Process()
        self._started = time.monotonic()
        self._by_status: Counter[int] = Counter()
        self._active = 0
        self.warm = False
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = (scope["method"], scope["path"])
        if route == ("POST", "/invocations"):
            await self._invocations(scope, receive, send)
        elif route == ("GET", "/ready"):
            await self._ready(send)
        elif route == ("GET", "/stats"):
            await _respond(send, 200, orjson.dumps(self.stats()))
        else:
            known = scope["path"] in ("/invocations", "/ready", "/stats")
            await _refuse(
                send, Refused(405 if known else 404, "not_found", "POST /invocations, GET /ready or /stats.")
            )

    def stats(self) -> dict[str, Any]:
        """Counters since the start; errors are the answers of 500 and above."""
        return {
            "queue_depth": self._batcher.queue_depth,
            "waited_seconds": self._batcher.waited_seconds,
            "in_flight": max(0, self._active - self._batcher.queue_depth),
            "requests": self._by_status.total(),
            "errors": sum(count for status, count in self._by_status.items() if status >= 500),
            "rows": self._batcher.rows,
            "batches": self._batcher.batches,
            "memory_bytes": self._process.memory_info().rss,
            "uptime_seconds": round(time.monotonic() - self._started, 3),
            "requests_by_status": {str(status): count for status, count in self._by_status.items()},
        }

    async def _ready(self, send: Send) -> None:
        if self.warm and not self.stopping and not self._batcher.overdue():
            await _respond(send, 200, b'{"status":"ready"}')
        else:
            await _refuse(
                send, Busy("The process is stopping." if self.stopping else "The model is not ready.")
            )

    async def _invocations(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._active += 1
        headers = dict(scope["headers"])
        try:
            answer, rows = await self._predictions(headers, receive)
        except Refused as refused:
            self._by_status[refused.status] += 1
            await _refuse(send, refused)
        except Disconnected:
            self._by_status[499] += (
                1  # the caller left before its request was complete; nobody hears an answer
            )
        except Exception as error:
            self._by_status[500] += 1
            await _refuse(send, self._unexpected(error, headers))
        else:
            self._by_status[200] += 1
            await _respond(send, 200, answer, [(b"x-row-count", b"%d" % rows)])
        finally:
            self._active -= 1

    async def _predictions(self, headers: dict[bytes, bytes], receive: Receive) -> tuple[bytes, int]:
        """The body of the answer, and how many rows were asked for."""
        body = await self._body(headers, receive)  # even for a refusal: a sender cut off would not hear it
        if self.stopping:
            raise Busy("The process is stopping; try again.")
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        media_type(content_type)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(415, "unsupported_media_type", "Send the body without a Content-Encoding.")
        if self._batcher.full:
            raise Busy("Too many requests are waiting; try again shortly.")
        inputs, params = await self._parsed(body, content_type)
        return await self._batcher.submit(inputs, params, _request_id(headers)), inputs.rows

    async def _parsed(self, body: bytes, content_type: str) -> Any:
        if len(body) <= PARSE_IN_THREAD_BYTES:
            return self._scoring.parse(body, content_type)
        return await asyncio.to_thread(self._scoring.parse, body, content_type)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The request's body, never holding more than its bound. Raises TooLarge, Invalid, Disconnected."""
        announced = headers.get(b"content-length", b"")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                if announced.isdigit() and int(announced) > self._max_body_bytes:
                    await self._discard(receive, 0)
                return await self._read(receive)
        except TimeoutError:
            raise Invalid(f"The body did not arrive within {BODY_SECONDS:g} s.") from None

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await _next(receive)
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                await self._discard(receive, size, more=message.get("more_body", False))
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _discard(self, receive: Receive, size: int, *, more: bool = True) -> None:
        """Refuse a body. Some of it is read and dropped: a sender still writing would see a broken pipe, not
        the 413.
        """
        while more and size <= DISCARD_FACTOR * self._max_body_bytes:
            message = await _next(receive)
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        raise TooLarge(f"The body is larger than {self._max_body_bytes} bytes; send fewer rows.")

    def _unexpected(self, error: Exception, headers: dict[bytes, bytes]) -> Refused:
        logs.line(level="error", request_id=_request_id(headers), message=f"{type(error).__name__}: {error}")
        if isinstance(error, MemoryError):
            self._on_out_of_memory()
            return ModelFailed("The model process ran out of memory on this request.")
        return ModelFailed(f"The model process failed on this request: {type(error).__name__}.")


class Disconnected(Exception):
    """The caller went away before its request was complete."""


async def _next(receive: Receive) -> dict[str, Any]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


def _request_id(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"x-request-id", b"").decode("latin-1")[:200]


async def _refuse(send: Send, refused: Refused) -> None:
    extra = []
    if refused.status == 503:
        extra.append((b"retry-after", RETRY_AFTER_SECONDS))
    if refused.status == 413:
        extra.append((b"connection", b"close"))  # the rest of the body is still on its way
    await _respond(
        send, refused.status, orjson.dumps({"code": refused.code, "detail": refused.detail}), extra
    )


async def _respond(
    send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *(extra or [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
