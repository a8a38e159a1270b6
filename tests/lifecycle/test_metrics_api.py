"""/runs/{run_id}/metrics."""

import pytest
from rest_framework.test import APIClient

from core.models import AuditEvent
from lifecycle.models import MetricPoint
from tests.factories import make_client, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    return make_run()


@pytest.fixture
def url(run) -> str:
    return f"/api/v1/ml/lifecycle/runs/{run.run_id}/metrics"


@pytest.fixture
def scientist() -> APIClient:
    return make_client("scientist")


def test_points_become_history_and_the_latest_value(scientist, run, url):
    points = [{"metric_name": "loss", "value": 1.0 - step / 10, "step": step} for step in range(5)]
    response = scientist.post(url, {"metrics": points})
    assert (response.status_code, response.data) == (201, {"logged": 5})
    shown = scientist.get(f"{url}?key=loss").data
    assert [(point["step"], point["value"]) for point in shown["results"]] == [
        (n, 1.0 - n / 10) for n in range(5)
    ]
    assert run.metrics.get().value == 0.6
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_metrics_need_a_sign_in(url, method):
    assert getattr(APIClient(), method)(url).status_code == 401


@pytest.mark.parametrize(
    "who",
    [{"roles": ["viewer"]}, {"roles": ["operator"]}, {"roles": ["scientist"], "read_only": True}],
    ids=str,
)
def test_everybody_reads_and_only_authors_log(who, run, url):
    client = make_client(*who.pop("roles"), **who)
    assert client.get(url).status_code == 200
    assert client.post(url, {"metrics": [{"metric_name": "a", "value": 1}]}).status_code == 403
    assert not run.points.exists()


@pytest.mark.parametrize(
    ("points", "latest"),
    [
        ([(2, 0, 0.5), (1, 9, 0.9)], 0.5),
        ([(1, 5, 0.5), (1, 4, 0.9)], 0.5),
        ([(1, 5, 0.5), (1, 5, 0.4)], 0.5),
        ([(1, 5, "NaN"), (1, 5, 0.4)], 0.4),
        ([(1, 5, 0.4), (2, 5, "NaN")], "NaN"),
        ([(-5, 5, 0.1), (-6, 6, 0.2)], 0.1),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_latest_value_is_of_the_highest_step_then_time_then_value(
    scientist, run, url, points, latest, at_once
):
    sent = [
        {"metric_name": "m", "step": step, "timestamp": f"2026-01-01T00:00:0{second}Z", "value": value}
        for step, second, value in points
    ]
    for batch in [sent] if at_once else [[point] for point in sent]:
        assert scientist.post(url, {"metrics": batch}).status_code == 201
    assert scientist.get(url.removesuffix("/metrics")).json()["metrics"][0]["value"] == latest


def test_values_on_different_datasets_are_different_metrics(scientist, run, url):
    sent = [
        {"metric_name": "auc", "value": value, "dataset": name}
        for name, value in (("train", 0.9), ("test", 0.8))
    ]
    scientist.post(url, {"metrics": sent})
    assert {row.dataset: row.value for row in run.metrics.all()} == {"train": 0.9, "test": 0.8}
    assert [point["value"] for point in scientist.get(f"{url}?key=auc&dataset=test").data["results"]] == [0.8]


def test_values_json_has_no_word_for_travel_as_strings(scientist, url):
    names = ["NaN", "Infinity", "-Infinity"]
    sent = [{"metric_name": "m", "value": name, "step": step} for step, name in enumerate(names)]
    assert scientist.post(url, {"metrics": sent}).status_code == 201
    assert [point["value"] for point in scientist.get(url).json()["results"]] == names
    assert [point["value"] for point in scientist.get(f"{url}?key=m&max_points=4").json()["results"]] == names


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "metrics"),
        ({"metrics": []}, "metrics.non_field_errors"),
        ({"metrics": [{"value": 1}]}, "metrics.0.metric_name"),
        ({"metrics": [{"metric_name": "a", "value": None}]}, "metrics.0.value"),
        (
            {"metrics": [{"metric_name": "a", "value": 1}, {"metric_name": "b", "value": "x"}]},
            "metrics.1.value",
        ),
        ({"metrics": [{"metric_name": "a", "value": 1, "step": 1.5}]}, "metrics.0.step"),
        ({"metrics": [{"metric_name": "a", "value": 1, "timestamp": "now"}]}, "metrics.0.timestamp"),
        ({"metrics": [{"metric_name": "a", "value": 1, "dataset": "d" * 251}]}, "metrics.0.dataset"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_input_is_refused_naming_the_field_and_keeps_nothing(scientist, url, sent, field):
    response = scientist.post(url, sent)
    assert (response.status_code, field in response.data["fields"]) == (400, True)
    assert not MetricPoint.objects.exists()


def test_a_thousand_points_a_request_and_no_more(scientist, run, url, django_assert_max_num_queries):
    points = [{"metric_name": "m", "value": 1.0, "step": step} for step in range(1001)]
    with django_assert_max_num_queries(25):
        assert scientist.post(url, {"metrics": points[:1000]}).status_code == 201
    assert scientist.post(url, {"metrics": points}).status_code == 413
    assert run.points.count() == 1000


def test_a_point_that_is_sent_again_is_kept_once(scientist, run, url):
    point = {"metric_name": "m", "value": 1.0, "step": 3, "timestamp": "2026-01-01T00:00:00.123000Z"}
    others = [
        {**point, "step": 4},
        {**point, "value": 2.0},
        {**point, "value": "NaN"},
        {**point, "dataset": "test"},
        {**point, "timestamp": "2026-01-01T00:00:00.124Z"},
    ]
    for _time in range(2):
        assert scientist.post(url, {"metrics": [point, point, *others]}).status_code == 201
    assert run.points.count() == 1 + len(others)
    assert scientist.get(f"{url}?key=m&dataset=test").json()["results"][0]["timestamp"] == point["timestamp"]


def test_histories_are_paged(scientist, url):
    scientist.post(url, {"metrics": [{"metric_name": "m", "value": n, "step": n} for n in range(10)]})
    page = scientist.get(f"{url}?limit=4&offset=4").data
    assert (page["count"], [point["step"] for point in page["results"]]) == (10, [4, 5, 6, 7])
    assert page["next"]


def test_a_downsampled_history_keeps_its_ends_and_extremes(scientist, url, django_assert_max_num_queries):
    points = [{"metric_name": "m", "value": 0.0, "step": step} for step in range(1000)]
    points[333]["value"], points[777]["value"], points[500]["value"] = 50.0, -50.0, "NaN"
    scientist.post(url, {"metrics": points})
    with django_assert_max_num_queries(7):
        shown = scientist.get(f"{url}?key=m&max_points=20").json()
    assert shown["count"] == 1000
    assert len(shown["results"]) <= 20
    assert {0, 333, 500, 777, 999} <= {point["step"] for point in shown["results"]}
    steps = [point["step"] for point in shown["results"]]
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    "query",
    [
        "max_points=10",
        "key=m&max_points=3",
        "key=m&max_points=x",
        "key=m&max_points=10&limit=5",
        "kee=m",
        "limit=0",
        "key=%00",
    ],
)
def test_a_query_that_means_nothing_is_refused(scientist, url, query):
    assert scientist.get(f"{url}?{query}").status_code == 400
