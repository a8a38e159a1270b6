"""What admins do with accounts, and what nobody may do: lose the last admin, or switch oneself off."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.models import AccessToken, AuditEvent, User
from core.operations import access, accounts
from core.roles import Role
from tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db
OTHERS = ("viewer", "scientist", "approver", "operator")


def rows(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action))


# --- Making accounts ------------------------------------------------------------------------------------------------


def test_a_new_account_has_its_roles_no_password_and_one_audit_row():
    admin = make_user("admin")
    user = accounts.create_account(actor=admin, username="sora", roles={Role.SCIENTIST})
    assert user.roles == {Role.SCIENTIST, Role.VIEWER}
    assert not user.has_usable_password()
    (event,) = AuditEvent.objects.all()
    assert (event.action, event.actor) == ("user.create", admin)
    assert event.changes == {"roles": ["viewer", "scientist"], "owner": None}


def test_a_service_account_has_a_person_who_answers_for_it():
    person = make_user()
    robot = accounts.create_account(actor=None, username="robot", roles=set(), owner=person)
    assert robot.person == person
    with pytest.raises(Invalid, match="robot"):
        accounts.create_account(actor=None, username="robot2", roles=set(), owner=robot)


def test_a_name_that_is_taken_or_that_no_account_can_have_is_refused():
    taken = make_user()
    with pytest.raises(Conflict):
        accounts.create_account(actor=None, username=taken.username, roles=set())
    with pytest.raises(ValidationError):
        accounts.create_account(actor=None, username="a b/c", roles=set())
    assert User.objects.count() == 1
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("role", OTHERS)
def test_only_admins_do_anything_with_accounts(role):
    actor, user = make_user(role), make_user()
    for operation in (
        lambda: accounts.create_account(actor=actor, username="new", roles=set()),
        lambda: accounts.change_roles(actor=actor, user=actor, roles={Role.ADMIN}),
        lambda: accounts.switch_off(actor=actor, user=user),
        lambda: accounts.switch_on(actor=actor, user=user),
    ):
        with pytest.raises(NotAllowed):
            operation()
    assert not AuditEvent.objects.exists()


def test_a_read_only_token_of_an_admin_changes_no_account():
    actor = access.user_of_token(make_token(make_user("admin"), read_only=True))
    with pytest.raises(NotAllowed):
        accounts.change_roles(actor=actor, user=make_user(), roles={Role.ADMIN})


# --- Roles ----------------------------------------------------------------------------------------------------------


def test_roles_are_given_and_taken_away_at_once_with_one_audit_row():
    user = make_user("scientist", "operator")
    changed = accounts.change_roles(actor=make_user("admin"), user=user, roles={Role.APPROVER})
    assert changed.roles == {Role.VIEWER, Role.APPROVER}
    (event,) = rows("user.change_roles")
    assert event.changes == {"roles": [["viewer", "scientist", "operator"], ["viewer", "approver"]]}


def test_the_same_roles_again_change_nothing():
    accounts.change_roles(actor=None, user=make_user("scientist"), roles={Role.SCIENTIST})
    assert not AuditEvent.objects.exists()


def test_the_last_admin_stays_one():
    admin = make_user("admin")
    make_user("admin", owner=admin)  # a service account: cannot sign in to give the role back
    make_user("admin", is_active=False)
    for actor in (admin, None):
        with pytest.raises(Conflict, match="last admin"):
            accounts.change_roles(actor=actor, user=admin, roles={Role.SCIENTIST})
    other = make_user("admin")
    accounts.change_roles(actor=admin, user=admin, roles={Role.SCIENTIST})
    with pytest.raises(Conflict, match="last admin"):
        accounts.change_roles(actor=other, user=other, roles=set())


def test_a_superuser_whose_admin_role_is_taken_is_none_any_more():
    root = make_user(is_superuser=True)
    changed = accounts.change_roles(actor=make_user("admin"), user=root, roles={Role.OPERATOR})
    assert changed.roles == {Role.VIEWER, Role.OPERATOR}
    assert not changed.is_superuser


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_take_each_others_role_away_at_once_leave_one():
    one, two = make_user("admin"), make_user("admin")
    together = threading.Barrier(2)

    def take(pair):
        try:
            together.wait(timeout=10)
            accounts.change_roles(actor=pair[0], user=pair[1], roles=set())
            return True
        except (Conflict, NotAllowed):
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        done = list(threads.map(take, [(one, two), (two, one)]))
    assert sorted(done) == [False, True]
    assert User.objects.filter(groups__name="admin").count() == 1


# --- Off and on -----------------------------------------------------------------------------------------------------


def test_switching_off_ends_sessions_tokens_and_links_for_good():
    user, other = make_user("operator"), make_user("operator")
    browser, others_browser = Client(), Client()
    browser.force_login(user)
    others_browser.force_login(other)
    secret, others_secret = make_token(user), make_token(other)
    link = access.create_sign_in_link(actor=None, user=user)

    accounts.switch_off(actor=make_user("admin"), user=user, reason="left")

    def is_shut():
        return (
            browser.get("/").status_code == 302
            and access.user_of_token(secret) is None
            and access.link_state(secret=link)[0] != "usable"
        )

    assert is_shut()
    (event,) = rows("user.switch_off")
    assert event.changes == {"is_active": [True, False], "tokens_revoked": 1, "sessions_ended": 1}
    assert event.reason == "left"

    accounts.switch_on(actor=None, user=user)
    assert User.objects.get(pk=user.pk).is_active
    assert is_shut()
    with pytest.raises(NotFound):
        access.use_sign_in_link(secret=link)
    assert rows("user.switch_on")[0].changes == {"is_active": [False, True]}

    assert others_browser.get("/").status_code == 200
    assert access.user_of_token(others_secret) == other
    assert Session.objects.count() == 1
    assert AccessToken.objects.filter(revoked_at=None).count() == 1


def test_nobody_switches_themselves_or_the_last_admin_off():
    admin = make_user("admin")
    make_user("admin", is_active=False)
    with pytest.raises(Conflict, match="your own"):
        accounts.switch_off(actor=admin, user=admin)
    with pytest.raises(Conflict, match="last admin"):
        accounts.switch_off(actor=None, user=admin)
    assert User.objects.get(pk=admin.pk).is_active


def test_switching_twice_is_told():
    user = make_user()
    with pytest.raises(Conflict):
        accounts.switch_on(actor=None, user=user)
    accounts.switch_off(actor=None, user=user)
    with pytest.raises(Conflict):
        accounts.switch_off(actor=None, user=user)
    assert len(rows("user.switch_off")) == 1


def test_service_accounts_of_a_person_who_is_switched_off_have_a_switch_of_their_own():
    person = make_user()
    secret = make_token(make_user(owner=person), expires_at=None)
    accounts.switch_off(actor=None, user=person)
    assert access.user_of_token(secret)


def test_links_that_are_over_stay_as_they_were():
    user = make_user()
    access.create_sign_in_link(actor=None, user=user, lifetime=timedelta(seconds=-5))
    before = user.sign_in_links.get().expires_at
    accounts.switch_off(actor=None, user=user)
    assert user.sign_in_links.get().expires_at == before
