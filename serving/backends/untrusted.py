"""Reading what a model process wrote down.

It may run its author's code, so it may have written anything, or put a link or a pipe in place of a file. Here
that becomes an exception or a shorter text, and never a reader that waits, or that runs out of memory or stack.
"""

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from core.sentences import CONVERSION, Source, said

LONGEST_TEXT = 4000  # characters of one sentence or line
LARGEST_NUMBER = 2**53
# Several sentences, with values, which are sentences themselves: ours go no deeper. A message may repeat its
# values, and those theirs, so each further level would multiply how long the text can get.
NESTED = 3
MOST_PARTS = 50
MOST_PLACEHOLDERS = 10


def open_regular(path: Path, *, writable: bool = False) -> BinaryIO:
    """Open a file, but no link, and nothing that one would have to wait for. Raises OSError."""
    access = os.O_RDWR if writable else os.O_RDONLY
    descriptor = os.open(path, access | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return os.fdopen(descriptor, "r+b" if writable else "rb")


def read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """The JSON object in a file. Raises OSError, and ValueError for everything else that is there."""
    with open_regular(path) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes} bytes")
    found = parse(content)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def parse(content: bytes | str) -> Any:
    """JSON whose numbers are finite. Raises ValueError for anything else."""
    try:
        return json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_sentence(written: Any) -> str:
    """The text of what `source_of` gave in the model process, remembering its source unless it is cut.

    Raises ValueError for what is no source of a sentence of ours.
    """
    text = said(_bounded(written, NESTED))
    return text[:LONGEST_TEXT] if len(text) > LONGEST_TEXT else text


def _bounded(source: Any, levels: int) -> Source:
    if isinstance(source, str):
        return source[:LONGEST_TEXT]
    if levels and isinstance(source, list):
        return [_bounded(part, levels - 1) for part in source[:MOST_PARTS]]
    if levels and isinstance(source, dict):
        return _bounded_message(source, levels)
    raise ValueError("no source of a sentence")


def _bounded_message(source: dict[str, Any], levels: int) -> Source:
    message, values = source.get("id"), source.get("values", [])
    if not isinstance(message, str) or source.keys() - {"id", "values"}:
        raise ValueError("no message")
    if not isinstance(values, list | dict) or len(values) > MOST_PARTS:
        raise ValueError("no values of a message")
    if len(CONVERSION.findall(message)) > MOST_PLACEHOLDERS:
        raise ValueError("more placeholders than a message of ours has")
    kept: dict[str, Any] = {"id": message[:LONGEST_TEXT]}
    if "values" not in source:
        return kept
    if isinstance(values, dict):
        return kept | {"values": {name: _bounded_value(value, levels) for name, value in values.items()}}
    return kept | {"values": [_bounded_value(value, levels) for value in values]}


def _bounded_value(value: Any, levels: int) -> Any:
    return number(value) if type(value) in (int, float) else _bounded(value, levels - 1)


def number(value: Any) -> int | float:
    """A number of a reasonable size. Raises ValueError."""
    if type(value) not in (int, float) or not abs(value) <= LARGEST_NUMBER:  # "not <=" is true of NaN too
        raise ValueError("no number of a reasonable size")
    return value  # type: ignore[no-any-return]


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
