"""A check's report on its way from the model process, which is not trusted, to whoever asked for the check."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.sentences import source_of
from serving.backends.base import CheckReport
from serving.backends.untrusted import number, read_object, read_sentence

REPORT_BYTES = 4 * 2**20
LOG_LINES = 200
LONGEST_FORMAT = 50  # what a model version's column holds of a flavour
LONGEST_PACKAGE = 100
MOST_PACKAGES = 200
# Arrays of objects of arrays in a signature, the dimensions of a tensor in a prediction: all are far below.
DEEPEST_JSON = 50


def to_json(report: CheckReport) -> str:
    """The report as a model process writes it; sentences go as their sources."""
    fields = dataclasses.asdict(report)
    fields |= {"error": source_of(report.error), "log": [source_of(line) for line in report.log]}
    # Not orjson, which has no form for half a surrogate pair, as in a file's name. `default`: a signature
    # written as YAML may hold dates.
    return json.dumps(fields, separators=(",", ":"), default=str, skipkeys=True)


def read_report(path: Path) -> CheckReport | None:
    """What the process found out; None if it wrote nothing. Raises ValueError for what is no report."""
    try:
        found = read_object(path, REPORT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"no file that could be read: {error}") from error
    if found.keys() != READERS.keys():
        raise ValueError("other fields than a report has")
    return CheckReport(**{name: read(found[name]) for name, read in READERS.items()})


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


def _quantity(value: Any) -> int | float:
    if number(value) < 0:
        raise ValueError("a quantity below zero")
    return number(value)


def _name(value: Any, longest: int = LONGEST_FORMAT) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError("no name")
    return _storable(value)


def _packages(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("no list of packages")
    return [_name(item, LONGEST_PACKAGE) for item in value[:MOST_PACKAGES]]


def _lines(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("no list of lines")
    return [read_sentence(line) for line in value[:LOG_LINES]]


def _signature(value: Any) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise ValueError("no signature")
    for text in _texts(value):
        _storable(text)
    return value


def _prediction(value: Any) -> Any:
    for _ in _texts(value):
        pass  # it may say anything, if only it is not too deep
    return value


def _texts(value: Any, levels: int = DEEPEST_JSON) -> Iterator[str]:
    """Every text in it, names included. Raises ValueError where it is deeper than a reader's stack can bear."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        if not levels:
            raise ValueError("nested too deeply")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(item, levels - 1)


def _storable(text: str) -> str:
    """A text that every database can keep: PostgreSQL takes no NUL and no half surrogate pair."""
    if "\0" in text:
        raise ValueError("a NUL")
    text.encode()  # UnicodeEncodeError is a ValueError
    return text


READERS: dict[str, Callable[[Any], Any]] = {
    "ok": _truth,
    "error": read_sentence,
    "flavor": _name,
    "format": _name,
    "executes_code": _truth,
    "signature": _signature,
    "missing_packages": _packages,
    "prediction": _prediction,
    "load_seconds": _quantity,
    "predict_ms": _quantity,
    "memory_bytes": _quantity,
    "log": _lines,
}
