"""Drift events: recorded, listed, told as alerts, acknowledged once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from core.models import Alert, AuditEvent
from lifecycle.models import DriftEvent
from tests.factories import chunked, make_client, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/drift-events"


def body(drifted, **fields):
    return {
        "model_name": drifted.model.name,
        "version": drifted.version,
        "severity": "medium",
        "metric_name": "psi:age",
        "metric_value": 0.31,
        "threshold": 0.2,
        **fields,
    }


def make_event(version=None, **fields):
    fields.setdefault("detected_at", timezone.now())
    return DriftEvent.objects.create(
        model_version=version or make_version(),
        **{"severity": "low", "metric_name": "psi", "metric_value": 0.3, "threshold": 0.2} | fields,
    )


@pytest.fixture
def operator():
    return make_client("operator")


@pytest.fixture
def version():
    return make_version()


def test_an_event_is_recorded_as_the_contract_has_it(operator, version):
    sent = body(
        version, message="Ages rose.", remediation_action="Retrain.", detected_at="2026-01-02T03:04:05Z"
    )
    answer = operator.post(URL, sent)
    assert answer.status_code == 201, answer.data
    assert answer.data == sent | {
        "id": DriftEvent.objects.get().pk,
        "detected_at": "2026-01-02T03:04:05.000000Z",
        "recorded_by": operator.user.username,
        "acknowledged_by": None,
        "acknowledged_at": None,
    }
    assert AuditEvent.objects.get(action="drift_event.record").actor == operator.user


def test_without_a_time_it_is_detected_now(operator, version):
    operator.post(URL, body(version))
    assert abs(DriftEvent.objects.get().detected_at - timezone.now()) < timedelta(seconds=30)


def test_a_version_is_named_by_label_too(operator):
    version = make_version(version_label="v1.2")
    assert operator.post(URL, body(version, version="v1.2")).data["version"] == version.version


def test_an_infinite_value_is_kept_as_it_is(operator, version):
    assert operator.post(URL, body(version, metric_value="Infinity")).data["metric_value"] == "Infinity"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity": "awful"}, "severity"),
        ({"metric_value": "NaN"}, "metric_value"),
        ({"metric_value": "high"}, "metric_value"),
        ({"metric_value": True}, "metric_value"),
        ({"threshold": "Infinity"}, "metric_value"),
        ({"detected_at": "2999-01-01T00:00:00Z"}, "detected_at"),
        ({"detected_at": "yesterday"}, "detected_at"),
        ({"metric_name": ""}, "metric_name"),
        ({"acknowledged_by": "me"}, "acknowledged_by"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_recorded_names_its_field(operator, version, change, field):
    answer = operator.post(URL, body(version, **change))
    assert answer.status_code == 400
    assert field in answer.data["fields"]
    assert not DriftEvent.objects.exists()


def test_an_unknown_version_is_not_found(operator, version):
    assert operator.post(URL, body(version, version=9)).status_code == 404
    assert operator.post(URL, body(version, model_name="none")).status_code == 404


@pytest.mark.parametrize(("severity", "alerts"), [("low", 0), ("medium", 0), ("high", 1), ("critical", 1)])
def test_high_and_critical_ones_raise_an_alert(operator, version, severity, alerts):
    operator.post(URL, body(version, severity=severity, metric_name="x" * 250))
    assert Alert.objects.filter(severity=severity, resolved_at=None).count() == alerts


def test_drift_that_goes_on_is_one_alert_a_metric(operator, version):
    for severity in ("high", "critical"):
        operator.post(URL, body(version, severity=severity))
    operator.post(URL, body(version, severity="high", metric_name="psi:income"))
    assert sorted(Alert.objects.values_list("severity", flat=True)) == ["critical", "high"]


def test_an_event_is_acknowledged_once(operator, version):
    event = make_event(version)
    answer = operator.post(f"{URL}/{event.pk}/acknowledge")
    assert answer.status_code == 200
    assert answer.data["acknowledged_by"] == operator.user.username
    assert answer.data["acknowledged_at"].endswith("Z")
    assert operator.post(f"{URL}/{event.pk}/acknowledge").status_code == 409
    assert AuditEvent.objects.filter(action="drift_event.acknowledge").count() == 1


def test_the_alert_ends_with_the_last_event_acknowledged(operator, version):
    events = [operator.post(URL, body(version, severity="high")).data for _ in range(2)]
    operator.post(f"{URL}/{events[0]['id']}/acknowledge")
    assert Alert.objects.get().resolved_at is None
    operator.post(f"{URL}/{events[1]['id']}/acknowledge")
    assert Alert.objects.get().resolved_at


def test_acknowledging_takes_no_fields(operator, version):
    event = make_event(version)
    assert operator.post(f"{URL}/{event.pk}/acknowledge", {"note": "seen"}).status_code == 400


def test_an_event_that_is_not_there_is_not_found(operator):
    assert operator.post(f"{URL}/1/acknowledge").status_code == 404


@pytest.mark.parametrize(
    ("role", "limits", "may"),
    [
        ("viewer", {}, False),
        ("approver", {}, False),
        ("operator", {"read_only": True}, False),
        ("operator", {"domain": "features"}, False),
        ("operator", {}, True),
        ("scientist", {}, True),
        ("admin", {}, True),
    ],
)
def test_who_may_record_and_acknowledge(version, role, limits, may):
    client, event = make_client(role, **limits), make_event(version)
    assert client.post(URL, body(version)).status_code == (201 if may else 403)
    assert client.post(f"{URL}/{event.pk}/acknowledge").status_code == (200 if may else 403)


def test_drift_takes_a_sign_in(client):
    assert client.get(URL).status_code == 401
    assert client.post(URL, {}, content_type="application/json").status_code == 401
    assert client.post(f"{URL}/1/acknowledge").status_code == 401


def test_the_list_is_filtered_and_ordered(version):
    viewer = make_client("viewer", read_only=True)
    old = make_event(version, severity="high", detected_at=timezone.now() - timedelta(days=1))
    new = make_event(version, severity="low", acknowledged_at=timezone.now())
    other = make_event(make_version(model=version.model), severity="critical")

    def found(**parameters):
        answer = viewer.get(URL, parameters)
        assert answer.status_code == 200, answer.data
        return [row["id"] for row in answer.data["results"]]

    assert found() == [other.pk, new.pk, old.pk]
    assert found(ordering="detected_at") == [old.pk, new.pk, other.pk]
    assert found(model_name=version.model.name, version=1) == [new.pk, old.pk]
    assert found(severity=["high", "critical"]) == [other.pk, old.pk]
    assert found(acknowledged="true") == [new.pk]
    assert found(acknowledged="false") == [other.pk, old.pk]


@pytest.mark.parametrize("parameters", [{"severity": "awful"}, {"version": "x"}, {"colour": "red"}])
def test_a_filter_that_is_not_understood_is_refused(parameters):
    answer = make_client("viewer").get(URL, parameters)
    assert answer.status_code == 400
    assert next(iter(parameters)) in answer.data["fields"]


def test_a_page_takes_as_many_queries_however_long_it_is(django_assert_max_num_queries):
    viewer = make_client("viewer")
    for _ in range(5):
        make_event()
    with django_assert_max_num_queries(6):
        assert len(viewer.get(URL).data["results"]) == 5


def test_a_chunked_body_is_read_as_any_other_up_to_the_limit(settings):
    """Django takes a chunked body for an empty one: every field would be said to be missing."""
    client = make_client("operator")
    version = make_version()
    body = {"model_name": version.model.name, "version": 1, "severity": "low"}
    refused = client.post(URL, **chunked(body))
    assert set(refused.data["fields"]) == {"metric_name", "metric_value", "threshold"}
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 20
    refused = client.post(URL, **chunked(body))
    assert (refused.status_code, refused.data["code"]) == (413, "too_large")
