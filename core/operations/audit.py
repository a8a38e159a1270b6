"""Write, seal and verify the audit trail."""

from typing import Any

from django.db import transaction
from django.db.models import Max, Model
from django.utils import timezone

from core.context import current
from core.models import AuditChain, AuditEvent, User
from core.names import SYSTEM
from core.roles import Domain
from core.sentences import storable
from core.translation import in_english

BATCH = 1000


def record(
    *,
    actor: User | None,
    action: str,
    target: Model,
    domain: Domain,
    changes: dict[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Append one row, in the transaction of what it records.

    `action` is "noun.verb", e.g. "model_version.approve"; `changes` maps a field to [before, after] or to its value
    when it is new. Sentences of ours are kept in English, in which the code has them: a row is hashed as it is,
    so it has one wording. Raises RuntimeError outside a transaction: a change and its row stand or fall together.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("Audit rows are written in the transaction of what they record.")
    context = current()
    token = actor.signed_in_with if actor else None
    return AuditEvent.objects.create(
        at=timezone.now(),
        actor=actor,
        actor_name=actor.username if actor else SYSTEM,
        action=action,
        domain=domain,
        object_type=target._meta.model_name or "",
        object_id=str(target.pk),
        object_name=storable(in_english(str(target)))[:300],
        changes=storable(changes or {}),
        reason=storable(in_english(reason)),
        via=context.via,
        request_id=context.request_id,
        address=context.address,
        token_hint=token.hint if token else "",
    )


def seal() -> int:
    """Link every unsealed row to the one before it; returns how many were linked."""
    sealed = 0
    while count := _seal_batch():
        sealed += count
    return sealed


@transaction.atomic
def _seal_batch() -> int:
    chain, _ = AuditChain.objects.select_for_update().get_or_create(pk=1)
    events = list(AuditEvent.objects.filter(sequence=None).order_by("id")[:BATCH])
    for event in events:
        sequence = chain.sequence + 1
        link = event.content_hash(sequence=sequence, previous_hash=chain.hash)
        AuditEvent.objects.seal(event.pk, sequence=sequence, previous_hash=chain.hash, hash=link)
        chain.sequence, chain.hash = sequence, link
    chain.save()
    return len(events)


def verify() -> tuple[int, int]:
    """Recompute the chain from its start; returns (sealed rows, rows still waiting to be sealed).

    Raises ValueError naming the first row that was changed, removed or put in between.
    """
    # Sealing goes on meanwhile: the head is read after the last row, and no row past the head is looked at.
    last = AuditEvent.objects.aggregate(last=Max("sequence"))["last"] or 0
    chain = AuditChain.objects.filter(pk=1).first() or AuditChain()
    expected, previous = 1, AuditChain._meta.get_field("hash").get_default()
    events = AuditEvent.objects.filter(sequence__lte=chain.sequence).order_by("sequence")
    for event in events.iterator(chunk_size=BATCH):
        if event.sequence != expected:
            raise ValueError(f"Audit row {expected} is missing: the next one there is {event.sequence}.")
        if event.previous_hash != previous or event.hash != event.content_hash(
            sequence=expected, previous_hash=previous
        ):
            raise ValueError(f"Audit row {expected} (id {event.pk}) was changed after it was sealed.")
        expected, previous = expected + 1, event.hash
    ends = max(expected - 1, last)
    if (ends, previous) != (chain.sequence, chain.hash):
        raise ValueError(f"The chain ends at row {ends}, but {chain.sequence} rows were sealed.")
    return chain.sequence, AuditEvent.objects.filter(sequence=None).count()
