"""Where the work at hand came from: the request id, the door it used and the caller's address.

Audit rows and log lines read it, so that operations need not pass it along.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestContext:
    request_id: str = ""
    via: str = "command"
    address: str = ""


NOWHERE = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request_context", default=NOWHERE)


def current() -> RequestContext:
    """The context of the request, task or command that runs now."""
    return _current.get()


def use(context: RequestContext) -> Token[RequestContext]:
    """Enter `context`; give the returned token to `reset`."""
    return _current.set(context)


def leave() -> None:
    """Forget the context of a request that is over."""
    _current.set(NOWHERE)


def reset(token: Token[RequestContext]) -> None:
    """Return to the context from before `use`."""
    _current.reset(token)


@contextmanager
def entered(context: RequestContext) -> Iterator[None]:
    """Be in `context` for the length of a block."""
    token = use(context)
    try:
        yield
    finally:
        reset(token)


class ContextFilter(logging.Filter):
    """Adds the request id to every log record."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current().request_id
        return True


class NotedFilter(logging.Filter):
    """Drops Django's line for a refused request that the view keeps a record of itself (`request.is_noted`).

    Probes that are told "not ready", and predictions: a client that goes wrong must not flood the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(getattr(record, "request", None), "is_noted", False)
