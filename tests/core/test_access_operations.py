"""Accounts, roles, tokens and one-time links: who may make which, and what is kept of them."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.models import AccessToken, AuditEvent, SignInLink, User
from core.models.access import digest
from core.operations import access
from core.roles import Role
from tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db


def token_user(*roles, **token):
    """A user who signed in with a token."""
    return access.user_of_token(make_token(make_user(*roles), **token))


# --- Accounts -----------------------------------------------------------------------------------------------


def test_a_new_account_has_its_roles_and_no_password():
    user = access.ensure_user(actor=None, username="sora", roles={Role.SCIENTIST, Role.VIEWER})
    assert user.roles == {Role.SCIENTIST, Role.VIEWER}
    assert not user.has_usable_password()
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True)) == [
        "user.create",
        "user.grant",
    ]


def test_ensuring_twice_changes_nothing():
    for _ in range(2):
        access.ensure_user(actor=None, username="sora", roles={Role.SCIENTIST, Role.VIEWER})
    assert User.objects.count() == 1
    assert AuditEvent.objects.count() == 2


def test_ensuring_adds_roles_and_takes_none_away():
    access.ensure_user(actor=None, username="sora", roles={Role.SCIENTIST})
    user = access.ensure_user(actor=None, username="sora", roles={Role.APPROVER})
    assert user.roles == {Role.SCIENTIST, Role.APPROVER, Role.VIEWER}
    assert AuditEvent.objects.filter(action="user.grant").first().changes == {"roles": ["approver"]}


@pytest.mark.parametrize("role", ["viewer", "scientist", "approver", "operator"])
def test_only_admins_make_accounts(role):
    with pytest.raises(NotAllowed):
        access.ensure_user(actor=make_user(role), username="new", roles={Role.ADMIN})
    assert not User.objects.filter(username="new").exists()


def test_a_read_only_token_of_an_admin_makes_no_account():
    with pytest.raises(NotAllowed):
        access.ensure_user(actor=token_user("admin", read_only=True), username="new", roles=set())


@pytest.mark.django_db(transaction=True)
def test_an_account_ensured_by_many_at_once_is_made_once():
    together = threading.Barrier(4)

    def ensure(_number):
        try:
            together.wait(timeout=10)
            return access.ensure_user(actor=None, username="sora", roles={Role.SCIENTIST}).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ensure, range(4))) == {User.objects.get().pk}
    assert sorted(AuditEvent.objects.values_list("action", flat=True)) == ["user.create", "user.grant"]


def test_another_owner_of_an_account_that_is_there_is_refused():
    person, other = make_user(), make_user()
    robot = access.ensure_user(actor=None, username="robot", roles=set(), owner=person)
    assert access.ensure_user(actor=None, username="robot", roles=set(), owner=person) == robot
    with pytest.raises(Conflict, match="robot"):
        access.ensure_user(actor=None, username="robot", roles={Role.ADMIN}, owner=other)
    with pytest.raises(Conflict):
        access.ensure_user(actor=None, username=person.username, roles=set(), owner=other)
    assert User.objects.get(pk=robot.pk).owner == person
    assert Role.ADMIN not in User.objects.get(pk=robot.pk).roles


def test_a_name_no_account_can_have_is_refused():
    with pytest.raises(ValidationError):
        access.ensure_user(actor=None, username="a b/c", roles=set())


def test_an_account_that_is_switched_off_may_do_nothing():
    with pytest.raises(NotAllowed):
        access.ensure_user(actor=make_user("admin", is_active=False), username="new", roles=set())


# --- Tokens -------------------------------------------------------------------------------------------------


def test_a_token_is_kept_only_as_its_hash():
    token, secret = access.create_token(actor=None, user=make_user(), name="laptop")
    assert token.digest == digest(secret)
    assert secret.startswith(token.hint)
    assert len(token.hint) < len(secret) / 2
    assert secret not in str(AuditEvent.objects.values()) + str(AccessToken.objects.values())


def test_people_make_tokens_for_themselves_and_their_service_accounts():
    person = make_user()
    for user in (person, make_user("scientist", owner=person)):
        token, _secret = access.create_token(actor=person, user=user, name="mine")
        assert (token.user, token.created_by) == (user, person)


def test_only_admins_make_tokens_for_others():
    with pytest.raises(NotAllowed):
        access.create_token(
            actor=make_user("scientist", "approver", "operator"), user=make_user(), name="theirs"
        )
    assert access.create_token(actor=make_user("admin"), user=make_user(), name="theirs")


@pytest.mark.parametrize("roles", [(), ("viewer",), ("scientist", "operator")])
def test_a_token_and_all_roles_behind_it_are_read_at_once(roles, django_assert_num_queries):
    secret = make_token(make_user(*roles), last_used_at=timezone.now())
    with django_assert_num_queries(1):
        user = access.user_of_token(secret)
        found = user.roles
    assert found == {Role.VIEWER, *(Role(role) for role in roles)}


@pytest.mark.parametrize("limits", [{}, {"read_only": True}])
def test_a_token_makes_and_revokes_no_token(limits):
    actor = token_user("admin", **limits)
    with pytest.raises(NotAllowed):
        access.create_token(actor=actor, user=actor, name="another")
    with pytest.raises(NotAllowed):
        access.revoke_token(actor=actor, token=actor.signed_in_with)
    assert AccessToken.objects.get().is_usable()


def test_a_token_of_no_domain_or_of_the_past_is_refused():
    for wrong in ({"domain": "kitchen"}, {"expires_at": timezone.now() - timedelta(seconds=1)}):
        with pytest.raises(Invalid):
            access.create_token(actor=None, user=make_user(), name="wrong", **wrong)
    assert not AccessToken.objects.exists()


def test_a_token_name_that_cannot_be_kept_is_refused():
    for name in ("", "x" * 101):
        with pytest.raises(ValidationError):
            access.create_token(actor=None, user=make_user(), name=name)
    assert not AccessToken.objects.exists()


def test_a_token_is_revoked_once_and_then_stands_for_nobody():
    owner = make_user()
    token, secret = access.create_token(actor=owner, user=owner, name="laptop")
    access.revoke_token(actor=owner, token=token)
    assert access.user_of_token(secret) is None
    with pytest.raises(Conflict):
        access.revoke_token(actor=owner, token=token)
    assert AuditEvent.objects.filter(action="access_token.revoke").count() == 1


def test_others_tokens_are_revoked_by_admins_only():
    token, secret = access.create_token(actor=None, user=make_user(), name="laptop")
    with pytest.raises(NotAllowed):
        access.revoke_token(actor=make_user("operator"), token=token)
    assert access.user_of_token(secret)
    access.revoke_token(actor=make_user("admin"), token=token)
    assert access.user_of_token(secret) is None


# --- One-time links -----------------------------------------------------------------------------------------


def test_a_link_signs_in_once():
    user = make_user()
    secret = access.create_sign_in_link(actor=None, user=user)
    assert access.use_sign_in_link(secret=secret) == user
    with pytest.raises(NotFound):
        access.use_sign_in_link(secret=secret)
    assert secret not in str(SignInLink.objects.values()) + str(AuditEvent.objects.values())


def test_a_link_that_expired_was_guessed_or_is_of_a_switched_off_account_signs_nobody_in():
    expired = access.create_sign_in_link(actor=None, user=make_user(), lifetime=timedelta(0))
    switched_off = access.create_sign_in_link(actor=None, user=make_user(is_active=False))
    for secret in (expired, switched_off, "link_guess"):
        with pytest.raises(NotFound):
            access.use_sign_in_link(secret=secret)


def test_only_admins_make_links():
    with pytest.raises(NotAllowed):
        access.create_sign_in_link(actor=make_user("operator"), user=make_user("admin"))
