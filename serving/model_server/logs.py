"""The process's log: one JSON object per line on standard error, bounded in size."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from core.sentences import source_of

MAX_LOG_BYTES = 16 << 20


def redirect(path: str) -> None:
    """Send standard output and error, a model's prints included, to the log file."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def line(**fields: Any) -> None:
    """Write one line; a field that is not JSON is written as its text."""
    _write({"at": round(time.time(), 3)} | fields)


def last_line(error: str) -> None:
    """The line a backend reads when a process could not load its model: the source of the sentence."""
    sys.stdout.flush()
    _write({"error": source_of(error)})


def _write(fields: dict[str, Any]) -> None:
    # Not orjson, which has no form for half a surrogate pair, as in a file's name or what a model raised.
    os.write(2, json.dumps(fields, separators=(",", ":"), default=str).encode() + b"\n")


def bound_size(path: str) -> None:
    """Empty a log that outgrew its bound, so that a model that prints cannot fill the disk."""
    if os.stat(path).st_size > MAX_LOG_BYTES:
        os.truncate(path, 0)
        line(level="warning", message=f"The log passed {MAX_LOG_BYTES >> 20} MiB and was emptied.")
