"""Lists, searches, counts and exports show nobody what they may not read."""

import csv
import io
import json

import pytest
from django.urls import reverse

from core.models import AccessToken, AuditEvent
from tests.access.callers import by_session
from tests.access.rules import API, Rule
from tests.everything import make_everything
from tests.factories import make_client, make_user

pytestmark = pytest.mark.django_db

LISTS = [rule for rule in API if rule.method == "GET" and rule.route.endswith("-list")]
ASKED = [
    {},
    {"limit": "1"},
    {"offset": "0", "limit": "1000"},
    {"search": "diabetes"},
    {"ordering": "-id"},
    {"export": "csv"},
    {"export": "json"},
]
SHOWS_ALL = [{}, {"limit": "1000"}, {"search": "nightly"}, {"user": "mina"}, {"revoked": "false"}]


@pytest.fixture
def world():
    return make_everything()


def rows_of(response) -> list:
    """What a list shows, page or file."""
    if response.get("Content-Disposition"):
        text = b"".join(response.streaming_content).decode()
        is_csv = "csv" in response["Content-Type"]
        return list(csv.DictReader(io.StringIO(text))) if is_csv else json.loads(text)
    body = response.json()
    assert body.get("count", len(body["results"])) >= len(body["results"])
    return body["results"] or [None] * body.get("count", 0)


@pytest.mark.parametrize("rule", [rule for rule in LISTS if not rule.all_domains and rule.token], ids=str)
def test_a_token_of_another_domain_is_refused_however_it_asks(rule: Rule, world):
    client = make_client("admin", domain="features")
    path = reverse(rule.route, kwargs=rule.path(world))

    assert {client.get(path, asked).status_code for asked in ASKED} == {403}


@pytest.mark.parametrize("route", ["alert-list", "audit-event-list"])
@pytest.mark.parametrize(
    "asked", [{}, {"limit": "1"}, {"search": "diabetes"}, {"domain": "lifecycle"}], ids=str
)
def test_rows_of_other_domains_are_neither_shown_nor_counted(route, asked, world):
    everything = make_client("admin").get(reverse(route), asked)
    limited = make_client("admin", domain="features").get(reverse(route), asked)

    assert everything.json()["count"] > 0 or route == "alert-list"
    assert (limited.json()["count"], limited.json()["results"]) == (0, [])


def test_rows_of_ones_own_domain_are_shown(world):
    limited = make_client("viewer", domain="lifecycle").get(reverse("audit-event-list"), {"limit": "1000"})

    shown = {row["domain"] for row in limited.json()["results"]}

    assert shown == {"lifecycle"}
    assert AuditEvent.objects.exclude(domain="lifecycle").exists()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_the_audit_trail_is_exported_by_admins_alone(kind, world):
    for role in ("viewer", "scientist", "approver", "operator"):
        assert make_client(role).get(reverse("audit-event-list"), {"export": kind}).status_code == 403
    assert rows_of(make_client("admin").get(reverse("audit-event-list"), {"export": kind}))
    limited = make_client("admin", domain="lifecycle")
    assert limited.get(reverse("audit-event-list"), {"export": kind}).status_code == 403


@pytest.mark.parametrize("export", [{}, {"export": "csv"}, {"export": "json"}], ids=str)
def test_tokens_of_others_are_neither_shown_nor_counted_nor_exported(export, world):
    other, own, admin = map(by_session, (make_user("operator"), world.author, make_user("admin")))
    for asked in SHOWS_ALL:
        shown = [rows_of(client.get(reverse("token-list"), asked | export)) for client in (other, own, admin)]

        assert shown[0] == []
        assert [row["name"] for row in shown[1]] == ["nightly"]
        assert "nightly" in [row["name"] for row in shown[2]]


def test_no_list_shows_a_digest_or_a_secret(world):
    secrets = {token.digest for token in AccessToken.objects.all()}
    admin = by_session(make_user("admin"))
    for rule in LISTS:
        for asked in ({}, {"export": "csv"}, {"export": "json"}):
            response = admin.get(reverse(rule.route, kwargs=rule.path(world)), asked)
            text = b"".join(response).decode()
            assert not any(secret in text for secret in secrets), rule
            assert "digest" not in text
