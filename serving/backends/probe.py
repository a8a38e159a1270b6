"""Asking a replica over its unix socket whether it is ready and what it counts."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROBE_TIMEOUT_SECONDS = 2.0
LONGEST_ANSWER = 2**20
COUNTERS = ("queue_depth", "in_flight", "requests", "errors")
# Far above what any process counts, and small enough for a database's column.
LARGEST_COUNT = 2**53


@dataclass(frozen=True)
class Observation:
    """What one probe saw. `answered` is false when the replica said nothing in time."""

    answered: bool
    ready: bool = False
    stats: dict[str, int] = field(default_factory=dict)
    waited_seconds: float = 0.0  # what all its requests have waited so far, together


async def probe(socket_path: Path, *, timeout_seconds: float = PROBE_TIMEOUT_SECONDS) -> Observation:
    """GET /ready, and /stats when it is ready, within `timeout_seconds` in all.

    Never raises for a sick replica.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            status, _ = await _get(socket_path, "/ready")
            if status != 200:
                return Observation(answered=True)
            _, stats = await _get(socket_path, "/stats")
            return _ready(json.loads(stats))
    except (OSError, TimeoutError, EOFError, ValueError, RecursionError):
        return Observation(answered=False)


def _ready(stats: Any) -> Observation:
    """The counters we use, as numbers whatever the model in that process made of them. Raises ValueError."""
    try:
        counters = {name: int(stats[name]) for name in COUNTERS}
        waited_seconds = float(stats["waited_seconds"])
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"/stats without usable counters: {error}") from error
    if not all(0 <= number <= LARGEST_COUNT for number in (*counters.values(), waited_seconds)):
        raise ValueError("/stats with a counter that cannot be")
    return Observation(answered=True, ready=True, stats=counters, waited_seconds=waited_seconds)


async def _get(socket_path: Path, path: str) -> tuple[int, bytes]:
    """Status and body. Raises OSError, EOFError or ValueError for whatever is not an HTTP answer."""
    reader, writer = await asyncio.open_unix_connection(socket_path, limit=LONGEST_ANSWER)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: replica\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = _content_length(head)
        body = await reader.readexactly(length)
        return int(head.split(" ", 2)[1]), body
    except (asyncio.LimitOverrunError, IndexError) as error:
        raise ValueError(f"not an HTTP answer: {error}") from error
    finally:
        writer.close()


def _content_length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length" and int(value) <= LONGEST_ANSWER:
            return int(value)
    raise ValueError("an answer without a Content-Length below a mebibyte")
