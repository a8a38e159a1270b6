"""The views of MLflow's protocol: who asks is who they are everywhere else, and every refusal is in MLflow's form."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from core.api.callers import caller_of
from core.errors import DomainError, Unavailable
from core.models import User
from core.operations.access import sign_in_with_token
from core.roles import Domain, Right, may, require
from core.translation import gettext as _
from lifecycle.mlflow_rest import messages
from lifecycle.mlflow_rest.errors import MethodNotAllowed, refuse

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """What answers one method of one path: `answer(actor, **fields)` returns the JSON. What the path holds, such as a
    model's id, is among the fields.

    Where a file is the body, or the answer, it is `answer(actor, request, …)`, and may return a response.
    """

    answer: Callable[..., dict[str, Any] | HttpResponseBase]
    fields: messages.Fields = field(default_factory=dict)
    takes_request: bool = False
    # The domains of what it may be about. Of several, `answer` asks for the right in the one that it is about.
    domains: tuple[Domain, ...] = (Domain.LIFECYCLE,)


class View:
    """Answers one path. Callers with a token need no CSRF token; `caller_of` asks those with a session for one."""

    csrf_exempt = True

    def __init__(self, calls: dict[str, Call]):
        self.calls = calls
        self.methods = frozenset(calls)

    def __call__(self, request: HttpRequest, **place: str) -> HttpResponseBase:
        try:
            answer = self._answer(request, caller_of(request, sign_in_with_token), place)
            return answer if isinstance(answer, HttpResponseBase) else _json(answer)
        except DomainError as error:
            return self._refuse(error)
        except DatabaseError:
            logger.exception("The database did not answer")
            return self._refuse(Unavailable(_("The database is away. Try again in a moment.")))

    def _answer(
        self, request: HttpRequest, actor: User, place: dict[str, str]
    ) -> dict[str, Any] | HttpResponseBase:
        call = self.calls.get(request.method or "")
        if call is None:
            raise MethodNotAllowed(_("Use %(methods)s here.") % {"methods": " / ".join(sorted(self.methods))})
        if not any(may(actor, Right.READ, domain=domain) for domain in call.domains):
            require(actor, Right.READ, domain=call.domains[0])
        if call.takes_request:
            return call.answer(actor, request, **place)
        return call.answer(actor, **place, **messages.read(request, call.fields))

    def _refuse(self, error: DomainError) -> HttpResponse:
        response = refuse(error)
        if error.status == 405:
            response.headers["Allow"] = ", ".join(sorted(self.methods))
        return response


def _json(answer: dict[str, Any]) -> HttpResponse:
    """By orjson, since answers may hold 50,000 runs or points, of which Django's encoder takes ten times as long."""
    return HttpResponse(orjson.dumps(answer), content_type="application/json")
