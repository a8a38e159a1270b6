"""The admin site: one sign-in, one table of rights and one audit trail with the rest of the platform."""

from typing import Any, NoReturn, cast
from urllib.parse import urlencode

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from unfold.sites import UnfoldAdminSite

from core.models import AuditEvent, User
from core.roles import Domain, Right, may

RECENT = 10


class PlatformAdminSite(UnfoldAdminSite):
    """Django's admin, open to everybody signed in: the roles decide what each sees and does there.

    Django's own sign-in form, password form, search and log of actions are left out: each would be a second way past
    the platform's rules.
    """

    index_template = "admin/overview.html"

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return user.is_authenticated and may(user, Right.READ, domain=Domain.CORE)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """To the platform's sign-in page, and from there to where one wanted to go."""
        wanted = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        return HttpResponseRedirect(f"{reverse('sign-in')}?{urlencode({REDIRECT_FIELD_NAME: wanted})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect("sign-out", preserve_request=True)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> NoReturn:
        raise Http404

    def password_change_done(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> NoReturn:
        raise Http404

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> NoReturn:
        raise Http404

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        # The colours lie in static/css/admin.css: Unfold would write them into each page as an inline style.
        return super().each_context(request) | {"colors": None}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        recent = AuditEvent.objects.visible_to(cast(User, request.user))[:RECENT]
        return super().index(request, {"recent_events": recent} | (extra_context or {}))
