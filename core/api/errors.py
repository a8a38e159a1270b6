"""Turns every refusal into the contract's body: {"code", "detail", "fields"}."""

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from core.errors import DomainError, Invalid, TooLarge, Unavailable
from core.translation import gettext as _

logger = logging.getLogger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: domain errors, Django's and DRF's own, one shape."""
    if isinstance(error, RequestDataTooBig):
        error = TooLarge(_("The request body is over the size this server takes."))
    if isinstance(error, (OperationalError, InterfaceError)):
        logger.error("The database did not answer", exc_info=error)
        error = Unavailable(_("The database is away. Try again in a moment."))
    if isinstance(error, DjangoValidationError):
        error = from_django(error)
    if isinstance(error, DomainError):
        return _respond(error)
    if isinstance(error, Http404):
        error = exceptions.NotFound(_("There is nothing here that you may see."))
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    response = exception_handler(error, context)
    if response is not None:
        response.data = _encodable(_body(error))
    return response


def from_django(error: DjangoValidationError) -> Invalid:
    """A model's validation error as a domain error."""
    if hasattr(error, "error_dict"):
        fields: dict[str, object] = {
            name: " ".join(problems) for name, problems in error.message_dict.items()
        }
        return Invalid(_sentence(fields), fields=fields)
    return Invalid(" ".join(error.messages))


def _respond(error: DomainError) -> Response:
    response = Response(
        _encodable({"code": error.code, "detail": error.detail, "fields": error.fields}), status=error.status
    )
    if error.retry_after_seconds:
        response["Retry-After"] = str(error.retry_after_seconds)
    return response


def _body(error: Any) -> dict[str, Any]:
    if isinstance(error, exceptions.ValidationError):
        fields = _flatten(error.detail)
        return {"code": "invalid", "detail": _sentence(fields), "fields": fields}
    return {"code": error.get_codes(), "detail": str(error.detail), "fields": {}}


def _encodable(value: Any) -> Any:
    """The body with half surrogate pairs escaped: what was sent is told back, and they are no UTF-8."""
    if isinstance(value, dict):
        return {_encodable(key): _encodable(part) for key, part in value.items()}
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _flatten(detail: Any, path: str = "") -> dict[str, Any]:
    """DRF nests problems as deep as the input; the contract wants {"endpoint_config.instances": "..."}."""
    if isinstance(detail, dict):
        pairs = [(f"{path}.{key}" if path else str(key), value) for key, value in detail.items()]
    elif isinstance(detail, list) and any(isinstance(item, (dict, list)) for item in detail):
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(detail) if item]
    else:
        problems = detail if isinstance(detail, list) else [detail]
        return {path or "non_field_errors": " ".join(str(problem) for problem in problems)}
    return {key: problem for prefix, value in pairs for key, problem in _flatten(value, prefix).items()}


def _sentence(fields: dict[str, Any]) -> str:
    return " ".join(
        str(problem) if name == "non_field_errors" else f"{name}: {problem}"
        for name, problem in fields.items()
    )
