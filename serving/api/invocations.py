"""The prediction endpoint: finds who serves, passes the request on, answers, and notes what happened.

A plain Django view, since every request of every model passes here.
"""

import json
import logging
import random
import time
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from core.api import callers
from core.bodies import MOST_DIGITS, whole_body
from core.context import current
from core.errors import DomainError, NotFound, TooLarge, Unavailable, UnsupportedMediaType
from core.roles import Domain, Right, require
from core.sentences import source_of
from core.translation import gettext as _
from core.translation import language_of, say
from serving.gateway.balancer import Answer, Balancer
from serving.gateway.slots import Slots
from serving.recorder import PredictionRecord, recorder
from serving.routes import RoutedTarget, routes

logger = logging.getLogger(__name__)

SCORING_TYPES = frozenset({"", "application/json", "text/csv"})
SAMPLE_BYTES = 64 * 1024
LARGEST_ROW_COUNT = 2**31 - 1

balancer = Balancer()
slots = Slots(settings.WEB_THREADS)


class MethodNotAllowed(DomainError):
    status = 405
    code = "method_not_allowed"


@csrf_exempt
def invocations(request: HttpRequest, model_name: str, environment: str) -> HttpResponse:
    """POST a request in one of MLflow's scoring formats; answers `{"predictions": [...]}`.

    Callers with a token need no CSRF token; `callers` asks those with a session for one.
    """
    try:
        if request.method != "POST":
            raise MethodNotAllowed(_("Predictions are asked for with POST."))
        user = callers.caller_of(request, callers.tokens.user_of)
        require(user, Right.PREDICT, domain=Domain.LIFECYCLE)
        if request.content_type not in SCORING_TYPES:
            raise UnsupportedMediaType(_("Set Content-Type to application/json or text/csv."))
        return _predict(request, model_name, environment, user.pk)
    except DomainError as error:
        return _refuse(request, error)
    except DatabaseError:
        logger.exception("The database did not say who calls or who serves")
        return _refuse(request, Unavailable(_("The database is away. Try again in a moment.")))


def _predict(request: HttpRequest, model_name: str, environment: str, user_id: int) -> HttpResponse:
    target = _target(model_name, environment)
    body, answer = b"", None
    started = time.perf_counter()
    try:
        with slots.hold((model_name, environment)):
            body = whole_body(request, _too_large, limit=settings.SERVING_MAX_BODY_BYTES)
            # A caller's slow connection is not the model's latency.
            started = time.perf_counter()
            target, answer = _send(target, model_name, environment, body, _passed_on(request))
        response = _respond(request, answer)
    except DomainError as error:
        response = _refuse(request, error)
    latency_ms = (time.perf_counter() - started) * 1000
    request.is_noted = True  # type: ignore[attr-defined]
    _record(target, response.status_code, body, answer, user_id=user_id, latency_ms=latency_ms)
    response.headers["X-Model-Version"] = str(target.model_version)
    response.headers["X-Deployment-Id"] = str(target.deployment_id)
    response.headers["X-Request-Id"] = current().request_id
    return response


def _target(model_name: str, environment: str, *, loaded_after: float | None = None) -> RoutedTarget:
    route = routes.find(model_name, environment, loaded_after=loaded_after)
    target = route.choose() if route else None
    if target is None and loaded_after is None:
        # It may have become active since the table was read, and whoever saw that may call at once.
        return _target(model_name, environment, loaded_after=time.monotonic())
    if route is None:
        raise NotFound(
            _("Nothing is deployed as “%(model)s” in “%(environment)s”.")
            % {"model": model_name, "environment": environment}
        )
    if target is None:
        raise Unavailable(_("The first deployment of this model is still coming up. Try again in a moment."))
    return target


def _too_large() -> TooLarge:
    limit = {"limit": settings.SERVING_MAX_BODY_BYTES}
    return TooLarge(_("The body is over %(limit)s bytes. Send fewer rows in a request.") % limit)


def _passed_on(request: HttpRequest) -> dict[str, str]:
    """What the model process may know of a request: nothing that says who sent it."""
    known = {"X-Request-Id": current().request_id}
    if content_type := request.META.get("CONTENT_TYPE"):
        known["Content-Type"] = content_type
    return known


def _send(
    target: RoutedTarget, model_name: str, environment: str, body: bytes, headers: dict[str, str]
) -> tuple[RoutedTarget, Answer]:
    """Ask the target; when none of its replicas could be reached, look once who serves by now."""
    asked_at = time.monotonic()
    answer = balancer.send(target.addresses, body, headers, target.timeout_seconds)
    if answer.status == 503 and not answer.address:
        newer = _target(model_name, environment, loaded_after=asked_at)
        if set(newer.addresses) - set(target.addresses):
            return newer, balancer.send(newer.addresses, body, headers, newer.timeout_seconds)
    return target, answer


def _respond(request: HttpRequest, answer: Answer) -> HttpResponse:
    """The model server's status and body. None of its headers but one: a model process is not trusted."""
    if answer.status == 200:
        return HttpResponse(answer.body, content_type="application/json")
    status = answer.status if 400 <= answer.status < 600 else 502
    with language_of(request) as language:
        error = _contract_error(answer.body, status)
    response = JsonResponse(error, status=status, headers={"Content-Language": language})
    if status == 503:
        response.headers["Retry-After"] = "1"
    return response


def _contract_error(body: bytes, status: int) -> dict[str, Any]:
    try:
        said = json.loads(body)
        return {"code": str(said["code"]), "detail": str(said["detail"]), "fields": said.get("fields", {})}
    except (ValueError, TypeError, KeyError, RecursionError):
        detail = _("The model process answered %(status)s and did not say why.") % {"status": status}
        return {"code": "model_error", "detail": detail, "fields": {}}


def _refuse(request: HttpRequest, error: DomainError) -> JsonResponse:
    """The refusal in the caller's language, which was not chosen yet when it was raised: answers need none."""
    with language_of(request) as language:
        detail = say(source_of(error.detail))
    response = JsonResponse(
        {"code": error.code, "detail": detail, "fields": error.fields},
        status=error.status,
        headers={"Content-Language": language},
    )
    if error.retry_after_seconds:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if error.status == 405:
        response.headers["Allow"] = "POST"
    return response


def _record(
    target: RoutedTarget, status: int, body: bytes, answer: Answer | None, *, user_id: int, latency_ms: float
) -> None:
    """Note what was answered; `answer` is the model's, None when it was not asked."""
    sampled = answer and status == 200 and random.random() < settings.SERVING_SAMPLE_RATE
    recorder.record(
        PredictionRecord(
            request_id=current().request_id,
            deployment_id=target.deployment_id,
            at=timezone.now(),
            status=status,
            latency_ms=latency_ms,
            rows=_row_count(answer) if answer else 0,
            retried=bool(answer and answer.retried),
            user_id=user_id,
            input=_sample(body) if sampled else "",
            output=_sample(answer.body) if answer and sampled else "",
        )
    )


def _row_count(answer: Answer) -> int:
    for name, value in answer.headers:
        if name.lower() == "x-row-count" and value.isdecimal() and len(value) <= MOST_DIGITS:
            return min(int(value), LARGEST_ROW_COUNT)
    return 0


def _sample(content: bytes) -> str:
    """The beginning as text. PostgreSQL holds no NUL in a text."""
    return content[:SAMPLE_BYTES].decode(errors="replace").replace("\0", "\ufffd")
