"""Accounts, tokens and sign-in links: for admins only. What is kept of a secret is its hash, and that is not shown
either."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import person
from core.admin.forms import AccountForm, ReasonForm, RolesForm, TokenForm
from core.models import AccessToken, SignInLink, User
from core.operations import access, accounts
from core.roles import Domain, Right, Role
from core.status_words import status_word

ADMINS = [Right.ADMINISTER]
OWNER = person("owner", _("owner"))


def make_token(actor: User, user: User, **answers: Any) -> tuple[str, str]:
    token, secret = access.create_token(actor=actor, user=user, **answers)
    return str(token), secret


def make_link(actor: User, user: User) -> tuple[str, str]:
    secret = access.create_sign_in_link(actor=actor, user=user)
    return user.username, f"{settings.PUBLIC_URL}{reverse('sign-in-link', args=[secret])}"


@admin.register(User)
class UserAdmin(PlatformAdmin):
    right_to_read = right_to_add = Right.ADMINISTER
    add_form = AccountForm
    related = ("owner",)
    list_display = ("username", "role_words", "is_active", OWNER, "last_login", "date_joined")
    search_fields = ("username", "email", "first_name", "last_name")
    search_help_text = _("Username, name or e-mail")
    ordering = ("username",)
    list_filter = (
        filters.conditions(
            "role",
            _("Role"),
            [
                (role.value, status_word("role", role).word, Q(groups__name=role.value))
                for role in Role
                if role != Role.VIEWER
            ],
        ),
        filters.conditions(
            "active",
            _("Switched on"),
            [("yes", _("Yes"), Q(is_active=True)), ("no", _("No"), Q(is_active=False))],
        ),
        filters.conditions(
            "kind",
            _("Kind"),
            [
                ("person", _("Person"), Q(owner=None)),
                ("service", _("Service account"), Q(owner__isnull=False)),
            ],
        ),
        filters.text("owner", _("Owner"), lookup="owner__username"),
    )
    leads_to = (
        (_("Tokens"), "core.accesstoken", "user", "username"),
        (_("Sign-in links"), "core.signinlink", "user", "username"),
        (_("Service accounts"), "core.user", "owner", "username"),
        (_("What they did"), "core.auditevent", "actor", "username"),
    )
    row_actions = (
        RowAction("change_roles", _("Change roles"), ADMINS, calling(accounts.change_roles, "user"), RolesForm,
                  icon="badge"),
        RowAction("make_token", _("Make a token"), ADMINS, make_token, TokenForm, icon="key", gives_secret=True,
                  warning=_("The token is shown once, on the next page, and never again.")),
        RowAction("make_link", _("Make a sign-in link"), ADMINS, make_link, icon="link", gives_secret=True,
                  warning=_("The link is shown once, on the next page. It signs in once, for 24 hours.")),
        RowAction("switch_off", _("Switch off"), ADMINS, calling(accounts.switch_off, "user"), ReasonForm,
                  icon="person_off",
                  warning=_("Sessions, tokens and sign-in links end at once. Switching on again does not bring "
                            "them back.")),
        RowAction("switch_on", _("Switch on"), ADMINS, calling(accounts.switch_on, "user"), icon="person_check"),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("groups")

    @display(description=_("roles"))
    def role_words(self, user: User) -> str:
        return ", ".join(str(status_word("role", role).word) for role in Role if role in user.roles)

    facts = (
        "username",
        "role_words",
        "is_active",
        OWNER,
        "first_name",
        "last_name",
        "email",
        "last_login",
        "date_joined",
    )

    def make(self, request: HttpRequest, answers: dict[str, Any]) -> Model:
        return accounts.create_account(actor=actor_of(request), **answers)


@admin.register(AccessToken)
class AccessTokenAdmin(PlatformAdmin):
    right_to_read = Right.ADMINISTER
    related = ("user", "created_by")
    list_display = (
        "name",
        person("user", _("user")),
        "hint",
        "read_only",
        "domain",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    ordering = ("-id",)  # as by age, which has no index
    sortable_by = ()
    search_fields = ("name", "hint", "user__username")
    search_help_text = _("Name, first characters or username")
    list_filter = (
        filters.text("user", _("User"), lookup="user__username"),
        filters.conditions(
            "state",
            _("State"),
            [
                ("usable", _("In use"), Q(revoked_at=None)),
                ("revoked", _("Revoked"), Q(revoked_at__isnull=False)),
            ],
        ),
        filters.choices("domain", _("Limited to"), [(domain.value, domain.value) for domain in Domain]),
    )
    facts = (
        "name",
        person("user", _("user")),
        "hint",
        "read_only",
        "domain",
        person("created_by", _("created by")),
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    row_actions = (
        RowAction("revoke", _("Revoke"), ADMINS, calling(access.revoke_token, "token"), icon="block",
                  warning=_("Programs that use it are refused from now on. This cannot be undone.")),
    )  # fmt: skip


@admin.register(SignInLink)
class SignInLinkAdmin(PlatformAdmin):
    right_to_read = Right.ADMINISTER
    related = ("user",)
    list_display = (person("user", _("user")), "created_at", "expires_at", "used_at")
    search_fields = ("user__username",)
    search_help_text = _("Username")
    ordering = ("-id",)
    list_filter = (
        filters.text("user", _("User"), lookup="user__username"),
        filters.conditions(
            "state",
            _("State"),
            [
                ("used", _("Used"), Q(used_at__isnull=False)),
                ("unused", _("Not used"), Q(used_at=None)),
            ],
        ),
    )
    facts = list_display
