"""/runs."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from core.models import AuditEvent
from lifecycle.models import Run
from lifecycle.operations.metrics import log_metrics
from lifecycle.operations.run_data import log_to_run
from tests.factories import make_client, make_experiment, make_file, make_run, make_user

URL = "/api/v1/ml/lifecycle/runs"

pytestmark = pytest.mark.django_db


@pytest.fixture
def scientist() -> APIClient:
    return make_client("scientist")


@pytest.fixture
def experiment():
    return make_experiment(name="churn")


@pytest.fixture(autouse=True)
def artifact_root(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("action", flat=True))


def make_measured_run(experiment, name="", parameters=None, **metrics):
    run = make_run(experiment=experiment, created_by=experiment.owner, name=name)
    log_metrics(
        actor=None, run=run, metrics=[{"metric_name": key, "value": value} for key, value in metrics.items()]
    )
    rows = [{"name": key, "value": value} for key, value in (parameters or {}).items()]
    log_to_run(actor=None, run=run, parameters=rows)
    return run


def test_a_run_is_logged_as_it_was_sent(scientist, experiment):
    response = scientist.post(
        URL,
        {
            "experiment_name": "churn",
            "name": "first",
            "status": "completed",
            "started_at": "2026-01-01T10:00:00Z",
            "completed_at": "2026-01-01T10:01:30Z",
            "parameters": [{"name": "depth", "value": 3}, {"name": "bootstrap", "value": True}],
            "metrics": [{"metric_name": "auc", "value": 0.9, "dataset": "test"}],
            "tags": {"team": "crm"},
            "dataset_name": "customers",
            "dataset_version": "3",
            "notes": "best so far",
        },
    )
    assert response.status_code == 201
    run = response.data
    assert run["parameters"] == [{"name": "bootstrap", "value": "true"}, {"name": "depth", "value": "3"}]
    assert run["metrics"] == [{"metric_name": "auc", "value": 0.9, "dataset": "test"}]
    assert (run["duration_seconds"], run["tags"], run["artifacts"]) == (90.0, {"team": "crm"}, [])
    assert (run["created_by"], run["experiment_name"]) == (scientist.user.username, "churn")
    assert scientist.get(f"{URL}/{run['run_id']}").data == run
    assert actions() == ["run.create"]


def test_a_run_starts_now_unless_it_is_scheduled(scientist, experiment):
    running = scientist.post(URL, {"experiment_name": "churn"}).data
    scheduled = scientist.post(URL, {"experiment_name": "churn", "status": "scheduled"}).data
    assert (running["status"], running["started_at"] is None, running["completed_at"]) == (
        "running",
        False,
        None,
    )
    assert (scheduled["started_at"], scheduled["duration_seconds"]) == (None, None)


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_list_needs_a_sign_in(method):
    assert getattr(APIClient(), method)(URL).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ""), ("patch", ""), ("delete", ""), ("post", "/restore")],
)
def test_one_run_needs_a_sign_in(method, path):
    assert getattr(APIClient(), method)(f"{URL}/{make_run().run_id}{path}").status_code == 401


def test_comparing_needs_a_sign_in():
    assert APIClient().post(f"{URL}/compare", {}).status_code == 401


@pytest.mark.parametrize(
    "who",
    [
        {"roles": ["viewer"]},
        {"roles": ["approver"]},
        {"roles": ["operator"]},
        {"roles": ["scientist"], "read_only": True},
        {"roles": ["scientist"], "domain": "prompts"},
    ],
    ids=str,
)
def test_only_authors_change_runs(who, experiment):
    client = make_client(*who.pop("roles"), **who)
    run = make_run(experiment=experiment)
    assert client.post(URL, {"experiment_name": "churn"}).status_code == 403
    assert client.patch(f"{URL}/{run.run_id}", {"notes": "x"}).status_code == 403
    assert client.delete(f"{URL}/{run.run_id}").status_code == 403
    assert client.post(f"{URL}/{run.run_id}/restore").status_code == 403
    assert Run.objects.get().notes == ""


@pytest.mark.parametrize("role", ["viewer", "approver", "operator", "scientist", "admin"])
def test_everybody_signed_in_reads_and_compares(role, experiment):
    client = make_client(role)
    ids = [make_run(experiment=experiment).run_id for _number in range(2)]
    assert client.get(URL).data["count"] == 2
    assert client.get(f"{URL}/{ids[0]}").status_code == 200
    assert client.post(f"{URL}/compare", {"run_ids": ids}).status_code == 200


def test_a_read_only_token_compares_too(experiment):
    ids = [make_run(experiment=experiment).run_id for _number in range(2)]
    assert (
        make_client("scientist", read_only=True).post(f"{URL}/compare", {"run_ids": ids}).status_code == 200
    )


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"experiment_name": None}, "experiment_name"),
        ({"experiment_name": "unknown"}, "experiment_name"),
        ({"status": "done"}, "status"),
        ({"run_id": "x"}, "run_id"),
        ({"created_by": "me"}, "created_by"),
        ({"artifacts": []}, "artifacts"),
        ({"started_at": "noon"}, "started_at"),
        ({"completed_at": "2026-01-01T00:00:00Z"}, "completed_at"),
        (
            {
                "status": "failed",
                "started_at": "2026-01-02T00:00:00Z",
                "completed_at": "2026-01-01T00:00:00Z",
            },
            "completed_at",
        ),
        ({"parameters": {"depth": 3}}, "parameters.non_field_errors"),
        ({"parameters": [{"name": "depth"}]}, "parameters.0.value"),
        ({"parameters": [{"name": "depth", "value": None}]}, "parameters.0.value"),
        ({"parameters": [{"name": "depth", "value": [3]}]}, "parameters.0.value"),
        ({"parameters": [{"name": "../x", "value": "3"}]}, "parameters.0.name"),
        ({"parameters": [{"name": "a\x00", "value": "3"}]}, "parameters.0.name"),
        ({"parameters": [{"name": "a", "value": "\x00"}]}, "parameters.0.value"),
        ({"parameters": [{"name": "a", "value": "v" * 6001}]}, "parameters.0.value"),
        ({"parameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}, "parameters"),
        ({"metrics": [{"metric_name": "auc", "value": "high"}]}, "metrics.0.value"),
        ({"metrics": [{"metric_name": "auc", "value": True}]}, "metrics.0.value"),
        ({"metrics": [{"metric_name": "auc", "value": 1, "step": 2**63}]}, "metrics.0.step"),
        ({"metrics": [{"metric_name": "a?b", "value": 1}]}, "metrics.0.metric_name"),
        ({"metrics": [{"metric_name": "auc", "value": 1, "colour": "red"}]}, "metrics.0.colour"),
        ({"notes": "\x00"}, "notes"),
        ({"dataset_version": "v" * 101}, "dataset_version"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_input_is_refused_naming_the_field_and_keeps_nothing(scientist, experiment, sent, field):
    response = scientist.post(URL, {"experiment_name": "churn"} | sent)
    assert response.status_code == 400
    assert field in response.data["fields"]
    assert not Run.objects.exists()


def test_an_archived_experiment_takes_no_new_runs(scientist):
    make_experiment(name="old", status="archived")
    assert scientist.post(URL, {"experiment_name": "old"}).status_code == 409
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("scheduled", "running", 200),
        ("scheduled", "completed", 409),
        ("running", "completed", 200),
        ("running", "failed", 200),
        ("running", "cancelled", 200),
        ("running", "scheduled", 200),
        ("completed", "running", 200),
        ("failed", "completed", 409),
        ("failed", "failed", 200),
    ],
)
def test_a_run_moves_as_the_table_says(scientist, before, after, status):
    run = make_run(status=before, completed_at=None if before in ("scheduled", "running") else timezone.now())
    response = scientist.patch(f"{URL}/{run.run_id}", {"status": after})
    assert response.status_code == status
    if status == 200:
        assert (response.data["completed_at"] is None) == (after in ("scheduled", "running"))
        assert actions() == ([] if before == after else [f"run.{after}"])
    else:
        assert Run.objects.get().status == before


def test_a_run_completes_when_the_client_says(scientist):
    run = make_run(started_at=datetime(2026, 1, 1, tzinfo=UTC))
    path = f"{URL}/{run.run_id}"
    early = scientist.patch(path, {"status": "completed", "completed_at": "2025-12-31T00:00:00Z"})
    assert (early.status_code, Run.objects.get().status) == (400, "running")
    assert scientist.patch(path, {"completed_at": "2026-01-01T00:01:00Z"}).status_code == 400
    done = scientist.patch(path, {"status": "completed", "completed_at": "2026-01-01T00:01:00Z"})
    assert done.data["duration_seconds"] == 60.0


def test_a_patch_adds_what_is_new_and_audits_what_is_no_append(scientist):
    run = make_run()
    path = f"{URL}/{run.run_id}"
    scientist.patch(path, {"parameters": [{"name": "a", "value": "1"}], "tags": {"x": "1", "y": "2"}})
    scientist.patch(path, {"parameters": [{"name": "b", "value": 0.5}], "tags": {"y": "3"}})
    shown = scientist.patch(path, {"metrics": [{"metric_name": "auc", "value": 0.5}]}).data
    assert {row["name"]: row["value"] for row in shown["parameters"]} == {"a": "1", "b": "0.5"}
    assert shown["tags"] == {"y": "3"}
    assert shown["metrics"][0]["value"] == 0.5
    assert run.points.count() == 1
    assert actions() == ["run.update"] * 2, "tags are replaced, which is no append"
    assert AuditEvent.objects.first().changes == {"tags": [{"x": "1", "y": "2"}, {"y": "3"}]}
    scientist.patch(path, {"name": "n", "notes": "because", "tags": {"y": "3"}})
    assert set(AuditEvent.objects.first().changes) == {"name", "notes"}


def test_a_logged_parameter_never_changes(scientist):
    run = make_run()
    path = f"{URL}/{run.run_id}"
    scientist.patch(path, {"parameters": [{"name": "depth", "value": "3"}]})
    assert scientist.patch(path, {"parameters": [{"name": "depth", "value": 3}]}).status_code == 200
    refused = scientist.patch(path, {"notes": "lost?", "parameters": [{"name": "depth", "value": "4"}]})
    assert refused.status_code == 409
    assert "depth" in refused.data["detail"]
    run.refresh_from_db()
    assert (run.notes, run.parameters.get().value) == ("", "3")


def test_a_deleted_run_is_out_of_sight_until_it_is_restored(scientist):
    run = make_run()
    path = f"{URL}/{run.run_id}"
    assert scientist.delete(path).status_code == 204
    assert scientist.get(path).status_code == scientist.delete(path).status_code == 404
    assert (
        scientist.get(f"{path}/metrics").status_code == scientist.get(f"{path}/artifacts").status_code == 404
    )
    assert scientist.get(URL).data["count"] == 0
    assert scientist.post(f"{path}/restore").status_code == 200
    assert scientist.post(f"{path}/restore").status_code == 409
    assert scientist.get(URL).data["count"] == 1
    assert actions() == ["run.delete", "run.restore"]


@pytest.mark.parametrize("run_id", ["0" * 32, "%00", "a.b", "한글", "x" * 300])
def test_an_unknown_run_is_not_found(scientist, run_id):
    assert scientist.get(f"{URL}/{run_id}").status_code == 404
    assert scientist.get(f"{URL}/{run_id}/metrics").status_code == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("experiment_name=churn", {"a", "b"}),
        ("status=failed", {"b"}),
        ("status=failed&status=running", {"a", "b", "c"}),
        ("created_by=kim", {"c"}),
        ("started_after=2026-01-01T00:00:00Z", {"a", "c"}),
        ("started_before=2026-01-01T00:00:00Z", {"b"}),
        ("tag=team", {"a", "b"}),
        ("tag=team=crm", {"a"}),
        ("tag=team=crm&tag=x", set()),
        ("metric.accuracy__gte=0.9", {"a"}),
        ("metric.accuracy__gt=0.9", set()),
        ("metric.accuracy__lte=0.5", {"b"}),
        ("metric.accuracy__lt=0.5", set()),
        ("metric.accuracy__exact=0.5", {"b"}),
        ("metric.a.b/c__d__gte=1", {"c"}),
        ("metric.accuracy__gte=0.1&metric.accuracy__lt=0.6", {"b"}),
        ("metric.unknown__gte=0", set()),
        ("metric.broken__gte=0", set()),
        ("param.optimizer__exact=adam", {"a"}),
        ("param.optimizer__icontains=ADAM", {"a", "b"}),
        ("search=kitten", {"c"}),
    ],
)
def test_lists_filter(scientist, experiment, query, names):
    a = make_measured_run(experiment, "a", {"optimizer": "adam"}, accuracy=0.9, broken=float("nan"))
    b = make_measured_run(experiment, "b", {"optimizer": "adamw"}, accuracy=0.5)
    kim = make_user("scientist", username="kim")
    c = make_measured_run(make_experiment(name="kittens", owner=kim), "c", **{"a.b/c__d": 1.0})
    Run.objects.filter(pk=b.pk).update(status="failed", started_at=datetime(2025, 1, 1, tzinfo=UTC))
    log_to_run(actor=None, run=a, tags={"team": "crm"})
    log_to_run(actor=None, run=b, tags={"team": "fraud"})
    assert {c.status, a.status} == {"running"}
    assert {row["name"] for row in scientist.get(f"{URL}?{query}").data["results"]} == names


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=done", "scheduled, running"),
        ("metric.accuracy=0.9", "gte, gt, lte, lt, exact"),
        ("metric.accuracy__near=0.9", "gte, gt, lte, lt, exact"),
        ("metric.__gte=1", "metric.<name>"),
        ("metric.accuracy__gte=high", "not a number"),
        ("metric.accuracy__gte=nan", "not a number"),
        ("param.depth__gte=3", "exact, icontains"),
        ("param.depth__exact=%00", "NUL"),
        ("metric.%00__gte=3", "NUL"),
        ("ordering=depth", "started_at"),
        ("ordering=metric.", "started_at"),
        ("metrics.auc__gte=1", "experiment_name"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(scientist, query, named):
    response = scientist.get(f"{URL}?{query}")
    assert response.status_code == 400
    assert named in response.data["detail"]


@pytest.mark.parametrize(
    ("ordering", "names"),
    [
        ("-metric.accuracy", ["high", "low", "none"]),
        ("metric.accuracy", ["low", "high", "none"]),
        ("-metric.accuracy,name", ["high", "low", "none"]),
        ("name", ["high", "low", "none"]),
    ],
)
def test_lists_order_by_the_latest_value_of_a_metric(scientist, experiment, ordering, names):
    make_measured_run(experiment, "none", accuracy=float("nan"))
    make_measured_run(experiment, "low", accuracy=0.1)
    make_measured_run(experiment, "high", accuracy=0.9)
    assert [row["name"] for row in scientist.get(f"{URL}?ordering={ordering}").data["results"]] == names


def test_a_list_asks_the_database_as_often_for_many_as_for_one(
    scientist, experiment, django_assert_max_num_queries
):
    for number in range(20):
        run = make_measured_run(experiment, parameters={"n": str(number)}, auc=0.5)
        make_file(run, "model/MLmodel")
    with django_assert_max_num_queries(9):
        rows = scientist.get(f"{URL}?metric.auc__gte=0&ordering=-metric.auc").data["results"]
    assert len(rows) == 20
    assert rows[0]["artifacts"][0]["path"] == "model/MLmodel"


def test_a_list_exports_whole(scientist, experiment):
    for _number in range(3):
        make_measured_run(experiment, auc=0.5)
    text = b"".join(scientist.get(f"{URL}?export=csv").streaming_content).decode()
    assert len(text.splitlines()) == 4


def test_comparing_shows_the_parameters_that_differ_and_every_metric(scientist, experiment):
    a = make_measured_run(experiment, "a", {"depth": "3", "seed": "1", "only": "a"}, auc=0.9)
    b = make_measured_run(experiment, "b", {"depth": "4", "seed": "1"}, auc=float("nan"), loss=0.1)
    shown = scientist.post(f"{URL}/compare", {"run_ids": [b.run_id, a.run_id]}).json()
    assert [run["name"] for run in shown["runs"]] == ["b", "a"]
    assert shown["parameters"] == [
        {"name": "depth", "values": {b.run_id: "4", a.run_id: "3"}},
        {"name": "only", "values": {b.run_id: None, a.run_id: "a"}},
    ]
    assert shown["metrics"] == [
        {"metric_name": "auc", "dataset": "", "values": {b.run_id: "NaN", a.run_id: 0.9}},
        {"metric_name": "loss", "dataset": "", "values": {b.run_id: 0.1, a.run_id: None}},
    ]


def test_comparing_draws_histories_on_one_step_axis(scientist, experiment, django_assert_max_num_queries):
    compared = [make_run(experiment=experiment) for _number in range(3)]
    for run in compared:
        points = [{"metric_name": "loss", "value": 1 / (step + 1), "step": step} for step in range(500)]
        log_metrics(actor=None, run=run, metrics=points)
    with django_assert_max_num_queries(9):
        shown = scientist.post(
            f"{URL}/compare", {"run_ids": [run.run_id for run in compared], "max_points": 50}
        ).json()
    series = shown["histories"][0]["series"]
    assert {one["run_id"] for one in series} == {run.run_id for run in compared}
    for one in series:
        assert len(one["points"]) <= 50
        assert one["points"][0] == {"step": 0, "value": 1.0}
        assert one["points"][-1] == {"step": 499, "value": 0.002}


def test_comparing_says_which_histories_it_left_out(scientist, experiment):
    compared = [make_measured_run(experiment, **{f"m{n:02}": 1.0 for n in range(25)}) for _number in range(2)]
    ids = [run.run_id for run in compared]
    shown = scientist.post(f"{URL}/compare", {"run_ids": ids}).json()
    assert (len(shown["histories"]), shown["histories_left_out"]) == (20, ["m20", "m21", "m22", "m23", "m24"])
    shown = scientist.post(f"{URL}/compare", {"run_ids": ids, "metric_names": ["m24"]}).json()
    assert [history["metric_name"] for history in shown["histories"]] == ["m24"]


@pytest.mark.parametrize("count", [0, 1, 51])
def test_two_to_fifty_runs_are_compared(scientist, count):
    response = scientist.post(f"{URL}/compare", {"run_ids": [f"{number:032}" for number in range(count)]})
    assert (response.status_code, "run_ids" in response.data["fields"]) == (400, True)


def test_a_run_is_not_compared_with_itself_or_with_one_that_is_not_there(scientist):
    run = make_run()
    assert scientist.post(f"{URL}/compare", {"run_ids": [run.run_id, run.run_id]}).status_code == 400
    missing = scientist.post(f"{URL}/compare", {"run_ids": [run.run_id, "f" * 32]})
    assert (missing.status_code, "f" * 32 in missing.data["detail"]) == (404, True)


@pytest.mark.parametrize(
    "path", ["", "/{run_id}", "/{run_id}/metrics", "/{run_id}/logs", "/{run_id}/artifacts"]
)
def test_every_endpoint_can_be_browsed(scientist, settings, path):
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    run = make_run()
    make_file(run, "a")
    response = scientist.get(URL + path.format(run_id=run.run_id), headers={"Accept": "text/html"})
    assert (response.status_code, response["Content-Type"]) == (200, "text/html; charset=utf-8")
