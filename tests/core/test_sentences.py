"""Sentences that remember what they were made from, so that each reader gets their own language."""

import copy
import json
import pickle

import pytest
from django.utils.translation import override

from core.errors import Conflict
from core.models import Alert, AuditEvent
from core.operations.alerts import raise_alert
from core.roles import Domain
from core.sentences import joined, said, sentence, source_of
from core.translation import gettext, in_english, say

REPLACED = "Replaced by deployment #%d."
NO_REPLICA = "No replica is ready."
NOT_UP = "A replica does not come up: %s"


def test_a_sentence_is_the_text_in_the_language_of_now():
    assert gettext(REPLACED) % 7 == "Replaced by deployment #7."
    with override("ko"):
        korean = gettext(REPLACED) % 7
    assert "7" in korean
    assert korean != "Replaced by deployment #7."


def test_what_is_kept_of_it_is_said_in_the_language_of_the_reader():
    kept = json.loads(json.dumps(source_of(gettext(NOT_UP) % gettext(NO_REPLICA))))
    with override("ko"):
        korean = say(kept)
        assert korean == gettext(NOT_UP) % gettext(NO_REPLICA)
    assert say(kept) == "A replica does not come up: No replica is ready."
    assert "No replica" not in korean


def test_values_by_name_and_numbers_keep_their_format():
    made = sentence("%(p95).1f ms of %(count)d, %(who)s, 100 %%") % {
        "p95": 1.25,
        "count": 3,
        "who": Conflict("x"),
    }
    assert made == "1.2 ms of 3, x, 100 %"
    assert said(source_of(made)) == made


def test_several_sentences_are_translated_each_and_empty_ones_left_out():
    told = joined([gettext(NO_REPLICA), "", "Said by Kim."])
    assert told == "No replica is ready. Said by Kim."
    with override("ko"):
        assert say(source_of(told)) == f"{gettext(NO_REPLICA)} Said by Kim."


def test_an_error_carries_the_sentence():
    assert source_of(Conflict(gettext(REPLACED) % 7).detail) == {"id": REPLACED, "values": [7]}


def test_a_sentence_in_another_language_has_one_english_wording():
    with override("ko"):
        assert in_english(gettext(REPLACED) % 7) == "Replaced by deployment #7."
    assert in_english("사람이 쓴 말") == "사람이 쓴 말"


def test_copies_keep_the_source():
    made = gettext(REPLACED) % 7
    assert source_of(pickle.loads(pickle.dumps(made))) == source_of(copy.deepcopy(made)) == source_of(made)


def test_a_sentence_takes_its_values_once():
    with pytest.raises(TypeError):
        _ = sentence("%s") % "100 %s" % "again"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"id": "%0999999999d", "values": [1]}, "%0999999999d"),
        ({"id": "%(a)*d", "values": {"a": 1}}, "%(a)*d"),
        ({"id": "%s and %s", "values": ["one"]}, "%s and %s"),
        ({"id": "%(a)s", "values": {}}, "%(a)s"),
        ({"id": "%d", "values": ["one"]}, "%d"),
        ({"id": "x", "values": 5}, "x"),
        ({"id": "%d", "values": [float("inf")]}, "%d"),
        ({"id": "%.1f", "values": [10**400]}, "%.1f"),
        ({"id": 5}, "{'id': 5}"),
        (None, "None"),
    ],
)
def test_what_is_no_source_of_ours_is_shown_as_it_is(source, text):
    assert said(source) == text


@pytest.mark.django_db
def test_a_column_gives_each_reader_their_language_and_the_audit_trail_has_one_wording():
    with override("ko"):
        raise_alert(
            key="k",
            domain=Domain.LIFECYCLE,
            severity="high",
            title=gettext(NO_REPLICA),
            message=gettext(REPLACED) % 7,
        )
        korean = Alert.objects.get()
        assert korean.title == gettext(NO_REPLICA) != NO_REPLICA
    english = Alert.objects.get()
    assert (english.title, english.message) == (NO_REPLICA, "Replaced by deployment #7.")
    assert Alert.objects.filter(message__text__icontains="DEPLOYMENT #7").exists()
    event = AuditEvent.objects.get(action="alert.raise")
    assert (event.object_name, event.reason) == (NO_REPLICA, "Replaced by deployment #7.")


@pytest.mark.django_db
def test_what_postgresql_does_not_keep_is_replaced():
    raise_alert(key="k", domain=Domain.LIFECYCLE, severity="high", title="a\0b\ud800c")
    assert Alert.objects.get().title == "a\ufffdb?c"
    assert AuditEvent.objects.get().object_name == "a\ufffdb?c"
