"""Signing in by password and by one-time link, and what every page is sent with."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import AuditEvent, SignInLink
from core.operations.access import create_sign_in_link
from core.tasks import forget_sessions
from tests.factories import make_user

pytestmark = pytest.mark.django_db

ANOTHER_SITE = [
    "https://evil.example/",
    "//evil.example/",
    "javascript:alert(1)",
    "https:evil.example",
    "/\\evil.example",
]


@pytest.fixture
def user():
    user = make_user("operator", username="olga")
    user.set_password("a long enough secret")
    user.save()
    return user


def sign_in(client: Client, password: str = "a long enough secret", **fields: str):
    return client.post("/sign-in", {"username": "olga", "password": password, **fields})


def link_for(user, **fields) -> str:
    return reverse("sign-in-link", args=[create_sign_in_link(actor=None, user=user, **fields)])


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def test_the_right_password_signs_in(client, user):
    response = sign_in(client)
    assert (response.status_code, response.url) == (302, "/")
    assert is_signed_in(client)


@pytest.mark.django_db(transaction=True)
def test_signing_in_needs_no_transaction_around_it(client, user):
    assert sign_in(client).status_code == 302
    assert AuditEvent.objects.filter(action="user.sign_in").count() == 1


def test_a_wrong_password_is_told_and_signs_nobody_in(client, user):
    response = sign_in(client, password="wrong")
    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()
    assert "The username or the password is wrong." in response.content.decode()
    assert not is_signed_in(client)


def test_signing_in_leaves_an_audit_row_that_says_how(client, user):
    sign_in(client, password="wrong")
    assert not AuditEvent.objects.filter(action="user.sign_in").exists()
    sign_in(client)
    event = AuditEvent.objects.get(action="user.sign_in")
    assert (event.actor, event.changes) == (user, {"by": "password"})


def test_ended_sessions_and_old_links_are_forgotten(client, user):
    sign_in(client)
    link_for(user)
    forget_sessions()
    assert is_signed_in(client)
    assert SignInLink.objects.count() == 1
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    SignInLink.objects.update(expires_at=timezone.now() - timedelta(days=31))
    forget_sessions()
    assert not Session.objects.exists()
    assert not SignInLink.objects.exists()


def test_a_wrong_name_reads_as_a_wrong_password(client, user):
    wrong_password = sign_in(client, password="wrong").context["form"].non_field_errors()
    wrong_name = (
        client.post("/sign-in", {"username": "nobody", "password": "x"}).context["form"].non_field_errors()
    )
    assert wrong_name == wrong_password


def test_the_name_typed_is_kept_and_escaped(client):
    response = client.post("/sign-in", {"username": '"><script>alert(1)</script>', "password": "x"})
    assert "<script>alert(1)" not in response.content.decode()
    assert "&quot;&gt;&lt;script&gt;alert(1)" in response.content.decode()


def test_a_switched_off_account_cannot_sign_in(client, user):
    user.is_active = False
    user.save()
    assert sign_in(client).status_code == 200
    assert not is_signed_in(client)


def test_signing_in_goes_on_to_the_page_that_was_asked_for(client, user):
    asked = client.get("/deployments/?status=active")
    assert asked.url == "/sign-in?next=/deployments/%3Fstatus%3Dactive"
    assert 'name="next" value="/deployments/?status=active"' in client.get(asked.url).content.decode()
    assert sign_in(client, next="/deployments/?status=active").url == "/deployments/?status=active"


@pytest.mark.parametrize("address", ANOTHER_SITE)
def test_signing_in_never_leads_to_another_site(client, user, address):
    assert sign_in(client, next=address).url == "/"


@pytest.mark.parametrize("address", ANOTHER_SITE)
def test_choosing_a_language_never_leads_to_another_site(client, address):
    assert client.post("/i18n/setlang/", {"language": "ko", "next": address}).url == "/"


def test_somebody_signed_in_is_not_asked_again(client, user):
    client.force_login(user)
    assert client.get("/sign-in").url == "/"


def test_signing_out_takes_a_post(client, user):
    client.force_login(user)
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").url == "/sign-in"
    assert not is_signed_in(client)


# --- One-time links -----------------------------------------------------------------------------------------


def test_opening_a_link_asks_and_does_not_use_it_up(client, user):
    link = link_for(user)
    for method in (client.get, client.head, client.get):
        assert method(link).status_code == 200
    assert "olga" in client.get(link).content.decode()
    assert not is_signed_in(client)
    assert SignInLink.objects.get().used_at is None


def test_the_button_of_a_link_signs_in_once(client, user):
    link = link_for(user)
    assert client.post(link).url == "/"
    assert is_signed_in(client)
    second = Client()
    response = second.post(link)
    assert (response.status_code, response.context["link_state"]) == (404, "used")
    assert not is_signed_in(second)


def test_a_link_is_audited_when_it_signs_in(client, user):
    client.post(link_for(user))
    assert AuditEvent.objects.filter(action="user.sign_in", actor=user).count() == 1


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("state", "text"), [("used", "was used already"), ("expired", "has expired"), ("unknown", "is not valid")]
)
def test_a_link_that_signs_nobody_in_says_why(client, user, method, state, text):
    link = link_for(user)
    if state == "used":
        Client().post(link)
    if state == "expired":
        SignInLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    if state == "unknown":
        link = reverse("sign-in-link", args=["link_nobody_made_this"])
    response = getattr(client, method)(link)
    assert (response.status_code, response.context["link_state"]) == (404, state)
    assert text in response.content.decode()
    assert not is_signed_in(client)


def test_a_link_of_a_switched_off_account_is_unknown(client, user):
    link = link_for(user)
    user.is_active = False
    user.save()
    assert client.get(link).context["link_state"] == "unknown"
    assert client.post(link).status_code == 404


def test_a_link_takes_the_place_of_another_sign_in(client, user):
    client.force_login(make_user("viewer", username="vera"))
    client.post(link_for(user))
    assert client.get("/").context["user"] == user


def test_a_link_is_never_kept_by_caches_nor_sent_to_other_sites(client, user):
    response = client.get(link_for(user))
    assert "no-store" in response["Cache-Control"]
    assert response["Referrer-Policy"] == "same-origin"


def test_the_button_of_a_link_needs_its_csrf_token(user):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(link_for(user)).status_code == 403
    assert SignInLink.objects.get().used_at is None


# --- Every answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/nothing-here"])
def test_pages_hold_no_inline_script_style_or_handler(client, path):
    html = client.get(path).content.decode()
    assert "<script>" not in html
    assert " style=" not in html
    assert " onclick=" not in html


def test_the_cookies_are_kept_from_scripts_and_other_sites(client, user):
    sign_in(client)
    client.post("/i18n/setlang/", {"language": "ko"})
    for name in ("sessionid", "django_language"):
        assert client.cookies[name]["httponly"]
        assert client.cookies[name]["samesite"] == "Lax"


@pytest.mark.parametrize(("language", "text"), [("ko", "로그인"), ("en", "Sign in")])
def test_the_chosen_language_is_kept(client, language, text):
    client.post("/i18n/setlang/", {"language": language})
    assert client.cookies["django_language"]["max-age"] == 365 * 86400
    html = client.get("/sign-in").content.decode()
    assert f'<html lang="{language}">' in html
    assert text in html


# --- When no view can answer --------------------------------------------------------------------------------


def test_an_unknown_address_is_a_page_with_the_request_id(client):
    response = client.get("/nothing-here", headers={"X-Request-Id": "find-me-in-the-logs"})
    assert response.status_code == 404
    assert "Nothing is here" in response.content.decode()
    assert "find-me-in-the-logs" in response.content.decode()


@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing", "/api/v1/ml/lifecycle/nothing/here"])
def test_an_unknown_api_path_is_the_contracts_json(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert response.json() == {
        "code": "not_found",
        "detail": "There is nothing at this address.",
        "fields": {},
    }


def test_a_form_without_its_token_is_refused_with_a_page(user):
    response = Client(enforce_csrf_checks=True).post("/sign-in", {"username": "olga", "password": "x"})
    assert response.status_code == 403
    assert "This form is out of date" in response.content.decode()


def test_a_host_that_is_not_ours_is_refused_with_a_page(client):
    response = client.get("/sign-in", headers={"Host": "evil.example"})
    assert response.status_code == 400
    assert "This request cannot be read" in response.content.decode()


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/"])
def test_a_crash_tells_the_request_id_and_nothing_else(user, monkeypatch, path):
    client = Client(raise_request_exception=False)
    client.force_login(user)

    def crash(*arguments, **keywords):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", crash)
    response = client.get(path, headers={"X-Request-Id": "crash-1"})
    assert response.status_code == 500
    assert "the secret inside" not in response.content.decode()
    if path.startswith("/api/"):
        assert response.json()["code"] == "server_error"
    else:
        assert "crash-1" in response.content.decode()


def test_pages_for_people_signed_in_send_others_to_sign_in(client):
    response = client.get("/")
    assert (response.status_code, response.url) == (302, "/sign-in?next=/")
    assert isinstance(response.wsgi_request.user, AnonymousUser)
