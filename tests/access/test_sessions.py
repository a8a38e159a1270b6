"""Sessions of browsers: who holds one, how long, and what protects it."""

import json
import os
import subprocess
import sys

import pytest
from django.conf import settings as platform
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from core.operations.access import create_sign_in_link
from tests.access.mlflow_rules import MLFLOW
from tests.access.rules import API, PAGES
from tests.everything import make_everything
from tests.factories import make_user

pytestmark = pytest.mark.django_db
REDOC = "/api/redoc"  # writes its styles as <style> elements
SECRET = "a long enough secret"
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def olga():
    user = make_user("operator", username="olga")
    user.set_password(SECRET)
    user.save()
    return user


def by_password(client: Client) -> None:
    client.post("/sign-in", {"username": "olga", "password": SECRET})


def by_link(client: Client, user) -> None:
    client.post(reverse("sign-in-link", args=[create_sign_in_link(actor=None, user=user)]))


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


@pytest.mark.parametrize("door", ["password", "link"])
def test_signing_in_gives_a_new_session_so_that_a_planted_one_is_worth_nothing(client, olga, door):
    session = client.session
    session.save()
    client.cookies["sessionid"] = planted = session.session_key

    by_password(client) if door == "password" else by_link(client, olga)

    assert is_signed_in(client)
    assert client.cookies["sessionid"].value != planted
    assert not is_signed_in(_with_session(planted))


def test_signing_in_as_somebody_else_keeps_nothing_of_the_session_before(client, olga):
    client.force_login(make_user("viewer"))
    before = client.cookies["sessionid"].value
    session = client.session
    session["kept"] = "of the viewer"
    session.save()

    by_link(client, olga)

    assert client.get("/").context["user"] == olga
    assert "kept" not in client.session
    assert not Session.objects.filter(session_key=before).exists()


def test_signing_out_ends_the_session_on_the_server(client, olga):
    by_password(client)
    stolen = client.cookies["sessionid"].value
    client.post("/sign-out")

    assert not is_signed_in(_with_session(stolen))


def test_a_new_password_ends_the_sessions_of_the_old_one(client, olga):
    by_password(client)
    olga.set_password("another long secret")
    olga.save()

    assert not is_signed_in(client)


@pytest.mark.parametrize(("https_only", "secure"), [("true", True), ("false", False)])
def test_with_https_only_every_cookie_is_secure(tmp_path, https_only, secure):
    names = [
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "LANGUAGE_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS",
    ]
    show = f"import json; from mlops_site import settings as s; print(json.dumps([getattr(s, n) for n in {names}]))"
    environment = os.environ | {"HTTPS_ONLY": https_only, "DATA_DIR": str(tmp_path)}
    printed = subprocess.run(
        [sys.executable, "-c", show],
        env=environment,
        cwd=platform.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(printed.stdout) == [secure] * len(names)


def test_the_cookies_that_are_set_say_secure_where_the_settings_do(client, olga, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    client.get("/sign-in", secure=True)
    client.post("/sign-in", {"username": "olga", "password": SECRET}, secure=True)

    assert {name: bool(cookie["secure"]) for name, cookie in client.cookies.items()} == {
        "csrftoken": True,
        "sessionid": True,
    }


def test_every_answer_has_the_headers_that_keep_it_out_of_frames_and_scripts(client):
    world = make_everything()
    client.force_login(make_user("admin"))
    paths = {reverse(rule.route, kwargs=rule.path(world)) for rule in [*API, *MLFLOW, *PAGES]}
    paths |= {"/healthz", "/readyz", "/sign-in", "/sign-in/link_guess", "/nothing", "/api/v1/nothing"}

    for path in sorted(paths):
        response = client.get(path)
        assert {name: response[name] for name in HEADERS} == HEADERS, path
        policy = response["Content-Security-Policy"]
        assert "default-src 'self'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        loose = policy.count("unsafe")
        assert loose == (path == REDOC), path
        assert loose == policy.count("style-src 'self' 'unsafe-inline'"), path
        assert len(response["X-Request-Id"]) == 32


def _with_session(key: str) -> Client:
    client = Client()
    client.cookies["sessionid"] = key
    return client
