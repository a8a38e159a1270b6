"""/deployments as it is read: the list, and one deployment with its logs, events and figures."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.utils import timezone

from serving.recorder import PredictionRecord, Recorder
from tests.factories import make_client, make_deployment, make_model, make_version
from tests.lifecycle.deployments import FIGURES, URL, at, make_target

pytestmark = pytest.mark.django_db


def make_traffic(deployment, *requests, at=None):
    """Requests as the gateway records them; each is (status, latency_ms)."""
    recorder = Recorder()
    recorder._start = lambda: None  # written here and now, in the test's own transaction
    for status, latency_ms in requests:
        recorder.record(
            PredictionRecord("r", deployment.pk, at or timezone.now(), status, latency_ms, rows=1)
        )
    assert recorder.flush()


def exported(answer):
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


@pytest.fixture
def operator():
    return make_client("operator")


@pytest.fixture
def viewer():
    return make_client("viewer")


# --- Lists --------------------------------------------------------------------------------------------------


@pytest.fixture
def several():
    """A failed one in staging, an active one in production, a pending one in development."""
    version = make_version(model=make_model(name="churn"), approved=True, stage="production")
    later = make_version(model=version.model, approved=True, stage="production")
    return [
        make_deployment(
            model_version=version, environment="staging", status="failed", error_message="It broke"
        ),
        make_deployment(
            model_version=later, environment="production", status="active", health_status="healthy"
        ),
        make_deployment(deployment_notes="for the demo"),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [2, 1, 0]),
        ({"model_name": "churn"}, [1, 0]),
        ({"model_name": "churn", "version": "1"}, [0]),
        ({"environment": "production"}, [1]),
        ({"status": "failed"}, [0]),
        ({"status": ["failed", "pending"]}, [2, 0]),
        ({"health_status": "healthy"}, [1]),
        ({"search": "broke"}, [0]),
        ({"search": "for the demo"}, [2]),
        ({"ordering": "created_at"}, [0, 1, 2]),
        ({"ordering": "-environment"}, [0, 1, 2]),
        ({"ordering": "status"}, [1, 0, 2]),
        ({"ordering": "model__name,-created_at"}, [1, 0, 2]),
        ({"limit": "1", "offset": "1"}, [1]),
    ],
)
def test_a_list_is_narrowed_and_ordered(viewer, several, query, found):
    answer = viewer.get(URL, query)
    assert answer.status_code == 200, answer.data
    assert [row["id"] for row in answer.data["results"]] == [several[index].pk for index in found]


@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ({"colour": "red"}, "colour", "model_name"),
        ({"status": "happy"}, "status", "terminated"),
        ({"environment": "moon"}, "environment", "production"),
        ({"health_status": "ill"}, "health_status", "degraded"),
        ({"version": "one"}, "version", "whole number"),
        ({"version": "1.5"}, "version", "whole number"),
        ({"ordering": "fence"}, "ordering", "created_at"),
        ({"limit": "0"}, "limit", "1000"),
        ({"export": "xml"}, "export", "csv"),
    ],
)
def test_a_parameter_that_is_not_understood_names_what_is(viewer, several, query, field, hint):
    answer = viewer.get(URL, query)
    assert answer.status_code == 400
    assert hint in answer.data["fields"][field]


def test_a_version_number_beyond_every_version_finds_nothing(viewer, several):
    answer = viewer.get(URL, {"version": "9" * 30})
    assert (answer.status_code, answer.data["count"]) == (200, 0)


def test_the_list_carries_the_figures_of_each(viewer, several):
    make_traffic(several[1], (200, 10.0), (200, 10.0), (500, 1.0), (400, 1.0))
    figures = {row["id"]: row["metrics"] for row in viewer.get(URL).data["results"]}
    assert (figures[several[1].pk]["request_count"], figures[several[1].pk]["error_rate"]) == (4, 0.25)
    assert figures[several[0].pk]["request_count"] == 0
    assert set(figures[several[0].pk]) == FIGURES


@pytest.mark.parametrize("rows", [3, 30])
@pytest.mark.parametrize("query", [{}, {"export": "json"}])
def test_a_list_takes_as_many_queries_however_long_it_is(viewer, rows, query, django_assert_max_num_queries):
    for _ in range(rows):
        make_traffic(make_deployment(status="active"), (200, 5.0))
    viewer.get(URL, {"limit": "1"})
    with django_assert_max_num_queries(6):
        answer = viewer.get(URL, query)
        content = exported(answer) if query else answer.content
    assert len(json.loads(content) if query else json.loads(content)["results"]) == rows


def test_an_export_is_the_filtered_list_as_a_file(viewer, several):
    rows = list(csv.DictReader(io.StringIO(exported(viewer.get(URL, {"export": "csv", "status": "failed"})))))
    assert [(row["id"], row["error_message"]) for row in rows] == [(str(several[0].pk), "It broke")]
    listed = json.loads(exported(viewer.get(URL, {"export": "json"})))
    assert listed == json.loads(viewer.get(URL).content)["results"]


# --- One deployment -----------------------------------------------------------------------------------------


def test_the_detail_shows_monitoring_logs_and_replicas(viewer):
    deployment = make_deployment(status="active", health_status="degraded")
    make_traffic(deployment, (200, 20.0), (503, 0.1))
    target = make_target(deployment)
    target.replicas.create(name="r1", state="ready", restarts=2, memory_bytes=1000)
    deployment.log("first")
    deployment.log("second", level="error")
    shown = viewer.get(at(deployment)).data
    assert shown["health_status"] == "degraded"
    assert (shown["metrics"]["request_count"], shown["metrics"]["error_count"]) == (2, 1)
    assert shown["metrics"]["p95_latency_ms"] == pytest.approx(20, rel=0.05)
    assert [(line["message"], line["level"]) for line in shown["logs"]] == [
        ("first", "info"),
        ("second", "error"),
    ]
    assert [(replica["name"], replica["state"], replica["restarts"]) for replica in shown["replicas"]] == [
        ("r1", "ready", 2)
    ]


def test_the_detail_shows_the_newest_lines_of_a_long_log(viewer):
    deployment = make_deployment()
    for number in range(103):
        deployment.log(f"line {number}")
    lines = viewer.get(at(deployment)).data["logs"]
    assert (len(lines), lines[0]["message"], lines[-1]["message"]) == (100, "line 3", "line 102")


def test_what_is_not_there_is_not_found(operator):
    for path in ("", "/logs", "/events", "/metrics"):
        assert operator.get(f"{URL}/999999{path}").status_code == 404
    assert operator.patch(f"{URL}/999999", {}).status_code == 404
    assert operator.delete(f"{URL}/999999").status_code == 404
    assert operator.post(f"{URL}/999999/rollback").status_code == 404


def test_a_filter_of_the_list_does_not_hide_one_deployment(viewer):
    assert viewer.get(at(make_deployment()), {"status": "failed"}).status_code == 200


def test_a_log_is_read_on_after_the_last_line_seen(viewer):
    deployment = make_deployment()
    for message in ("one", "two", "three"):
        deployment.log(message)
    make_deployment().log("of another")
    lines = viewer.get(at(deployment, "/logs")).data["results"]
    assert [line["message"] for line in lines] == ["one", "two", "three"]
    rest = viewer.get(at(deployment, "/logs"), {"after": lines[0]["id"]}).data["results"]
    assert rest == lines[1:]
    assert viewer.get(at(deployment, "/logs"), {"after": lines[-1]["id"]}).data["results"] == []
    assert viewer.get(at(deployment, "/logs"), {"limit": 1}).data["results"] == lines[:1]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/logs", {"after": "yesterday"}, "after"),
        ("/logs", {"after": "-1"}, "after"),
        ("/logs", {"limit": "0"}, "limit"),
        ("/logs", {"befor": "1"}, "befor"),
        ("/metrics", {"window": "2y"}, "window"),
        ("/metrics", {"windw": "1h"}, "windw"),
    ],
)
def test_what_cannot_be_read_names_its_parameter(viewer, path, query, field):
    answer = viewer.get(at(make_deployment(), path), query)
    assert answer.status_code == 400
    assert field in answer.data["fields"]


def test_events_tell_who_did_what_and_why(operator):
    deployment = make_deployment(status="active")
    operator.patch(at(deployment), {"status": "terminated", "reason": "too costly"})
    (event,) = operator.get(at(deployment, "/events")).data["results"]
    assert (event["before"], event["after"]) == ("active", "terminated")
    assert (event["actor"], event["reason"]) == (operator.user.username, "too costly")


@pytest.mark.parametrize(("window", "points"), [("1h", 60), ("24h", 60), ("7d", 56)])
def test_metrics_over_a_window_add_up_to_its_traffic(viewer, window, points):
    deployment = make_deployment(status="active")
    make_traffic(deployment, (200, 10.0), (500, 1.0), (200, 10.0))
    answer = viewer.get(at(deployment, "/metrics"), {"window": window}).data
    assert answer["window"] == window
    assert len(answer["results"]) == points
    assert sum(point["request_count"] for point in answer["results"]) == 3
    assert sum(point["error_count"] for point in answer["results"]) == 1


def test_metrics_are_of_the_last_hour_unless_asked_otherwise(viewer):
    deployment = make_deployment(status="active")
    make_traffic(deployment, (200, 10.0), at=timezone.now() - timedelta(hours=2))
    answer = viewer.get(at(deployment, "/metrics")).data
    assert answer["window"] == "1h"
    assert sum(point["request_count"] for point in answer["results"]) == 0
