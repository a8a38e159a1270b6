"""The prediction endpoint: who may call."""

import time

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from core.api import callers
from core.models import AccessToken
from core.operations.access import revoke_token
from tests.factories import make_token, make_user
from tests.serving.invocations import call, make_caller, make_target

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]


def test_anonymous_callers_are_asked_to_sign_in(start_process):
    process = start_process()
    make_target(process.address)

    response = call(Client())

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    assert process.received == []


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic !!!", "Bearer "])
def test_a_token_that_is_none_is_refused(header):
    make_target()
    response = call(Client(headers={"Authorization": header}))
    assert (response.status_code, response.json()["code"]) == (401, "authentication_failed")


@pytest.mark.parametrize("role", ["viewer", "scientist", "approver", "operator", "admin"])
def test_every_role_may_call(start_process, role):
    make_target(start_process().address)
    assert call(make_caller(role)).status_code == 200


@pytest.mark.parametrize("token", [{"read_only": True}, {"domain": "lifecycle"}])
def test_a_prediction_changes_nothing_so_a_limited_token_may_call(start_process, token):
    make_target(start_process().address)
    assert call(make_caller(**token)).status_code == 200


def test_a_token_of_another_domain_may_not(start_process):
    process = start_process()
    make_target(process.address)

    response = call(make_caller("admin", domain="features"))

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert process.received == []


def test_the_password_of_basic_credentials_is_a_token(start_process):
    from base64 import b64encode

    make_target(start_process().address)
    credentials = b64encode(f"anybody:{make_token(make_user())}".encode()).decode()
    assert call(Client(headers={"Authorization": f"Basic {credentials}"})).status_code == 200


def test_a_revoked_token_is_refused_within_a_second(start_process):
    make_target(start_process().address)
    client = make_caller()
    assert call(client).status_code == 200

    revoke_token(actor=None, token=AccessToken.objects.get())
    time.sleep(callers.REMEMBERED_SECONDS)

    assert call(client).status_code == 401


def test_a_switched_off_account_is_refused_within_a_second(start_process):
    make_target(start_process().address)
    client = make_caller()
    assert call(client).status_code == 200

    user = AccessToken.objects.get().user
    user.is_active = False
    user.save()
    time.sleep(callers.REMEMBERED_SECONDS)

    assert call(client).status_code == 401


def test_a_session_needs_its_csrf_token(start_process):
    process = start_process()
    make_target(process.address)
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())

    response = call(client)

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert process.received == []

    client.cookies["csrftoken"] = "a" * 32
    assert call(client, headers={"X-CSRFToken": "b" * 32}).status_code == 403
    assert call(client, headers={"X-CSRFToken": "a" * 32}).status_code == 200


def test_another_kind_of_authorization_does_not_hide_the_session(start_process):
    make_target(start_process().address)
    client = Client(headers={"Authorization": "Negotiate abc"})
    client.force_login(make_user())

    assert call(client).status_code == 200


def test_a_token_needs_no_csrf_token(start_process):
    make_target(start_process().address)
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {make_token(make_user())}"})
    assert call(client).status_code == 200


def test_known_callers_and_routes_cost_no_query(start_process, django_assert_num_queries):
    make_target(start_process().address)
    client = make_caller()
    call(client)

    with django_assert_num_queries(0):
        assert call(client).status_code == 200


def test_a_caller_gets_the_roles_given_meanwhile(start_process):
    make_target(start_process().address)
    client = make_caller()
    call(client)
    AccessToken.objects.get().user.groups.add(Group.objects.get_or_create(name="admin")[0])
    time.sleep(callers.REMEMBERED_SECONDS)
    call(client)

    (user, _until) = next(iter(callers.tokens._users.values()))
    assert "admin" in user.roles
