"""What is answered when no view could: a page for people, the contract's JSON for programs."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from core.errors import DomainError
from core.translation import gettext as _


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 400, "invalid", _("The request cannot be read."))


def refused(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A form that is none, or not whole."""
    html = render_to_string("400.html", {"request": request, "status": error.status, "detail": error.detail})
    return HttpResponse(html, status=error.status)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "not_allowed", _("Your roles do not allow this."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's `CSRF_FAILURE_VIEW`."""
    detail = _("The CSRF token is missing or wrong. Reload the page, or sign in with a token.")
    return _answer(request, 403, "csrf_failed", detail, template="403_csrf.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, "not_found", _("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    detail = _(
        "Something went wrong on our side. Try again; if it stays, tell an administrator the request id."
    )
    return _answer(request, 500, "server_error", detail)


def _answer(request: HttpRequest, status: int, code: str, detail: str, template: str = "") -> HttpResponse:
    """The page needs neither the database nor a session: whatever failed may have been one of them."""
    if request.path_info.startswith("/api/"):
        return JsonResponse({"code": code, "detail": detail, "fields": {}}, status=status)
    html = render_to_string(template or f"{status}.html", {"request": request})
    return HttpResponse(html, status=status)
