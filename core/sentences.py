"""Sentences for people that can be said again in another language. Plain Python: model processes use it too.

What a worker or an agent writes down (why a deployment failed, what an alert says) is read later, by people of
several languages. So such a text remembers the message it was made from and the values in it, and both are
kept; the language is chosen when it is read. See ADR 13.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

# {"id": message, "values": a list, a mapping or absent}, a plain text, or a list of these.
Source = str | dict[str, Any] | list[Any]

# What our messages are made of: %s, %d, %(name)s, %.1f, %%. A width could ask for gigabytes of blanks.
CONVERSION = re.compile(r"%(?:%|(?:\(\w+\))?(?:\.\d)?[sdfg])")


class Sentence(str):
    """A text, and what to make it from again: `source` is JSON of the message and its values."""

    source: Source

    def __new__(cls, text: str, source: Source) -> Sentence:
        self = super().__new__(cls, text)
        self.source = source
        return self

    def __getnewargs__(self) -> tuple[str, Source]:  # type: ignore[override]
        return str(self), self.source

    def __mod__(self, values: Any) -> Sentence:
        """Fill the placeholders in. Values that are sentences are translated with it."""
        if not isinstance(self.source, dict) or "values" in self.source:
            raise TypeError("This sentence has its values already.")
        return Sentence(super().__mod__(values), {"id": self.source["id"], "values": _kept(values)})


def sentence(message: str) -> Sentence:
    """A message as it is written, for code that runs without a language."""
    return Sentence(message, {"id": message})


def joined(parts: Iterable[str]) -> Sentence:
    """Several sentences in a row; empty ones are left out."""
    parts = [part for part in parts if part]
    return Sentence(" ".join(parts), [source_of(part) for part in parts])


def source_of(text: str) -> Source:
    """What to keep of a text: a plain one is its own source."""
    return text.source if isinstance(text, Sentence) else str(text)


def said(source: Source, translate: Callable[[str], str] = str) -> str:
    """The text made from `source`, its messages passed through `translate`.

    A source may come from a model process, which is not trusted: one that is no source becomes the text that it
    looks like, and a message with other placeholders than ours is shown as it is.
    """
    if isinstance(source, list):
        return Sentence(" ".join(said(part, translate) for part in source), source)
    if not (isinstance(source, dict) and isinstance(source.get("id"), str)):
        return str(source)
    message = translate(source["id"])
    if "values" not in source:
        return Sentence(message, source)
    try:
        return Sentence(_filled(message, source["values"], translate), source)
    except (TypeError, ValueError, KeyError, OverflowError):
        return Sentence(message, source)


def _filled(message: str, values: Any, translate: Callable[[str], str]) -> str:
    if "%" in CONVERSION.sub("", message):
        raise ValueError("The message has a placeholder that is not one of ours.")
    if isinstance(values, dict):
        return message % {name: _value(value, translate) for name, value in values.items()}
    return message % tuple(_value(value, translate) for value in values)


def _value(value: Any, translate: Callable[[str], str]) -> Any:
    return said(value, translate) if isinstance(value, (dict, list)) else value


def _kept(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _kept_value(value) for name, value in values.items()}
    return [_kept_value(value) for value in (values if isinstance(values, tuple) else (values,))]


def _kept_value(value: Any) -> Any:
    return (
        value if type(value) in (int, float) else source_of(value if isinstance(value, str) else str(value))
    )


def storable(kept: Any) -> Any:
    """A text or a source without what PostgreSQL does not keep, and a model's log may hold: NUL and half
    surrogate pairs.
    """
    if isinstance(kept, dict):
        return {storable(name): storable(value) for name, value in kept.items()}
    if isinstance(kept, list):
        return [storable(value) for value in kept]
    if isinstance(kept, str):
        return kept.replace("\0", "\ufffd").encode(errors="replace").decode()
    return kept
