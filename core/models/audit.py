"""The audit trail: append-only rows, linked afterwards into a chain of hashes."""

import hashlib
import json
from typing import Any, NoReturn

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.errors import Conflict
from core.models.access import DomainRows, User


class AppendOnlyQuerySet(DomainRows):
    def update(self, **changes: Any) -> NoReturn:
        raise Conflict("The audit trail cannot be changed.")

    def delete(self) -> NoReturn:
        raise Conflict("The audit trail cannot be deleted.")

    def seal(self, pk: int, *, sequence: int, previous_hash: str, hash: str) -> None:
        """Give an unsealed row its place in the chain; the only change a row ever sees."""
        unsealed = self.filter(pk=pk, sequence=None)
        models.QuerySet.update(unsealed, sequence=sequence, previous_hash=previous_hash, hash=hash)


class AuditEvent(models.Model):
    """One decision or change of state: who did what to what, when, by which door, and why."""

    at = models.DateTimeField(_("time"), db_index=True)
    actor = models.ForeignKey(
        User, null=True, on_delete=models.PROTECT, related_name="+", verbose_name=_("actor")
    )
    actor_name = models.CharField(_("actor"), max_length=150)
    action = models.CharField(_("action"), max_length=60, db_index=True)
    domain = models.CharField(_("domain"), max_length=20, db_index=True)
    object_type = models.CharField(_("object type"), max_length=40)
    object_id = models.CharField(_("object id"), max_length=64)
    object_name = models.CharField(_("object"), max_length=300)
    changes = models.JSONField(_("changes"), default=dict)
    reason = models.TextField(_("reason"), blank=True)
    via = models.CharField(_("by way of"), max_length=20)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    token_hint = models.CharField(_("token"), max_length=12, blank=True)
    sequence = models.BigIntegerField(_("place in the chain"), null=True, unique=True, editable=False)
    previous_hash = models.CharField(_("hash of the row before"), max_length=64, blank=True, editable=False)
    hash = models.CharField(_("hash"), max_length=64, blank=True, editable=False)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-id"]
        indexes = [models.Index(fields=["object_type", "object_id"], name="audit_by_object")]

    def __str__(self) -> str:
        return f"{self.actor_name} · {self.action} · {self.object_name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Conflict("The audit trail cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise Conflict("The audit trail cannot be deleted.")

    def content_hash(self, *, sequence: int, previous_hash: str) -> str:
        """SHA-256 over everything the row says and the hash of the row before it, as canonical JSON."""
        content = {
            "sequence": sequence,
            "previous_hash": previous_hash,
            "at": self.at.isoformat(),
            "actor": self.actor_id,
            **{
                name: getattr(self, name)
                for name in (
                    "actor_name",
                    "action",
                    "domain",
                    "object_type",
                    "object_id",
                    "object_name",
                    "changes",
                    "reason",
                    "via",
                    "request_id",
                    "address",
                    "token_hint",
                )
            },
        }
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


class AuditChain(models.Model):
    """The head of the chain. Its one row is locked while rows are sealed, so that sealing happens in one order."""

    sequence = models.BigIntegerField(_("rows sealed"), default=0)
    hash = models.CharField(_("hash"), max_length=64, default="0" * 64)

    class Meta:
        verbose_name = _("head of the audit chain")
        verbose_name_plural = _("head of the audit chain")

    def __str__(self) -> str:
        return f"sealed up to {self.sequence}"
