"""The audit trail: append-only, sealed into a chain, and what was done to it behind our back is found."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from core.context import RequestContext, reset, use
from core.errors import Conflict
from core.models import AuditEvent
from core.operations import audit
from core.operations.access import user_of_token
from core.roles import Domain
from tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db


def record(**fields):
    user = make_user()
    return audit.record(
        **{
            "actor": user,
            "action": "thing.change",
            "target": user,
            "domain": Domain.CORE,
            "reason": "because",
        }
        | fields
    )


@pytest.fixture
def sealed():
    """Five rows, sealed."""
    rows = [record(changes={"n": [number, 0.1], "name": "이름"}) for number in range(5)]
    assert audit.seal() == 5
    return rows


def sql(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


# --- Writing ------------------------------------------------------------------------------------------------


def test_a_row_says_who_what_how_and_why():
    user = user_of_token(make_token(make_user(username="vera")))
    entered = use(RequestContext(request_id="r1", via="api", address="127.0.0.1"))
    try:
        row = record(actor=user, changes={"status": ["a", "b"]})
    finally:
        reset(entered)
    assert (row.actor, row.actor_name, row.token_hint) == (user, "vera", user.signed_in_with.hint)
    assert (row.request_id, row.via, row.address) == ("r1", "api", "127.0.0.1")
    assert row.changes == {"status": ["a", "b"]}
    assert row.reason == "because"


def test_the_system_is_named_too():
    row = record(actor=None)
    assert (row.actor, row.actor_name) == (None, "system")


@pytest.mark.django_db(transaction=True)
def test_a_row_outside_a_transaction_is_a_mistake():
    with pytest.raises(RuntimeError):
        record()
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_row_falls_with_the_change_it_records():
    with transaction.atomic():
        record()
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "attempt",
    [
        lambda row: row.save(),
        lambda row: row.delete(),
        lambda row: AuditEvent.objects.update(reason="other"),
        lambda row: AuditEvent.objects.filter(pk=row.pk).delete(),
        lambda row: AuditEvent.objects.bulk_update([row], ["reason"]),
        lambda row: AuditEvent.objects.update_or_create(pk=row.pk, defaults={"reason": "other"}),
    ],
)
def test_a_row_is_neither_changed_nor_deleted(attempt):
    row = record()
    with pytest.raises(Conflict), transaction.atomic():
        attempt(row)
    assert AuditEvent.objects.get().reason == "because"


# --- Sealing ------------------------------------------------------------------------------------------------


def test_sealing_links_each_row_to_the_one_before(sealed):
    rows = list(AuditEvent.objects.order_by("sequence"))
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]
    assert [row.pk for row in rows] == [row.pk for row in sealed]
    assert [row.previous_hash for row in rows] == ["0" * 64, *(row.hash for row in rows[:-1])]
    assert audit.verify() == (5, 0)


def test_sealing_goes_on_where_it_ended(sealed):
    record()
    assert audit.verify() == (5, 1)
    assert audit.seal() == 1
    assert audit.seal() == 0
    assert audit.verify() == (6, 0)


def test_sealing_takes_more_than_one_batch(monkeypatch):
    monkeypatch.setattr(audit, "BATCH", 2)
    for _ in range(5):
        record()
    assert audit.seal() == 5
    assert audit.verify() == (5, 0)


def test_a_sealed_row_is_not_sealed_again(sealed):
    AuditEvent.objects.seal(sealed[0].pk, sequence=99, previous_hash="x", hash="y")
    assert audit.verify() == (5, 0)


# --- What is found ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reason", "something else"),
        ("actor_name", "nobody"),
        ("action", "thing.other"),
        ("object_id", "0"),
        ("changes", '{"n": [2, 0.2]}'),
        ("at", "2001-01-01 00:00:00+00:00"),
        ("address", "10.0.0.1"),
        ("hash", "f" * 64),
        ("previous_hash", "f" * 64),
        ("actor_id", None),
    ],
)
def test_a_changed_row_is_found(sealed, column, value):
    sql(f"UPDATE core_auditevent SET {column} = %s WHERE sequence = 3", value)
    with pytest.raises(ValueError, match="3"):
        audit.verify()


def test_a_row_changed_together_with_its_hash_is_found(sealed):
    sql("UPDATE core_auditevent SET reason = 'forged' WHERE sequence = 3")
    forged = AuditEvent.objects.get(sequence=3)
    sql(
        "UPDATE core_auditevent SET hash = %s WHERE sequence = 3",
        forged.content_hash(sequence=3, previous_hash=forged.previous_hash),
    )
    with pytest.raises(ValueError, match="4"):
        audit.verify()


def test_a_removed_row_is_found(sealed):
    sql("DELETE FROM core_auditevent WHERE sequence = 3")
    with pytest.raises(ValueError, match="3 is missing"):
        audit.verify()


def test_a_removed_row_is_found_though_the_rest_was_renumbered(sealed):
    sql("DELETE FROM core_auditevent WHERE sequence = 3")
    for sequence in (4, 5):
        sql("UPDATE core_auditevent SET sequence = %s WHERE sequence = %s", sequence - 1, sequence)
    with pytest.raises(ValueError, match="3"):
        audit.verify()


def test_a_row_put_in_between_is_found(sealed):
    for sequence in (5, 4, 3):
        sql("UPDATE core_auditevent SET sequence = %s WHERE sequence = %s", sequence + 1, sequence)
    forged = record(reason="forged")
    before = AuditEvent.objects.get(sequence=2).hash
    AuditEvent.objects.seal(
        forged.pk,
        sequence=3,
        previous_hash=before,
        hash=forged.content_hash(sequence=3, previous_hash=before),
    )
    with pytest.raises(ValueError, match="4"):
        audit.verify()


def test_a_truncated_trail_is_found(sealed):
    sql("DELETE FROM core_auditevent WHERE sequence > 3")
    with pytest.raises(ValueError, match="ends at row 3, but 5"):
        audit.verify()


def test_an_emptied_trail_is_found(sealed):
    sql("DELETE FROM core_auditevent")
    with pytest.raises(ValueError, match="5"):
        audit.verify()


def test_a_row_put_at_the_end_past_the_chain_is_found(sealed):
    forged = record(reason="forged")
    AuditEvent.objects.seal(
        forged.pk,
        sequence=6,
        previous_hash=AuditEvent.objects.get(sequence=5).hash,
        hash=forged.content_hash(sequence=6, previous_hash=AuditEvent.objects.get(sequence=5).hash),
    )
    with pytest.raises(ValueError, match="6"):
        audit.verify()


def test_rows_sealed_during_the_verification_are_no_fault(sealed):
    sealing = []

    def seal_once_the_head_was_read(execute, statement, *rest):
        answer = execute(statement, *rest)
        if "core_auditchain" in statement and not sealing:
            sealing.append(record())
            audit.seal()
        return answer

    with connection.execute_wrapper(seal_once_the_head_was_read):
        assert audit.verify() == (5, 0)
    assert sealing
    assert audit.verify() == (6, 0)


def test_the_command_seals_and_verifies(sealed):
    record()
    out = io.StringIO()
    call_command("verify_audit", stdout=out)
    assert "6 rows sealed, 0 waiting" in out.getvalue()


def test_the_command_fails_naming_the_first_wrong_row(sealed):
    sql("UPDATE core_auditevent SET reason = 'x' WHERE sequence = 2")
    with pytest.raises(CommandError, match="2"):
        call_command("verify_audit")


def test_a_row_is_sealed_whatever_its_changes_hold():
    with transaction.atomic():
        audit.record(
            actor=None,
            action="experiment.update",
            target=make_user(),
            domain=Domain.CORE,
            changes={"half \ud800": ["\0", "\ud800"]},
        )
    audit.seal()
    assert audit.verify()[1] == 0
    assert AuditEvent.objects.get(action="experiment.update").changes == {"half ?": ["\ufffd", "?"]}
