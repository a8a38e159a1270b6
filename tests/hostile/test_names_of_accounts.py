"""Usernames and tokens' names, at every door that takes one: the admin's forms and the commands.

A username is what Django says (150 letters, digits and @ . + - _), in the normal form NFKC; it shows whose it is.
"""

import unicodedata
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from core.models import AccessToken, AuditEvent, User
from tests.admin_rows import act, client_of, told, url
from tests.factories import make_user
from tests.hostile.doors import row_counts
from tests.hostile.test_names_everywhere import ALWAYS, NAMES, SPACED

pytestmark = pytest.mark.django_db

TAKEN = {"plain", "Hebrew", "digits", "a version", "latest", "reserved", "an alias"}
USERNAMES = NAMES | {
    "no letter": "-_-",
    "an empty address": "@",
    "Hangul filler": "sora\u3164",
    "halfwidth filler": "\uffa0",
    "a letter that is a sentence": "\ufdfa",
    "150 letters that are 2,700": "\ufdfa" * 150,
    "brackets in one character": "\u2474",
    "who acts where nobody did": "System",
    "wide letters of that": "ｓｙｓｔｅｍ",
    "151 letters": "n" * 151,
}


def by_form(name: str) -> str:
    page = client_of("admin").post(url("core.user", "add"), {"username": name, "owner": ""})
    if page.status_code == 302:
        return ""
    assert page.status_code == 200
    return str(page.context["errors"])


def by_link(name: str) -> str:
    return refusal_of("sign_in_link", "--user", name)


def by_token(name: str) -> str:
    return refusal_of("create_token", "--role", "viewer", "--user", name)


def refusal_of(command: str, *arguments: str) -> str:
    try:
        call_command(command, *arguments, stdout=open("/dev/null", "w"))  # noqa: SIM115
    except CommandError as error:
        return str(error)
    return ""


Door = Callable[[str], str]
DOORS = {"admin": by_form, "sign_in_link": by_link, "create_token": by_token}


@pytest.fixture(params=DOORS)
def door(request) -> Door:
    make_user("admin", username="adam")
    return DOORS[request.param]


def test_an_account_has_a_name_that_shows_whose_it_is(door):
    taken = set()
    for what, name in USERNAMES.items():
        if what == ("half a surrogate pair" if door is by_form else "no letter"):
            continue  # no form can hold the one; to a command the other is an option
        with transaction.atomic():
            before = User.objects.count(), AuditEvent.objects.count()
            refusal = door(name)
            if refusal:
                assert len(refusal) > 10, what
                # The browser that asked is signed in with an account of its own.
                assert User.objects.count() <= before[0] + (door is by_form), what
                assert AuditEvent.objects.count() == before[1], what
            else:
                taken.add(what)
                assert User.objects.filter(username=unicodedata.normalize("NFKC", name).strip()).exists()
            transaction.set_rollback(True)
    # People type spaces around it in a form, not in a command.
    assert taken == TAKEN | (SPACED if door is by_form else set())


@pytest.mark.parametrize("name", ["Sora.Élise", "SORA.ÉLISE", "sora.élise", "ｓora.Élise"])
def test_names_that_differ_by_case_or_form_alone_are_one(door, name):
    """Who approves as “Sora” is not taken for “sora”; what a keyboard decomposes is no other name."""
    make_user(username="sora.Élise")
    before = User.objects.filter(username__startswith="s").count()
    refusal = door(name)
    same = unicodedata.normalize("NFKC", name) == "sora.Élise"
    assert bool(refusal) == (not same or door is by_form)
    assert User.objects.filter(username__iregex="^sora").count() == before == 1


def test_a_decomposed_name_finds_its_account(door):
    make_user(username="한글")
    assert bool(door(unicodedata.normalize("NFD", "한글"))) == (door is by_form)
    assert [user.username for user in User.objects.filter(username__regex="한|\u1112")] == ["한글"]


@pytest.mark.parametrize("what", sorted(ALWAYS))
def test_a_token_has_no_such_name_at_any_door(what):
    user = make_user(username="sora")
    client = client_of("admin")
    before = row_counts()
    assert refusal_of("create_token", "--role", "viewer", "--user", "sora", "--name", NAMES[what])
    assert row_counts() == before
    if what != "half a surrogate pair":  # which no form can hold
        page = act(client, "core.user", "make_token", user, name=NAMES[what])
        assert page.status_code == 302 and told(client.get(page.url)) or page.context["form"].errors["name"]
        assert not AccessToken.objects.exists()


@pytest.mark.parametrize(
    "day", ["2030-02-31T00:00:00Z", "9" * 10_000, "2030-01-01", "\u202e", "0000-01-01T00:00:00Z"]
)
def test_a_time_that_is_none_is_refused_by_the_command(day):
    before = row_counts()
    arguments = ("--role", "viewer", "--user", "sora", "--expires-at", day)
    assert "ISO 8601" in refusal_of("create_token", *arguments)
    assert row_counts() == before
