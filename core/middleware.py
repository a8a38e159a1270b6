"""Middleware every request passes."""

import re
import uuid
from collections.abc import Callable

from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from core import context

GetResponse = Callable[[HttpRequest], HttpResponse]
ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class RequestContextMiddleware:
    """Gives each request an id (the caller's own, if it is a plain one) and returns it in `X-Request-Id`."""

    def __init__(self, get_response: GetResponse):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if ACCEPTABLE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        context.use(
            context.RequestContext(
                request_id=request_id,
                via="api" if request.path_info.startswith("/api/") else "page",
                address=request.META.get("REMOTE_ADDR", ""),
            )
        )
        response = self.get_response(request)
        response.headers.setdefault("X-Request-Id", request_id)
        return response


@receiver(request_finished)
def leave_context(**_: object) -> None:
    """Only now: Django logs a refused request after the last middleware has let go of it."""
    context.leave()


class ContentSecurityPolicyMiddleware:
    """Lets pages load only what this server serves; a view that must differ sets its own header."""

    def __init__(self, get_response: GetResponse):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response
