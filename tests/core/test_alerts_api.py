"""Alerts: told once while a state lasts, listed, and acknowledged by whoever watches."""

import pytest
from django.utils import timezone

from core.models import Alert, AuditEvent
from core.operations.alerts import acknowledge_alert, raise_alert, resolve_alert
from core.roles import Domain
from tests.factories import make_client, make_user

pytestmark = pytest.mark.django_db
URL = "/api/v1/alerts"


def raised(key="k", **fields):
    return raise_alert(
        **{"key": key, "domain": Domain.LIFECYCLE, "severity": "high", "title": "Something is wrong"} | fields
    )


# --- Raising and resolving ----------------------------------------------------------------------------------


def test_a_state_is_told_once_and_kept_up_to_date():
    first = raised()
    second = raised(severity="critical", message="worse")
    assert first.pk == second.pk
    alert = Alert.objects.get()
    assert (alert.severity, alert.message) == ("critical", "worse")
    assert AuditEvent.objects.filter(action="alert.raise").count() == 1


@pytest.mark.parametrize(("severity", "waits"), [("critical", True), ("high", False), ("low", False)])
def test_what_was_seen_waits_for_somebody_again_when_it_gets_worse(severity, waits):
    alert = acknowledge_alert(actor=make_user("operator"), alert=raised(severity="high"), note="known")

    raised(severity=severity, message="other words")

    alert.refresh_from_db()
    assert (alert.acknowledged_at is None, alert.note == "") == (waits, waits)
    reopened = AuditEvent.objects.filter(action="alert.reopen", changes={"severity": ["high", severity]})
    assert reopened.exists() == waits


def test_a_state_that_comes_back_is_told_again():
    raised()
    resolve_alert(key="k", reason="over")
    raised()
    assert Alert.objects.count() == 2
    assert Alert.objects.filter(resolved_at=None).count() == 1
    assert AuditEvent.objects.get(action="alert.resolve").reason == "over"


def test_resolving_what_is_not_open_does_nothing():
    resolve_alert(key="k")
    assert not AuditEvent.objects.exists()


# --- Listing ------------------------------------------------------------------------------------------------


def test_the_list_shows_an_alert_as_the_contract_has_it():
    alert = raised(message="m", object_type="deployment", object_id="7", url="/deployments/7")
    row = make_client("viewer").get(URL).data["results"][0]
    assert row["id"] == alert.pk
    assert row["raised_at"].endswith("Z")
    assert (row["object_type"], row["object_id"], row["url"]) == ("deployment", "7", "/deployments/7")
    assert (row["resolved_at"], row["acknowledged_at"], row["acknowledged_by"]) == (None, None, None)


def test_the_list_is_filtered():
    viewer = make_client("viewer", read_only=True)
    one, two = raised("one"), raised("two", severity="low", domain=Domain.FEATURES, title="Stale")
    three = raised("three")
    resolve_alert(key="two")
    Alert.objects.filter(pk=three.pk).update(acknowledged_at=timezone.now())

    def found(**parameters):
        answer = viewer.get(URL, parameters)
        assert answer.status_code == 200, answer.data
        return {row["id"] for row in answer.data["results"]}

    assert found(open="true") == {one.pk, three.pk}
    assert found(open="false") == {two.pk}
    assert found(acknowledged="true") == {three.pk}
    assert found(acknowledged="false") == {one.pk, two.pk}
    assert found(severity="low") == found(domain="features") == found(search="stale") == {two.pk}


def test_a_wrong_severity_names_the_allowed_ones():
    answer = make_client("viewer").get(URL, {"severity": "awful"})
    assert answer.status_code == 400
    assert "low, medium, high, critical" in answer.data["fields"]["severity"]


# --- Acknowledging ------------------------------------------------------------------------------------------


def test_an_alert_is_acknowledged_once_with_a_note():
    alert, operator = raised(), make_client("operator")
    answer = operator.post(f"{URL}/{alert.pk}/acknowledge", {"note": "on it"})
    assert answer.status_code == 200
    assert (answer.data["acknowledged_by"], answer.data["note"]) == (operator.user.username, "on it")
    again = make_client("operator").post(f"{URL}/{alert.pk}/acknowledge", {"note": "me too"})
    assert (again.status_code, again.data["code"]) == (409, "conflict")
    assert Alert.objects.get().note == "on it"
    assert AuditEvent.objects.get(action="alert.acknowledge").reason == "on it"


@pytest.mark.parametrize(
    ("role", "limits", "status"),
    [
        ("viewer", {}, 403),
        ("approver", {}, 403),
        ("operator", {"read_only": True}, 403),
        ("operator", {"domain": "features"}, 404),
        ("operator", {"domain": "lifecycle"}, 200),
        ("operator", {}, 200),
        ("scientist", {}, 200),
        ("admin", {}, 200),
    ],
)
def test_who_may_acknowledge(role, limits, status):
    alert = raised()
    assert make_client(role, **limits).post(f"{URL}/{alert.pk}/acknowledge").status_code == status


def test_a_token_limited_to_a_domain_sees_the_alerts_of_that_domain_only():
    raised("one"), raised("two", domain=Domain.FEATURES)
    seen = make_client("viewer", domain="features").get(URL).data["results"]
    assert [alert["domain"] for alert in seen] == ["features"]


def test_alerts_take_a_sign_in(client):
    assert client.get(URL).status_code == 401
    assert client.post(f"{URL}/{raised().pk}/acknowledge").status_code == 401


def test_unknown_fields_and_unknown_alerts_are_refused():
    operator = make_client("operator")
    assert operator.post(f"{URL}/{raised().pk}/acknowledge", {"remark": "x"}).status_code == 400
    assert operator.post(f"{URL}/999/acknowledge").status_code == 404
    assert operator.post(f"{URL}/x/acknowledge").status_code == 404
