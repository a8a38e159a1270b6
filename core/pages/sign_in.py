"""Signing in by password and by one-time link."""

from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods

from core.errors import NotFound
from core.operations.access import link_state, note_password_sign_in, use_sign_in_link

BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignInForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": _("The username or the password is wrong. Both are case-sensitive."),
    }


class SignInView(LoginView):
    """Name and password, for accounts that have one."""

    form_class = SignInForm
    template_name = "core/sign_in.html"
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        note_password_sign_in(user=form.get_user())
        return super().form_valid(form)


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
    return render(request, "core/sign_in.html", context, status=404)
