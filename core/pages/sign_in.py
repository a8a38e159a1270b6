"""Signing in by password and by one-time link."""

from typing import Any

from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from core.context import current
from core.errors import NotFound, TooManyAttempts
from core.operations.access import (
    link_state,
    note_unknown_secret,
    sign_in_with_password,
    use_sign_in_link,
)

BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": _("The username or the password is wrong. Both are case-sensitive."),
    }

    def clean(self) -> dict[str, Any]:
        """In Django's place, so that failed attempts are counted. Raises TooManyAttempts."""
        if {"username", "password"} <= self.cleaned_data.keys():
            self.user_cache = sign_in_with_password(**self.cleaned_data, address=current().address)
            if self.user_cache is None:
                raise self.get_invalid_login_error()
        return self.cleaned_data


class SignInView(LoginView):
    """Name and password, for accounts that have one."""

    form_class = SignInForm
    template_name = "core/sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().post(request, *args, **kwargs)
        except TooManyAttempts as refusal:
            context = self.get_context_data(form=SignInForm(request), refusal=refusal.detail)
            return _told_to_wait(self.render_to_response(context), refusal)


@never_cache
@sensitive_variables("secret")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Opening the link asks; only the button uses it up, so that a mail scanner's preview does not."""
    if request.method == "POST":
        try:
            taken_by = use_sign_in_link(secret=secret)
        except NotFound:
            return _refused(request, secret)
        login(request, taken_by, backend=BACKEND)
        return redirect("overview")
    _state, user = link_state(secret=secret)
    if user is None:
        return _refused(request, secret)
    return render(request, "core/sign_in.html", {"link_user": user.get_username()})


def _refused(request: HttpRequest, secret: str) -> HttpResponse:
    state, _user = link_state(secret=secret)
    context = {"form": SignInForm(request), "link_state": state}
    try:
        if state == "unknown":
            note_unknown_secret(current().address)
    except TooManyAttempts as refusal:
        page = render(request, "core/sign_in.html", {"form": SignInForm(request), "refusal": refusal.detail})
        return _told_to_wait(page, refusal)
    return render(request, "core/sign_in.html", context, status=404)


def _told_to_wait(response: HttpResponse, refusal: TooManyAttempts) -> HttpResponse:
    response.status_code = refusal.status
    response.headers["Retry-After"] = str(refusal.retry_after_seconds)
    return response
