"""Who sends the requests."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import User
from tests.factories import make_client, make_user

CSRF_TOKEN = "c" * 32  # what the server gave is only compared with what the page sends


def by_session(user: User) -> APIClient:
    """Signed in with a browser, which sends its CSRF token along."""
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    client.cookies["csrftoken"] = CSRF_TOKEN
    client.credentials(HTTP_X_CSRFTOKEN=CSRF_TOKEN)
    return client


def without_csrf(user: User) -> Client:
    """Signed in with a browser that another site's page makes send requests."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def not_signed_in() -> dict[str, APIClient]:
    """Everybody who is nobody here, an admin's lost credentials among them."""
    moment = timezone.now()
    off = make_user("admin", is_active=False)
    session_of_off = APIClient()
    was_on = make_user("admin")
    session_of_off.force_login(was_on)
    User.objects.filter(pk=was_on.pk).update(is_active=False)
    unknown = APIClient()
    unknown.credentials(HTTP_AUTHORIZATION="Bearer mlops_guess")
    return {
        "anonymous": APIClient(),
        "an unknown token": unknown,
        "an expired token": make_client("admin", expires_at=moment - timedelta(seconds=1)),
        "a revoked token": make_client("admin", revoked_at=moment),
        "a token of an account switched off": make_client(user=off),
        "a session of an account switched off": session_of_off,
    }
