"""What an operation may refuse with. Each adapter (REST, MLflow protocol, pages, Celery) translates these once."""


class DomainError(Exception):
    """A refusal a person can act on.

    `detail` says what is wrong and what to do, `code` is its stable name for programs, and `fields` maps a field to
    what is wrong with it. `retry_after_seconds` says when the same request may succeed, where waiting helps.
    """

    status = 400
    code = "invalid"
    retry_after_seconds: int | None = None

    def __init__(
        self,
        detail: object,
        *,
        code: str | None = None,
        fields: dict[str, object] | None = None,
        retry_after_seconds: int | None = None,
    ):
        self.detail = detail if isinstance(detail, str) else str(detail)
        self.code = code or self.code
        self.fields = {name: str(problem) for name, problem in (fields or {}).items()}
        self.retry_after_seconds = retry_after_seconds or self.retry_after_seconds
        super().__init__(self.detail)


class Invalid(DomainError):
    """The input cannot be accepted as it is."""


class NotAllowed(DomainError):
    """The actor's roles, or the four-eyes rule, forbid it."""

    status = 403
    code = "not_allowed"


class NotFound(DomainError):
    """It is not there, or not visible to the actor: the two look the same."""

    status = 404
    code = "not_found"


class Conflict(DomainError):
    """The state of things forbids it, it exists already, or somebody else was first."""

    status = 409
    code = "conflict"


class AlreadyExists(Conflict):
    """Something else has that name."""


class TooLarge(DomainError):
    """It is over a configured size."""

    status = 413
    code = "too_large"


class UnsupportedMediaType(DomainError):
    """The content comes in a form that is not read here."""

    status = 415
    code = "unsupported_media_type"


class Unavailable(DomainError):
    """Something this depends on is down or full; the same request may succeed later."""

    status = 503
    code = "unavailable"
    retry_after_seconds = 1


class TooManyAttempts(DomainError):
    """Too many attempts to sign in failed; the next one is looked at later."""

    status = 429
    code = "too_many_attempts"
