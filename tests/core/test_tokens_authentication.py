"""Signing in to the API: bearer tokens, tokens as Basic passwords, and the browser's session."""

import base64
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import AccessToken, Alert
from core.operations.access import user_of_token
from tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db
URL = "/api/v1/alerts"


def get(authorization):
    return APIClient().get(URL, headers={"Authorization": authorization})


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


# --- Tokens -------------------------------------------------------------------------------------------------


def test_a_token_signs_in_as_bearer_and_as_basic_password():
    secret = make_token(make_user())
    for authorization in (
        f"Bearer {secret}",
        f"bearer {secret}",
        basic("anything", secret),
        basic("", secret),
    ):
        assert get(authorization).status_code == 200


@pytest.mark.parametrize(
    "limits",
    [
        {"revoked_at": timezone.now()},
        {"expires_at": timezone.now() - timedelta(seconds=1)},
    ],
)
def test_a_revoked_or_expired_token_signs_nobody_in(limits):
    secret = make_token(make_user("admin"), **limits)
    for authorization in (f"Bearer {secret}", basic("user", secret)):
        answer = get(authorization)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"


def test_a_token_signs_in_until_it_expires():
    assert (
        get(f"Bearer {make_token(make_user(), expires_at=timezone.now() + timedelta(minutes=1))}").status_code
        == 200
    )


def test_a_token_of_a_switched_off_account_signs_nobody_in():
    assert get(f"Bearer {make_token(make_user('admin', is_active=False))}").status_code == 401


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer guess",
        "Basic",
        "Basic %%%",
        "Basic //79",
        basic("user", ""),
        basic("a", "b"),
        "Digest x",
    ],
)
def test_anything_else_is_not_signed_in_and_not_an_error(authorization):
    answer = get(authorization)
    assert answer.status_code == 401
    assert set(answer.data) == {"code", "detail", "fields"}


def test_a_password_is_no_token():
    user = make_user(username="vera")
    user.set_password("a long enough password")
    user.save()
    assert get(basic("vera", "a long enough password")).status_code == 401


def test_a_wrong_token_is_not_covered_by_a_good_session():
    client = APIClient()
    client.force_login(make_user())
    assert client.get(URL).status_code == 200
    assert client.get(URL, headers={"Authorization": "Bearer guess"}).status_code == 401


@pytest.mark.parametrize(
    ("limits", "status"),
    [({}, 201), ({"read_only": True}, 403), ({"domain": "features"}, 403), ({"domain": "lifecycle"}, 201)],
)
def test_a_token_may_at_most_what_it_is_limited_to(limits, status):
    client = APIClient(headers={"Authorization": f"Bearer {make_token(make_user('admin'), **limits)}"})
    answer = client.post("/api/v1/ml/lifecycle/experiments", {"name": "churn"})
    assert answer.status_code == status


def test_a_token_carries_no_more_than_its_user():
    alert = Alert.objects.create(key="k", domain="lifecycle", severity="low", title="t")
    client = APIClient(headers={"Authorization": f"Bearer {make_token(make_user('viewer'))}"})
    assert client.post(f"{URL}/{alert.pk}/acknowledge").status_code == 403


def test_the_last_use_is_noted_at_most_once_a_minute():
    secret = make_token(make_user())

    def noted():
        assert user_of_token(secret)
        return AccessToken.objects.get().last_used_at

    first = noted()
    assert timezone.now() - first < timedelta(seconds=10)
    assert noted() == first
    lately = timezone.now() - timedelta(seconds=50)
    AccessToken.objects.update(last_used_at=lately)
    assert noted() == lately
    AccessToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    assert timezone.now() - noted() < timedelta(seconds=10)


# --- The session --------------------------------------------------------------------------------------------


def test_a_session_reads_and_changes_only_with_the_csrf_token():
    alert = Alert.objects.create(key="k", domain="lifecycle", severity="low", title="t")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(make_user("operator"))
    path = f"{URL}/{alert.pk}/acknowledge"
    assert browser.get(URL).status_code == 200
    assert browser.post(path, {}, content_type="application/json").status_code == 403
    browser.cookies["csrftoken"] = "a" * 32
    answer = browser.post(path, {}, content_type="application/json", headers={"X-CSRFToken": "a" * 32})
    assert answer.status_code == 200


def test_a_token_caller_needs_no_csrf_token():
    alert = Alert.objects.create(key="k", domain="lifecycle", severity="low", title="t")
    program = Client(
        enforce_csrf_checks=True, headers={"Authorization": f"Bearer {make_token(make_user('operator'))}"}
    )
    assert (
        program.post(f"{URL}/{alert.pk}/acknowledge", {}, content_type="application/json").status_code == 200
    )
