"""Accounts, tokens, alerts and the audit trail in the admin: actions call operations; the trail is never changed."""

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from core.models import AccessToken, Alert, AuditEvent, User
from core.operations import audit
from core.operations.access import create_sign_in_link, create_token, user_of_token
from core.operations.alerts import raise_alert
from core.roles import Domain, Role
from tests.admin_rows import ROLES, act, client_of, told, url
from tests.factories import make_user

pytestmark = pytest.mark.django_db
USER, TOKEN, EVENT = "core.user", "core.accesstoken", "core.auditevent"


def audited(action: str) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(action=action, via="admin"))


# --- Accounts -------------------------------------------------------------------------------------------------------


def test_an_admin_makes_a_service_account_by_form():
    client, person = client_of("admin"), make_user(username="sora")
    client.post(url(USER, "add"), {"username": "robot", "owner": "sora", "roles": ["scientist"]})
    robot = User.objects.get(username="robot")
    assert (robot.owner, robot.roles) == (person, {Role.SCIENTIST, Role.VIEWER})
    assert len(audited("user.create")) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"username": "sora"}, {"username": "a b"}, {"owner": "nobody"}, {"owner": "robot"}, {"roles": ["king"]},
     {"username": ""}, {"owner": "a\0b"}],
)  # fmt: skip
def test_an_account_that_cannot_be_is_refused_in_the_form(wrong):
    make_user(username="robot", owner=make_user(username="sora"))
    client = client_of("admin")
    page = client.post(url(USER, "add"), {"username": "new", "owner": "", "roles": ["scientist"]} | wrong)
    assert page.status_code == 200
    assert page.context["errors"]
    assert User.objects.count() == 3
    assert not AuditEvent.objects.exists()


def test_roles_are_changed_for_several_at_once():
    client, users = client_of("admin"), [make_user("scientist"), make_user()]
    act(client, USER, "change_roles", *users, roles=["approver", "operator"])
    assert {user.roles for user in User.objects.filter(pk__in=[user.pk for user in users])} == {
        frozenset({Role.VIEWER, Role.APPROVER, Role.OPERATOR})
    }
    assert len(audited("user.change_roles")) == 2


def test_the_last_admin_cannot_be_lost_here():
    client = client_of("admin")
    page = client.get(act(client, USER, "change_roles", client.user).url)
    assert "last admin" in told(page)[-1]
    page = client.get(act(client, USER, "switch_off", client.user, reason="").url)
    assert "your own account" in told(page)[-1]
    assert User.objects.get(pk=client.user.pk).is_active


def test_an_account_is_switched_off_and_on():
    client, user = client_of("admin"), make_user("operator")
    theirs = Client()
    theirs.force_login(user)
    act(client, USER, "switch_off", user, reason="left")
    assert theirs.get("/").status_code == 302
    assert audited("user.switch_off")[0].reason == "left"
    act(client, USER, "switch_on", user)
    assert User.objects.get(pk=user.pk).is_active


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_accounts_are_for_admins(role):
    client, user = client_of(role), make_user()
    for action in ("change_roles", "make_token", "make_link", "switch_off", "switch_on"):
        answers = {"roles": ["admin"], "name": "x", "reason": ""}
        assert act(client, USER, action, user, **answers).status_code == 403
        assert act(client, USER, action, client.user, **answers).status_code == 403
    assert client.post(url(USER, "add"), {"username": "new"}).status_code == 403
    assert not AuditEvent.objects.exists()
    assert not AccessToken.objects.exists()


# --- Secrets --------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_nowhere():
    client, user = client_of("admin"), make_user("scientist")
    page = act(
        client,
        USER,
        "make_token",
        user,
        name="ci",
        read_only="on",
        domain="lifecycle",
        expires_at="2999-01-01",
    )
    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    ((_label, secret),) = page.context["secrets"]
    assert secret in page.content.decode()
    assert user_of_token(secret) == user
    token = AccessToken.objects.get()
    assert (token.read_only, token.domain, token.created_by) == (True, "lifecycle", client.user)
    assert f"{token.expires_at:%Y-%m-%d %H:%M}" == "2999-01-02 00:00"
    later = (
        client.get(url(TOKEN)).content.decode() + client.get(url(TOKEN, "change", token.pk)).content.decode()
    )
    kept = str([session.get_decoded() for session in Session.objects.all()]) + str(
        AuditEvent.objects.values()
    )
    assert secret not in later + kept + str(client.cookies)


@pytest.mark.parametrize("wrong", [{"name": ""}, {"name": "x" * 101}, {"domain": "kitchen"}, {"expires_at": "soon"},
                                   {"expires_at": "9999-12-31"}])  # fmt: skip
def test_a_token_that_cannot_be_is_asked_for_again(wrong):
    page = act(client_of("admin"), USER, "make_token", make_user(), **({"name": "ci"} | wrong))
    assert page.context["form"].errors
    assert not AccessToken.objects.exists()


def test_a_token_that_would_have_expired_is_refused_by_the_operation():
    client = client_of("admin")
    page = client.get(act(client, USER, "make_token", make_user(), name="ci", expires_at="2020-01-01").url)
    assert "expired already" in told(page)[0]


def test_a_sign_in_link_is_shown_once_and_works():
    client, user = client_of("admin"), make_user("operator")
    page = act(client, USER, "make_link", user)
    ((label, link),) = page.context["secrets"]
    assert label == user.username
    theirs = Client()
    theirs.post(link.partition("8000")[2] or link)
    assert theirs.get("/").status_code == 200
    assert link not in str([session.get_decoded() for session in Session.objects.all()])


def test_tokens_are_revoked_once():
    client = client_of("admin")
    token, secret = create_token(actor=None, user=make_user(), name="ci")
    act(client, TOKEN, "revoke", token)
    assert user_of_token(secret) is None
    page = client.get(act(client, TOKEN, "revoke", token).url)
    assert "revoked already" in told(page)[-1]
    assert len(audited("access_token.revoke")) == 1


# --- Alerts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"), [("viewer", False), ("approver", False), ("scientist", True), ("operator", True)]
)
def test_alerts_are_acknowledged_by_those_who_watch(role, allowed):
    alert = raise_alert(key="k", domain=Domain.LIFECYCLE, severity="high", title="Too hot")
    response = act(client_of(role), "core.alert", "acknowledge", alert, note="on it")
    assert response.status_code == (302 if allowed else 403)
    assert Alert.objects.get().note == ("on it" if allowed else "")


# --- The audit trail ------------------------------------------------------------------------------------------------


@pytest.fixture
def events():
    user = make_user()
    for number in range(3):
        create_sign_in_link(actor=None, user=user)
        create_token(actor=user, user=user, name=f"t{number}")
    audit.seal()
    return list(AuditEvent.objects.order_by("id").values())


@pytest.mark.parametrize("who", [*ROLES, "superuser"])
def test_the_trail_is_read_by_all_and_changed_by_nobody(events, who):
    client = (
        client_of(user=make_user(is_superuser=True, is_staff=True)) if who == "superuser" else client_of(who)
    )
    row = events[0]["id"]
    assert client.get(url(EVENT)).status_code == client.get(url(EVENT, "change", row)).status_code == 200
    assert (
        client.get(url(EVENT, "add")).status_code
        == client.post(url(EVENT, "add"), {"action": "x"}).status_code
        == 403
    )
    assert client.post(url(EVENT, "change", row), {"action": "x", "actor_name": "x"}).status_code == 403
    assert client.post(url(EVENT, "delete", row), {"post": "yes"}).status_code == 403
    for action in ("delete_selected", "erase"):
        chosen = {"action": action, "_selected_action": [row], "post": "yes", "confirmed": "1", "index": "0"}
        assert client.post(url(EVENT), chosen).status_code == 403
    edited = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": row,
        "form-0-action": "x",
        "_save": "1",
    }
    client.post(url(EVENT), edited)
    assert list(AuditEvent.objects.order_by("id").values()) == events


def test_the_trail_is_searched_and_filtered(events):
    client = client_of("viewer")

    def found(**query):
        return [event.action for event in client.get(url(EVENT), query).context["cl"].result_list]

    assert len(found()) == 6
    assert found(q="t1") == ["access_token.create"]
    assert found(action="user.") == ["user.sign_in_link"] * 3
    assert found(actor="system") == ["user.sign_in_link"] * 3
    assert found(via="admin") == found(domain="serving") == found(at_to="2020-01-01") == []
    today = f"{timezone.now():%Y-%m-%d}"
    assert len(found(at_from=today, at_to=today)) == 6
    assert len(found(sealed="yes", object_type="accesstoken")) == 3


def test_a_row_shows_what_was_before_and_after(events):
    client = client_of("admin")
    act(client, USER, "change_roles", make_user("scientist"), roles=["operator"])
    event = audited("user.change_roles")[0]
    page = client.get(url(EVENT, "change", event.pk)).content.decode()
    for word in ("scientist", "operator", client.user.username, "user.change_roles"):
        assert word in page


def test_admins_verify_the_chain(events):
    verify = "/admin/core/auditevent/verify/"
    client = client_of("admin")
    assert "Verify the chain" in client.get(url(EVENT)).content.decode()
    assert told(client.post(verify, follow=True)) == [
        "The audit trail holds: 6 rows sealed, 0 waiting to be."
    ]
    assert client.get(verify).status_code == 405
    super(type(AuditEvent.objects.all()), AuditEvent.objects.filter(pk=events[2]["id"])).update(
        reason="forged"
    )
    assert "was changed after it was sealed" in told(client.post(verify, follow=True))[0]
    viewer = client_of("viewer")
    assert viewer.post(verify).status_code == 403
    assert "Verify the chain" not in viewer.get(url(EVENT)).content.decode()
