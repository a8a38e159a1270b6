"""Middleware every request passes."""

import re
import uuid
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.signals import request_finished
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

from core import context
from core.bodies import hold_form
from core.content_security import policy_for
from core.errors import DomainError
from core.pages.errors import refused

GetResponse = Callable[[HttpRequest], HttpResponse]
ACCEPTABLE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
DOORS = {
    "/api/2.0/": "mlflow",
    "/api/3.0/": "mlflow",
    "/ajax-api/": "mlflow",
    "/api/": "api",
    "/admin/": "admin",
}


class RequestContextMiddleware:
    """Gives each request an id (the caller's own, if it is a plain one) and returns it in `X-Request-Id`."""

    def __init__(self, get_response: GetResponse):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if ACCEPTABLE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        context.use(
            context.RequestContext(
                request_id=request_id,
                via=door(request.path_info),
                address=address_of(request),
            )
        )
        response = self.get_response(request)
        response.headers.setdefault("X-Request-Id", request_id)
        return response


def address_of(request: HttpRequest) -> str:
    """Where the request comes from. Behind a proxy that is what the proxy added to X-Forwarded-For, at its end:
    what stands before it was sent by the caller.
    """
    connected = request.META.get("REMOTE_ADDR", "")
    if not settings.BEHIND_PROXY:
        return connected
    try:
        return str(ip_address(request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()))
    except ValueError:
        return connected


def door(path: str) -> str:
    """The word audit rows have for the way a request came in."""
    return next((via for prefix, via in DOORS.items() if path.startswith(prefix)), "page")


@receiver(request_finished)
def leave_context(**_: object) -> None:
    """Only now: Django logs a refused request after the last middleware has let go of it."""
    context.leave()


class WholeFormsMiddleware:
    """Refuses what pages are sent that is no form, or not all of one, before anything reads it. The API's views see to
    their bodies themselves.
    """

    def __init__(self, get_response: GetResponse):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Of a page that there is: what is sent elsewhere is answered 404, whatever it is."""
        if request.method == "POST" and door(request.path_info) not in ("api", "mlflow"):
            try:
                hold_form(request)
            except DomainError as error:
                return refused(request, error)
        return None


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Static files, compressed if the browser takes that. One whose name has its content's hash may be kept for a
    year, which is as long as caches are asked to keep anything, and is never asked for again.
    """

    FOREVER = 31_536_000


class ContentSecurityPolicyMiddleware:
    """Lets pages load only what this server serves; a view that must differ sets its own header."""

    def __init__(self, get_response: GetResponse):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.path_info))
        return response
