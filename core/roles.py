"""Who may do what: the one table of rights by role, and the one place that asks it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Optional

from django.utils.translation import gettext_noop

from core.errors import NotAllowed
from core.translation import gettext as _

if TYPE_CHECKING:
    from core.models import User


class Role(StrEnum):
    VIEWER = "viewer"
    SCIENTIST = "scientist"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"


class Domain(StrEnum):
    """What a token may be limited to."""

    CORE = "core"
    LIFECYCLE = "lifecycle"
    SERVING = "serving"
    FEATURES = "features"
    EVALUATION = "evaluation"
    PROMPTS = "prompts"


class Right(StrEnum):
    """What somebody may do, as a refusal tells it."""

    READ = gettext_noop("read")
    PREDICT = gettext_noop("call prediction endpoints")
    AUTHOR = gettext_noop("create and edit")
    TICK = gettext_noop("tick checklist items")
    DECIDE = gettext_noop("approve, reject and move stages")
    DEPLOY_DEVELOPMENT = gettext_noop("deploy in development")
    DEPLOY_PROTECTED = gettext_noop("deploy in staging and production")
    WATCH = gettext_noop("record drift and acknowledge drift and alerts")
    ADMINISTER = gettext_noop("administer users, tokens and settings")


RIGHTS: dict[Right, frozenset[Role]] = {
    Right.READ: frozenset(Role),
    Right.PREDICT: frozenset(Role),
    Right.AUTHOR: frozenset({Role.SCIENTIST, Role.ADMIN}),
    Right.TICK: frozenset({Role.SCIENTIST, Role.APPROVER, Role.OPERATOR, Role.ADMIN}),
    Right.DECIDE: frozenset({Role.APPROVER, Role.ADMIN}),
    Right.DEPLOY_DEVELOPMENT: frozenset({Role.SCIENTIST, Role.OPERATOR, Role.ADMIN}),
    Right.DEPLOY_PROTECTED: frozenset({Role.OPERATOR, Role.ADMIN}),
    Right.WATCH: frozenset({Role.SCIENTIST, Role.OPERATOR, Role.ADMIN}),
    Right.ADMINISTER: frozenset({Role.ADMIN}),
}
CHANGES_NOTHING = frozenset({Right.READ, Right.PREDICT})


def may(actor: Optional["User"], right: Right, *, domain: Domain) -> bool:
    """Whether `actor` holds `right` in `domain`, within what the token they signed in with allows.

    `None` is the system itself and may do everything.
    """
    return _refusal(actor, right, domain) is None


def require(actor: Optional["User"], right: Right, *, domain: Domain) -> None:
    """Raise `NotAllowed`, saying what is missing, unless `may` holds."""
    if refusal := _refusal(actor, right, domain):
        raise NotAllowed(refusal)


def _refusal(actor: Optional["User"], right: Right, domain: Domain) -> str | None:
    if actor is None:
        return None
    if not actor.is_active:
        return _("This account is switched off.")
    token = actor.signed_in_with
    if token and token.read_only and right not in CHANGES_NOTHING:
        return _("This token is read-only.")
    if token and token.domain and token.domain != domain:
        return _("This token is limited to “%(domain)s”.") % {"domain": token.domain}
    if not actor.roles & RIGHTS[right]:
        return _("To %(right)s you need one of these roles: %(roles)s.") % {
            "right": _(right.value),
            "roles": ", ".join(role for role in Role if role in RIGHTS[right]),
        }
    return None
