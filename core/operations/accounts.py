"""What admins do with accounts: make them, change their roles, switch them off and on."""

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import AccessToken, SignInLink, User
from core.operations import audit
from core.operations.access import new_account
from core.roles import Domain, Right, Role, require
from core.translation import gettext as _


@transaction.atomic
def create_account(*, actor: User | None, username: str, roles: set[Role], owner: User | None = None) -> User:
    """Make an account without a password; with an `owner` it is a service account that this person answers for.

    Raises Conflict when the name is taken or reads as one that is, Invalid when a service account should own one,
    ValidationError for a name that no account can have.
    """
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    if owner and owner.owner_id:
        raise Invalid(
            _("A person answers for a service account, and “%(owner)s” is one itself.")
            % {"owner": owner.username},
            fields={"owner": owner.username},
        )
    user = new_account(username=username, owner=owner)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Conflict(_("There is an account “%(user)s” already.") % {"user": username}) from error
    user.groups.set(_groups(roles))
    audit.record(
        actor=actor,
        action="user.create",
        target=user,
        domain=Domain.CORE,
        changes={"roles": _in_order(roles), "owner": owner.username if owner else None},
    )
    return User.objects.get(pk=user.pk)


@transaction.atomic
def change_roles(*, actor: User | None, user: User, roles: set[Role]) -> User:
    """Give `user` exactly these roles; a viewer everybody is. They hold from the next request on.

    Raises Conflict when nobody would be left to administer.
    """
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    user = _locked(user)
    before, after = _in_order(user.roles), _in_order(roles)
    if before == after:
        return user
    if Role.ADMIN.value not in after:
        _refuse_without_admin(user)
        user.is_superuser = False
        user.save(update_fields=["is_superuser"])
    user.groups.set(_groups(roles))
    audit.record(
        actor=actor,
        action="user.change_roles",
        target=user,
        domain=Domain.CORE,
        changes={"roles": [before, after]},
    )
    return User.objects.get(pk=user.pk)


@transaction.atomic
def switch_off(*, actor: User | None, user: User, reason: str = "") -> User:
    """Let an account do nothing any more. Its sessions, tokens and unused sign-in links end, for good.

    Service accounts it owns go on: they have a switch each. Raises Conflict for one's own account, for the last admin,
    and when it is off already.
    """
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    user = _locked(user)
    if actor and actor.pk == user.pk:
        raise Conflict(_("You cannot switch your own account off. Ask another admin."))
    if not user.is_active:
        raise Conflict(_("“%(user)s” is switched off already.") % {"user": user.username})
    _refuse_without_admin(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    now = timezone.now()
    SignInLink.objects.filter(user=user, used_at=None, expires_at__gt=now).update(expires_at=now)
    audit.record(
        actor=actor,
        action="user.switch_off",
        target=user,
        domain=Domain.CORE,
        changes={
            "is_active": [True, False],
            "tokens_revoked": AccessToken.objects.filter(user=user, revoked_at=None).update(revoked_at=now),
            "sessions_ended": _end_sessions(user),
        },
        reason=reason,
    )
    return user


@transaction.atomic
def switch_on(*, actor: User | None, user: User) -> User:
    """Let an account work again, with the roles it had. It needs a new token or sign-in link. Conflict when it is
    on."""
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    user = _locked(user)
    if user.is_active:
        raise Conflict(_("“%(user)s” is switched on already.") % {"user": user.username})
    user.is_active = True
    user.save(update_fields=["is_active"])
    audit.record(
        actor=actor,
        action="user.switch_on",
        target=user,
        domain=Domain.CORE,
        changes={"is_active": [False, True]},
    )
    return user


def _locked(user: User) -> User:
    """The account as it is now. Whoever changes accounts waits in one line, so that two admins who take each other's
    role away at once cannot both succeed."""
    Group.objects.get_or_create(name=Role.ADMIN.value)
    Group.objects.select_for_update().get(name=Role.ADMIN.value)
    return User.objects.select_for_update().get(pk=user.pk)


def _refuse_without_admin(user: User) -> None:
    """Raise Conflict when `user` is the last person who can administer. Service accounts do not count: they cannot
    sign in here."""
    if Role.ADMIN not in user.roles:
        return
    admins = User.objects.filter(Q(groups__name=Role.ADMIN.value) | Q(is_superuser=True))
    if not admins.filter(is_active=True, owner=None).exclude(pk=user.pk).exists():
        raise Conflict(
            _("“%(user)s” is the last admin. Make somebody else one first.") % {"user": user.username}
        )


def _end_sessions(user: User) -> int:
    """Delete the sessions of `user`; returns how many. Each is opened, since a session's row does not say whose it
    is."""
    ended = [
        session.pk
        for session in Session.objects.filter(expire_date__gt=timezone.now()).iterator()
        if session.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    return Session.objects.filter(pk__in=ended).delete()[0]


def _groups(roles: set[Role]) -> list[Group]:
    return [Group.objects.get_or_create(name=role)[0] for role in _in_order(roles)]


def _in_order(roles: set[Role] | frozenset[Role]) -> list[str]:
    return [role.value for role in Role if role in roles or role == Role.VIEWER]
