"""/experiments."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import AuditEvent
from lifecycle.models import Experiment
from lifecycle.operations.experiments import is_lower_better
from lifecycle.operations.logs import append_lines
from lifecycle.operations.metrics import log_metrics
from tests.factories import make_client, make_experiment, make_run, make_user

URL = "/api/v1/ml/lifecycle/experiments"

pytestmark = pytest.mark.django_db


@pytest.fixture
def scientist() -> APIClient:
    return make_client("scientist")


@pytest.fixture(autouse=True)
def artifact_root(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def make_completed_run(experiment, metrics=(), **fields):
    fields.setdefault("completed_at", timezone.now())
    run = make_run(experiment=experiment, created_by=experiment.owner, status="completed", **fields)
    log_metrics(
        actor=None, run=run, metrics=[{"metric_name": name, "value": value} for name, value in metrics]
    )
    return run


def test_an_experiment_is_created_as_it_was_sent(scientist):
    sent = {
        "name": "churn",
        "description": "why they go",
        "tags": {"team": "crm"},
        "metadata": {"ticket": [1, None]},
    }
    response = scientist.post(URL, sent)
    assert response.status_code == 201
    assert sent.items() <= response.data.items()
    assert (response.data["owner"], response.data["status"]) == (scientist.user.username, "active")
    assert scientist.get(f"{URL}/churn").data == response.data
    assert actions() == ["experiment.create"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_list_needs_a_sign_in(method):
    assert getattr(APIClient(), method)(URL).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("patch", ""), ("delete", ""), ("post", "/restore")],
)
def test_one_experiment_needs_a_sign_in(method, path):
    assert getattr(APIClient(), method)(f"{URL}/{make_experiment().pk}{path}").status_code == 401


@pytest.mark.parametrize(
    "who",
    [
        {"roles": ["viewer"]},
        {"roles": ["approver"]},
        {"roles": ["operator"]},
        {"roles": ["scientist"], "read_only": True},
        {"roles": ["scientist"], "domain": "features"},
    ],
    ids=str,
)
def test_only_authors_change_experiments(who):
    client = make_client(*who.pop("roles"), **who)
    name = make_experiment(name="theirs").name
    assert client.post(URL, {"name": "new"}).status_code == 403
    assert client.patch(f"{URL}/{name}", {"description": "x"}).status_code == 403
    assert client.delete(f"{URL}/{name}").status_code == 403
    assert client.post(f"{URL}/{name}/restore").status_code == 403
    assert Experiment.objects.get().description == ""


@pytest.mark.parametrize("role", ["viewer", "approver", "operator", "scientist", "admin"])
def test_everybody_signed_in_reads(role):
    client = make_client(role)
    make_experiment(name="shared")
    assert client.get(URL).data["count"] == 1
    assert client.get(f"{URL}/shared").status_code == 200


def test_a_token_of_another_domain_does_not_even_read():
    client = make_client("scientist", domain="features")
    assert client.get(URL).status_code == 403
    assert client.get(f"{URL}/{make_experiment().pk}").status_code == 403


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "n" * 501}, "name"),
        ({"name": ["list"]}, "name"),
        ({"name": "a", "owner": "me"}, "owner"),
        ({"name": "a", "status": "archived"}, "status"),
        ({"name": "a", "colour": "red"}, "colour"),
        ({"name": "a", "tags": ["x"]}, "tags"),
        ({"name": "a", "tags": {"\x00": "x"}}, "tags"),
        ({"name": "a", "tags": {"x": "\x00"}}, "tags.x"),
        ({"name": "a", "metadata": [1]}, "metadata"),
        ({"name": "a", "metadata": {"x": ["\x00"]}}, "metadata"),
        ({"name": "a", "metadata": {"x": "\udfff"}}, "metadata"),
        ({"name": "a", "metadata": {"x": "y" * 70_000}}, "metadata"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_refused_naming_the_field(scientist, sent, field):
    response = scientist.post(URL, json.dumps(sent), content_type="application/json")
    assert response.status_code == 400
    assert field in response.data["fields"]
    assert not Experiment.objects.exists()


def test_a_name_is_taken_once_even_by_an_archived_experiment(scientist):
    make_experiment(name="taken", status="archived")
    response = scientist.post(URL, {"name": "taken"})
    assert (response.status_code, response.data["code"]) == (409, "conflict")
    make_experiment(name="mine")
    assert scientist.patch(f"{URL}/mine", {"name": "taken"}).status_code == 409


@pytest.mark.parametrize("name", ["v1.2.3", "한글 실험", "100%", "a?b#c", "..."])
def test_a_name_answers_url_encoded(scientist, name):
    scientist.post(URL, {"name": name})
    for path in (f"{URL}/{quote(name, safe='')}", f"{URL}/{quote(name, safe='')}/"):
        assert scientist.get(path).data["name"] == name


def test_a_name_with_a_slash_answers_by_id(scientist):
    made = scientist.post(URL, {"name": "team/churn"}).data
    assert scientist.get(f"{URL}/{made['id']}").data["name"] == "team/churn"


def test_a_name_goes_before_an_id(scientist):
    other = make_experiment()
    named = make_experiment(name=str(other.pk))
    assert scientist.get(f"{URL}/{other.pk}").data["id"] == named.pk


@pytest.mark.parametrize("name", ["nobody", "999999", "9" * 40, "%00", "-1", "١"])
def test_an_unknown_experiment_is_not_found(scientist, name):
    assert scientist.get(f"{URL}/{name}").status_code == 404


def test_a_patch_changes_what_it_names_and_is_audited(scientist):
    make_experiment(name="before", description="kept", tags={"a": "1"})
    response = scientist.patch(f"{URL}/before", {"name": "after", "tags": {"b": "2"}})
    assert (response.data["name"], response.data["description"], response.data["tags"]) == (
        "after",
        "kept",
        {"b": "2"},
    )
    event = AuditEvent.objects.get()
    assert event.changes == {"name": ["before", "after"], "tags": [{"a": "1"}, {"b": "2"}]}


def test_a_patch_that_changes_nothing_leaves_no_trace(scientist):
    make_experiment(name="same", description="d")
    assert scientist.patch(f"{URL}/same", {"description": "d"}).status_code == 200
    assert actions() == []


def test_archiving_is_soft_and_can_be_undone_once(scientist):
    make_experiment(name="old")
    assert scientist.delete(f"{URL}/old").status_code == 204
    assert scientist.delete(f"{URL}/old").status_code == 409
    assert scientist.get(f"{URL}/old").data["status"] == "archived"
    assert scientist.patch(f"{URL}/old", {"description": "x"}).status_code == 409
    assert scientist.post(f"{URL}/old/restore").data["status"] == "active"
    assert scientist.post(f"{URL}/old/restore").status_code == 409
    assert actions() == ["experiment.archive", "experiment.restore"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("owner=kim", {"a", "b"}),
        ("owner=nobody", set()),
        ("status=archived", {"b"}),
        ("tag=team", {"a", "c"}),
        ("tag=team=crm", {"a"}),
        ("tag=team=crm&tag=1=one", {"a"}),
        ("tag=1", {"a"}),
        ("tag=a__b.c=x=y", {"c"}),
        ("tag=팀=고객", {"c"}),
        ("tag=tea", set()),
        ("created_after=2100-01-01", set()),
        ("created_before=2100-01-01T00:00:00Z", {"a", "b", "c"}),
        ("search=SECOND", {"b"}),
    ],
)
def test_lists_filter(scientist, query, names):
    kim = make_user("scientist", username="kim")
    make_experiment(name="a", owner=kim, tags={"team": "crm", "1": "one"})
    make_experiment(name="b", owner=kim, status="archived", description="the second")
    make_experiment(name="c", tags={"team": "fraud", "a__b.c": "x=y", "팀": "고객"})
    assert {row["name"] for row in scientist.get(f"{URL}?{query}").data["results"]} == names


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=gone", "active, archived"),
        ("created_after=yesterday", "created_after"),
        ("created_after=0001-01-01T00:00:00%2B14:00", "out of range"),
        ("created_before=9999-12-31T23:59:59-14:00", "out of range"),
        ("ordering=colour", "created_at"),
        ("ownr=kim", "owner"),
        ("limit=0", "1000"),
        ("tag=%00", "NUL"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(scientist, query, named):
    response = scientist.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert named in response.data["detail"]


def test_lists_order_by_name(scientist):
    for name in ("b", "a", "c"):
        make_experiment(name=name)
    rows = scientist.get(f"{URL}?ordering=-name").data["results"]
    assert [row["name"] for row in rows] == ["c", "b", "a"]


def test_a_list_shows_the_metrics_of_the_run_that_completed_last(scientist):
    experiment = make_experiment(name="e")
    make_completed_run(experiment, [("auc", 0.7)], completed_at=timezone.now() - timedelta(hours=1))
    last = make_completed_run(experiment, [("auc", 0.6)])
    make_completed_run(experiment, [("auc", 0.9)], deleted_at=timezone.now())
    make_run(experiment=experiment, created_by=experiment.owner)
    row = scientist.get(URL).data["results"][0]
    assert row["metrics"] == [{"metric_name": "auc", "value": 0.6, "dataset": ""}]
    assert row["duration_seconds"] == last.duration_seconds


def test_a_list_asks_the_database_as_often_for_many_as_for_one(scientist, django_assert_max_num_queries):
    for _number in range(20):
        make_completed_run(make_experiment(), [("auc", 0.5)])
    with django_assert_max_num_queries(8):
        assert len(scientist.get(URL).data["results"]) == 20


def test_the_detail_sums_up_the_runs(scientist, django_assert_max_num_queries):
    experiment = make_experiment(name="e")
    low = make_completed_run(experiment, [("auc", 0.6), ("val_loss", 0.1), ("broken", float("nan"))])
    high = make_completed_run(experiment, [("auc", 0.9), ("val_loss", 0.4)])
    make_completed_run(experiment, [("auc", 1.0)], deleted_at=timezone.now())
    make_run(experiment=experiment, created_by=experiment.owner, status="failed")
    append_lines(actor=None, run=high, lines=[{"message": "done"}])
    with django_assert_max_num_queries(16):
        shown = scientist.get(f"{URL}/e").data
    assert shown["run_counts"] == {"completed": 2, "failed": 1}
    assert [
        (best["metric_name"], best["value"], best["run_id"], best["best_is"]) for best in shown["best_runs"]
    ] == [
        ("auc", 0.9, high.run_id, "highest"),
        ("val_loss", 0.1, low.run_id, "lowest"),
    ]
    assert shown["latest_run_id"] == high.run_id
    assert [line["message"] for line in shown["logs"]] == ["done"]
    assert shown["artifacts"] == []
    assert shown["completed_at"].endswith("Z")


def test_an_experiment_without_runs_says_so(scientist):
    make_experiment(name="empty")
    shown = scientist.get(f"{URL}/empty").data
    assert (shown["run_counts"], shown["best_runs"], shown["metrics"], shown["logs"]) == ({}, [], [], [])
    assert shown["completed_at"] is shown["duration_seconds"] is shown["latest_run_id"] is None


@pytest.mark.parametrize("name", ["loss", "val_loss", "test/RMSE", "mean.absolute.error", "log-loss"])
def test_losses_are_better_when_lower(name):
    assert is_lower_better(name)


@pytest.mark.parametrize("name", ["accuracy", "f1", "glossary", "r2", "terror_recall"])
def test_other_metrics_are_better_when_higher(name):
    assert not is_lower_better(name)


def test_a_list_exports_whole(scientist):
    make_experiment(name="a")
    response = scientist.get(f"{URL}?export=csv")
    assert b"a" in b"".join(response.streaming_content)


def test_a_repeated_post_gets_the_first_answer(scientist):
    first = scientist.post(URL, {"name": "once"}, headers={"Idempotency-Key": "k"})
    again = scientist.post(URL, {"name": "once"}, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
