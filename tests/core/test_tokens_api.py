"""/tokens: one's own, seen and made in the browser only; the secret is shown once."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import AccessToken
from core.operations.access import user_of_token
from tests.factories import make_client, make_token, make_user

pytestmark = pytest.mark.django_db
URL = "/api/v1/tokens"


def browser(user):
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def vera():
    return make_user(username="vera")


def test_a_token_is_made_and_its_secret_shown_once(vera):
    expires_at = timezone.now() + timedelta(days=1)
    answer = browser(vera).post(
        URL,
        {"name": "laptop", "read_only": True, "domain": "lifecycle", "expires_at": expires_at.isoformat()},
    )
    assert answer.status_code == 201, answer.data
    user = user_of_token(answer.data["token"])
    assert user == vera
    assert (user.signed_in_with.read_only, user.signed_in_with.domain) == (True, "lifecycle")
    assert user.signed_in_with.expires_at == expires_at
    listed = browser(vera).get(URL).content.decode()
    assert "laptop" in listed
    assert answer.data["token"] not in listed
    assert user.signed_in_with.digest not in listed


def test_people_see_their_own_tokens_and_their_service_accounts(vera):
    robot = make_user(owner=vera)
    for user in (vera, robot, make_user()):
        make_token(user)
    assert {row["user"] for row in browser(vera).get(URL).data["results"]} == {"vera", robot.username}
    assert browser(make_user("admin")).get(URL).data["count"] == 3


def test_a_token_is_made_for_ones_service_account_and_for_nobody_else(vera):
    robot = make_user("scientist", owner=vera)
    assert browser(vera).post(URL, {"name": "ci", "user": robot.username}).data["user"] == robot.username
    assert browser(vera).post(URL, {"name": "ci", "user": make_user().username}).status_code == 403
    assert AccessToken.objects.count() == 1


def test_a_token_is_revoked_once(vera):
    secret = make_token(vera)
    path = f"{URL}/{AccessToken.objects.get().pk}/revoke"
    assert browser(vera).post(path).data["revoked_at"]
    assert user_of_token(secret) is None
    assert browser(vera).post(path).status_code == 409
    assert browser(vera).get(URL, {"revoked": "false"}).data["count"] == 0


def test_others_tokens_are_not_there(vera):
    make_token(make_user())
    path = f"{URL}/{AccessToken.objects.get().pk}/revoke"
    assert browser(vera).post(path).status_code == 404
    assert browser(make_user("admin")).post(path).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_a_token_neither_sees_nor_makes_nor_revokes_tokens(role):
    client = make_client(role)
    path = f"{URL}/{AccessToken.objects.get().pk}/revoke"
    assert client.get(URL).status_code == 403
    assert client.post(URL, {"name": "another"}).status_code == 403
    assert client.post(path).status_code == 403
    assert AccessToken.objects.get().is_usable()


def test_tokens_take_a_sign_in(client):
    assert client.get(URL).status_code == 401
    assert client.post(URL, {}, content_type="application/json").status_code == 401
    assert client.post(f"{URL}/1/revoke").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"domain": "kitchen"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "soon"},
        {"user": "nobody"},
        {"token": "chosen"},
        {"last_used_at": None},
    ],
)
def test_what_cannot_be_made_is_refused(vera, change):
    assert browser(vera).post(URL, {"name": "laptop"} | change, format="json").status_code == 400
    assert not AccessToken.objects.exists()


def test_an_answer_with_a_secret_is_not_kept_for_repetition(vera):
    answer = browser(vera).post(URL, {"name": "laptop"}, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 400
    assert not AccessToken.objects.exists()
