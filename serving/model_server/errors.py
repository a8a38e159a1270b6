"""The two ways things go wrong here: a request that is refused, and a model that cannot be loaded."""

from __future__ import annotations

LONGEST_QUOTE = 400  # characters


class Refused(Exception):
    """A request gets this answer instead of predictions.

    `status` is the HTTP status, `code` a word for programs, `detail` a sentence for people.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class Invalid(Refused):
    """400: the request does not fit the model's signature or the scoring formats."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "invalid", detail)


class TooLarge(Refused):
    """413: more bytes or rows than this model accepts in one request."""

    def __init__(self, detail: str) -> None:
        super().__init__(413, "too_large", detail)


class Busy(Refused):
    """503 with Retry-After: the queue is full, or the process is about to stop or restart."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, "unavailable", detail)


class PredictTimedOut(Refused):
    """504: the model did not answer within its time limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(504, "timeout", f"The model did not answer within {seconds:g} s.")


class ModelFailed(Refused):
    """500: the model raised, or returned what has no JSON form."""

    def __init__(self, detail: str) -> None:
        super().__init__(500, "model_error", detail)


class CannotLoad(Exception):
    """The model cannot be served; `detail`, a sentence, says what is wrong and what to do about it."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def described(error: BaseException) -> str:
    """What a library or a model raised, in its own words."""
    return f"{type(error).__name__}: {shortened(error)}"


def shortened(quoted: object) -> str:
    """The words of a library, or a name out of a file, short enough for a sentence."""
    return str(quoted)[:LONGEST_QUOTE]
