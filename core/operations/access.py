"""Accounts, roles, tokens and one-time sign-in links."""

import re
from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from core import attempts
from core.errors import Conflict, Invalid, NotAllowed, NotFound
from core.lookups import one_or_none
from core.models import AccessToken, SignInLink, User
from core.models.access import digest, new_secret
from core.names import check_visible
from core.operations import audit
from core.roles import Domain, Right, Role, require
from core.translation import gettext as _

TOKEN_PREFIX = "mlops"
LINK_LIFETIME = timedelta(hours=24)
NOTE_USE_EVERY = timedelta(minutes=1)


@transaction.atomic
def ensure_user(*, actor: User | None, username: str, roles: set[Role], owner: User | None = None) -> User:
    """Return the user of that name with at least these roles, making what is missing (without a password).

    Raises Conflict when the account is there and somebody else, or nobody, answers for it: changing that
    would change whose work it did.
    """
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    username = check_visible(User.normalize_username(username), field="username")
    user = _locked_user(username) or _make_user(actor, username, owner)
    if owner and user.owner_id != owner.pk:
        raise Conflict(
            _("“%(user)s” exists already and is not owned by “%(owner)s”. Choose another name.")
            % {"user": username, "owner": owner.username}
        )
    missing = sorted(role for role in roles if role not in user.roles or role == Role.VIEWER)
    groups = [Group.objects.get_or_create(name=role.value)[0] for role in missing]
    added = [group for group in groups if not user.groups.filter(pk=group.pk).exists()]
    if added:
        user.groups.add(*added)
        audit.record(
            actor=actor,
            action="user.grant",
            target=user,
            domain=Domain.CORE,
            changes={"roles": [group.name for group in added]},
        )
    return User.objects.get(pk=user.pk)


def new_account(*, username: str, owner: User | None) -> User:
    """An account without a password, not saved yet.

    Raises ValidationError for a name that no account can have, Conflict for one that people read as another's.
    """
    user = User(username=username, owner=owner)
    user.set_unusable_password()
    user.full_clean(exclude=["password"], validate_unique=False)
    # A regular expression, since SQLite compares only ASCII letters without their case.
    alike = User.objects.filter(username__iregex=f"^{re.escape(user.username)}$").exclude(
        username=user.username
    )
    if other := alike.first():
        raise Conflict(
            _(
                "There is an account “%(other)s” already, and “%(user)s” reads as the same name. Choose another one."
            )
            % {"other": other.username, "user": user.username}
        )
    return user


def _locked_user(username: str) -> User | None:
    return one_or_none(User.objects.select_for_update().filter(username=username))


def _make_user(actor: User | None, username: str, owner: User | None) -> User:
    user = new_account(username=username, owner=owner)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        if made_meanwhile := _locked_user(username):
            return made_meanwhile
        raise
    audit.record(actor=actor, action="user.create", target=user, domain=Domain.CORE)
    return user


@transaction.atomic
def create_token(
    *,
    actor: User | None,
    user: User,
    name: str,
    read_only: bool = False,
    domain: str = "",
    expires_at: datetime | None = None,
) -> tuple[AccessToken, str]:
    """Make a token for `user`; returns it with its secret, which is shown this once and never again.

    People make tokens for themselves and for the service accounts they own; admins for everybody. A token
    cannot make another token that may do more than itself.
    """
    if actor and actor.signed_in_with:
        raise NotAllowed(_("Sign in with a browser to make a token: a token cannot make tokens."))
    if actor and user.person != actor.person:
        require(actor, Right.ADMINISTER, domain=Domain.CORE)
    check_visible(name)
    if domain and domain not in set(Domain):
        raise Invalid(_("Choose one of these domains: %s.") % ", ".join(Domain), fields={"domain": domain})
    if expires_at and expires_at <= timezone.now():
        raise Invalid(_("The token would have expired already."), fields={"expires_at": expires_at})
    secret = new_secret(TOKEN_PREFIX)
    token = AccessToken(
        user=user,
        name=name,
        digest=digest(secret),
        hint=secret[:12],
        read_only=read_only,
        domain=domain,
        expires_at=expires_at,
        created_by=actor,
    )
    token.clean_fields(exclude=["user", "created_by"])
    token.save()
    audit.record(
        actor=actor,
        action="access_token.create",
        target=token,
        domain=Domain.CORE,
        changes={"user": user.username, "read_only": read_only, "limited_to": domain},
    )
    return token, secret


@transaction.atomic
def revoke_token(*, actor: User | None, token: AccessToken) -> None:
    """End a token at once. People end their own and their service accounts'; admins everybody's."""
    if actor and actor.signed_in_with:
        raise NotAllowed(_("Sign in with a browser to revoke a token: a token cannot revoke tokens."))
    if actor and token.user.person != actor.person:
        require(actor, Right.ADMINISTER, domain=Domain.CORE)
    changed = AccessToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
    if not changed:
        raise Conflict(_("This token was revoked already."))
    audit.record(actor=actor, action="access_token.revoke", target=token, domain=Domain.CORE)


def sign_in_with_token(*, secret: str, address: str) -> User | None:
    """The user a bearer secret stands for, or None.

    Raises TooManyAttempts for another unknown one from an address that many came from.
    """
    user = user_of_token(secret)
    if user is None:
        note_unknown_secret(address)
    return user


def note_unknown_secret(address: str) -> None:
    """Count an unknown token or link. Raises TooManyAttempts when there were too many from that address."""
    key = attempts.of_secrets(address)
    attempts.failed_attempts.check(key)
    attempts.failed_attempts.note(key)


def user_of_token(secret: str) -> User | None:
    """The user a bearer secret stands for, or None. Notes the use, at most once a minute."""
    # A row for each group of the user's: one query, since every request of a program comes by here.
    tokens = AccessToken.objects.filter(digest=digest(secret)).select_related("user").order_by()
    rows = list(tokens.annotate(group_name=F("user__groups__name")))
    now = timezone.now()
    if not rows or not rows[0].is_usable(now):
        return None
    token = rows[0]
    if token.last_used_at is None or now - token.last_used_at > NOTE_USE_EVERY:
        AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)
    user = token.user
    user.signed_in_with = token
    user.roles = user.roles_of(row.group_name for row in rows if row.group_name)
    return user


@transaction.atomic
def create_sign_in_link(*, actor: User | None, user: User, lifetime: timedelta = LINK_LIFETIME) -> str:
    """Make a one-time link for `user` and return its secret part."""
    require(actor, Right.ADMINISTER, domain=Domain.CORE)
    secret = new_secret("link")
    SignInLink.objects.create(user=user, digest=digest(secret), expires_at=timezone.now() + lifetime)
    audit.record(actor=actor, action="user.sign_in_link", target=user, domain=Domain.CORE)
    return secret


def link_state(*, secret: str) -> tuple[str, User | None]:
    """What a one-time link is good for: ("usable", its user), or ("used" | "expired" | "unknown", None)."""
    link = one_or_none(SignInLink.objects.select_related("user").filter(digest=digest(secret)))
    if link is None or not link.user.is_active:
        return "unknown", None
    if link.used_at:
        return "used", None
    if link.expires_at <= timezone.now():
        return "expired", None
    return "usable", link.user


def sign_in_with_password(*, username: str, password: str, address: str) -> User | None:
    """The user of a name and a password, or None where they do not fit. Audited.

    Raises TooManyAttempts, whatever the password, after too many wrong ones from that address or for that name.
    """
    keys = attempts.of_address(address), attempts.of_account(username)
    attempts.failed_attempts.check(*keys)
    user = authenticate(username=username, password=password)
    if user is None:
        attempts.failed_attempts.note(*keys)
        return None
    with transaction.atomic():  # only now: hashing a password takes long, and others wait to write
        audit.record(
            actor=user, action="user.sign_in", target=user, domain=Domain.CORE, changes={"by": "password"}
        )
    return user


@transaction.atomic
def use_sign_in_link(*, secret: str) -> User:
    """Take a one-time link and return its user. Raises NotFound when it is unknown, used or too old."""
    now = timezone.now()
    taken = SignInLink.objects.filter(
        digest=digest(secret), used_at=None, expires_at__gt=now, user__is_active=True
    ).update(used_at=now)
    if not taken:
        raise NotFound(_("This sign-in link was used already, or is too old. Ask an admin for a new one."))
    user = SignInLink.objects.select_related("user").get(digest=digest(secret)).user
    audit.record(actor=user, action="user.sign_in", target=user, domain=Domain.CORE, changes={"by": "link"})
    return user
