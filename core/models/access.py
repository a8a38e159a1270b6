"""People, service accounts, and the secrets they sign in with."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Optional

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.names import account_name_problem
from core.roles import Domain, Role


class User(AbstractUser):
    """Somebody, or a service account: a user without a password that `owner` answers for."""

    owner = models.ForeignKey(
        "self",
        verbose_name=_("owner"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="service_accounts",
        help_text=_("For a service account: the person who answers for it."),
    )
    signed_in_with: Optional["AccessToken"] = None

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")  # type: ignore[assignment]  # lazy, as everywhere
        verbose_name_plural = _("users")  # type: ignore[assignment]

    def clean(self) -> None:
        """As Django, which brings the username into its normal form: that may be longer, and of other characters, so
        that the rules of a username are asked of it too.
        """
        typed = self.username
        super().clean()
        if self.username != typed:
            self.clean_fields(exclude={field.name for field in self._meta.fields} - {"username"})
        if problem := account_name_problem(self.username):
            raise ValidationError({"username": problem})

    @cached_property
    def roles(self) -> frozenset[Role]:
        """The roles of the user's groups; a superuser is an admin, and everybody may at least look."""
        return self.roles_of(group.name for group in self.groups.all())

    def roles_of(self, groups: Iterable[str]) -> frozenset[Role]:
        """The roles of the user if these were all of their groups."""
        names = set(groups)
        held = {role for role in Role if role.value in names}
        return frozenset(held | {Role.VIEWER} | ({Role.ADMIN} if self.is_superuser else set()))

    @property
    def person(self) -> "User":
        """The human being behind the account: four-eyes rules compare people, not accounts."""
        return self.owner.person if self.owner else self


class DomainRows(models.QuerySet):
    """Rows that name the domain they belong to, such as alerts and audit events."""

    def visible_to(self, user: User) -> "DomainRows":
        """All of them; those of one domain for who signed in with a token limited to it."""
        token = user.signed_in_with
        return self.filter(domain=token.domain) if token and token.domain else self


def digest(secret: str) -> str:
    """The SHA-256 that stands for `secret` at rest. Secrets are 256 random bits, so no salt or stretching is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret(prefix: str) -> str:
    """A fresh secret; `prefix` lets people and scanners recognise a leaked one."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


class AccessToken(models.Model):
    """A bearer secret for programs, kept only as its hash. It carries at most its user's rights."""

    user = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="access_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("first characters"), max_length=12, editable=False)
    read_only = models.BooleanField(_("read-only"), default=False)
    domain = models.CharField(
        _("limited to"),
        max_length=20,
        blank=True,
        choices=[(domain.value, domain.value) for domain in Domain],
    )
    created_by = models.ForeignKey(
        User,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        editable=False,
        verbose_name=_("created by"),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    def is_usable(self, now: datetime | None = None) -> bool:
        """Whether it is neither revoked nor expired, and its account is switched on."""
        is_over = self.revoked_at or (self.expires_at and self.expires_at <= (now or timezone.now()))
        return not is_over and self.user.is_active


class SignInLink(models.Model):
    """A link that signs its user in once, for installations that hand out no passwords."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="sign_in_links", verbose_name=_("user")
    )
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True)

    class Meta:
        verbose_name = _("sign-in link")
        verbose_name_plural = _("sign-in links")

    def __str__(self) -> str:
        return f"sign-in link of {self.user}"
