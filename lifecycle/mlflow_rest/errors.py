"""Refusals in the words of MLflow's protocol: `{"error_code", "message"}`."""

from django.http import JsonResponse

from core.errors import (
    AlreadyExists,
    DomainError,
)

# By status where no class says more. The client looks at the code alone, and tries again after 429 and 503.
BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "ENDPOINT_NOT_FOUND",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
OTHERS = "INVALID_PARAMETER_VALUE"


class InMlflowsWords(DomainError):
    """A refusal that only this protocol has; `code` is MLflow's error code."""


class InvalidParameter(InMlflowsWords):
    """A value that cannot be."""

    code = OTHERS


class BadRequest(InMlflowsWords):
    """What MLflow calls BAD_REQUEST: a name that it finds taken only when it writes it."""

    code = "BAD_REQUEST"


class InvalidState(InMlflowsWords):
    """What MLflow calls INVALID_STATE. It answers 500, after which its client tries again for minutes; no other answer
    would come of that, so here it is a conflict.
    """

    status = 409
    code = "INVALID_STATE"


class NotApproved(InMlflowsWords):
    """What the stage asks for is missing."""

    status = 403
    code = "PERMISSION_DENIED"


class NotImplementedHere(InMlflowsWords):
    """What MLflow's clients then do another way."""

    status = 501
    code = "NOT_IMPLEMENTED"


class MethodNotAllowed(DomainError):
    status = 405


def refuse(error: DomainError) -> JsonResponse:
    """The answer to a refused request. A name that is taken is a 400, as in MLflow."""
    status = 400 if isinstance(error, AlreadyExists) else error.status
    response = JsonResponse({"error_code": _error_code(error), "message": error.detail}, status=status)
    if error.retry_after_seconds:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="MLOps"'
    return response


def _error_code(error: DomainError) -> str:
    if isinstance(error, AlreadyExists):
        return "RESOURCE_ALREADY_EXISTS"
    if isinstance(error, InMlflowsWords):
        return error.code
    return BY_STATUS.get(error.status, OTHERS)
