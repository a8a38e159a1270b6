"""What every page function shares: sign-in, and refusals turned into something a person can act on."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from core.errors import DomainError, Invalid, NotAllowed, NotFound

PageFunction = Callable[..., HttpResponse]
MAX_REASON = 10_000


def page(view: PageFunction) -> PageFunction:
    """A page for people who are signed in.

    A refused GET is an error page; a refused POST leads back with a message.
    """

    @login_required
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.detail) from error
        except DomainError as error:
            if request.method == "POST":
                messages.error(request, error.detail)
                return redirect(_back(request))
            if isinstance(error, NotAllowed):
                raise PermissionDenied(error.detail) from error
            raise

    return wrapped


class ReasonForm(forms.Form):
    reason = forms.CharField(required=False, max_length=MAX_REASON)


def reason_of(request: HttpRequest) -> str:
    """The reason that was given in a confirm dialog, or "". Raises Invalid for one that cannot be kept."""
    form = ReasonForm(request.POST)
    if not form.is_valid():
        raise Invalid(" ".join(map(str, form.errors["reason"])), fields={"reason": "invalid"})
    return form.cleaned_data["reason"]


def _back(request: HttpRequest) -> str:
    """The page of the same object: actions live one path segment below it."""
    return request.path.rstrip("/").rpartition("/")[0] + "/"
