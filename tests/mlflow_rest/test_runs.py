"""runs/* and metrics/* of MLflow's protocol, on this platform's own runs."""

import json
import math

import pytest

from core.models import AuditEvent
from lifecycle.mlflow_rest import run_messages, search
from lifecycle.models import MetricPoint, Run
from lifecycle.operations import run_data
from lifecycle.operations.metrics import log_metrics
from tests.factories import make_client, make_experiment, make_run

pytestmark = pytest.mark.django_db

PATH = "/api/2.0/mlflow/"
MOMENT = 1_772_368_259_123
POINT = {"key": "loss", "value": 0.5, "timestamp": MOMENT, "step": 1}


@pytest.fixture
def client():
    return make_client("scientist")


@pytest.fixture
def run():
    return make_run(name="ridge")


def post(client, call, **body):
    return client.post(f"{PATH}runs/{call}", body, format="json")


def change(client, call, run, **body):
    response = post(client, call, run_id=run.run_id, **body)
    assert response.status_code == 200, response.content
    run.refresh_from_db()


def shown(client, run):
    return client.get(f"{PATH}runs/get", {"run_id": run.run_id}).json()["run"]


def found(client, *experiments, **body):
    ids = [str(experiment.pk) for experiment in experiments]
    response = post(client, "search", experiment_ids=ids, **body)
    assert response.status_code == 200, response.content
    return [run["info"]["run_name"] for run in response.json().get("runs", ())]


def actions():
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_what_mlflow_logs_the_platform_shows(client):
    experiment = make_experiment()
    tags = [{"key": "team", "value": "risk"}, {"key": "mlflow.note.content", "value": "First try."}]
    made = post(
        client, "create", experiment_id=str(experiment.pk), run_name=" ridge ", tags=tags, user_id="os-name"
    )
    run = Run.objects.get(run_id=made.json()["run"]["info"]["run_id"])
    change(client, "log-batch", run, metrics=[POINT], params=[{"key": "alpha", "value": "1.0"}])
    change(client, "update", run, status="FINISHED")

    told = client.get(f"/api/v1/ml/lifecycle/runs/{run.run_id}").json()

    assert (told["name"], told["notes"], told["tags"]) == ("ridge", "First try.", {"team": "risk"})
    assert (told["status"], told["created_by"]) == ("completed", client.user.username)
    assert told["parameters"] == [{"name": "alpha", "value": "1.0"}]
    assert told["metrics"] == [{"metric_name": "loss", "value": 0.5, "dataset": ""}]
    assert shown(client, run)["info"]["user_id"] == "os-name"


def test_what_the_platform_logs_mlflow_shows(client, run):
    parameters = [{"name": "alpha", "value": "1.0"}]
    change_by_api = {
        "notes": "First try.",
        "tags": {"team": "risk"},
        "parameters": parameters,
        "status": "cancelled",
    }
    client.patch(f"/api/v1/ml/lifecycle/runs/{run.run_id}", change_by_api)

    told = shown(client, run)

    assert (told["info"]["status"], told["info"]["run_name"]) == ("KILLED", "ridge")
    assert told["info"]["artifact_uri"] == f"mlflow-artifacts:/{run.experiment.pk}/{run.run_id}/artifacts"
    assert told["data"]["params"] == [{"key": "alpha", "value": "1.0"}]
    assert {tag["key"]: tag["value"] for tag in told["data"]["tags"]} == {
        "team": "risk",
        "mlflow.runName": "ridge",
        "mlflow.note.content": "First try.",
    }


def test_a_run_that_is_given_no_name_gets_one(client):
    made = post(client, "create", experiment_id=str(make_experiment().pk)).json()["run"]
    assert made["info"]["run_name"] == Run.objects.get().name != ""


def test_a_data_set_that_a_run_read_is_its_data_set(client, run):
    first = {"name": "wine", "digest": "abc", "source_type": "local", "source": "{}"}
    change(client, "log-inputs", run, datasets=[{"dataset": first}, {"dataset": first | {"name": "beer"}}])
    change(client, "log-inputs", run, datasets=[{"dataset": first | {"source": "changed"}}])

    assert (run.dataset_name, run.dataset_version) == ("wine", "abc")
    assert [one["dataset"]["name"] for one in shown(client, run)["inputs"]["dataset_inputs"]] == [
        "wine",
        "beer",
    ]
    assert run.dataset_inputs.get(name="wine").source == "{}"


def test_a_data_set_that_a_run_was_told_stays(client):
    run = make_run(dataset_name="ours", dataset_version="3")
    change(client, "log-inputs", run, datasets=[{"dataset": {"name": "wine", "digest": "abc"}}])
    assert (run.dataset_name, run.dataset_version) == ("ours", "3")


def test_what_is_appended_writes_no_audit_row_and_what_changes_a_run_does(client, run):
    change(client, "log-metric", run, **POINT)
    change(client, "log-parameter", run, key="alpha", value="1")
    change(client, "set-tag", run, key="team", value="risk")
    change(client, "delete-tag", run, key="team")
    change(client, "log-batch", run, metrics=[POINT], tags=[{"key": "team", "value": "risk"}])
    assert actions() == []

    change(client, "update", run, status="FINISHED", end_time=MOMENT)
    change(client, "set-tag", run, key="mlflow.runName", value="renamed")
    change(client, "delete", run)
    change(client, "delete", run)
    change(client, "restore", run)

    assert actions() == ["run.completed", "run.update", "run.delete", "run.restore"]
    assert set(AuditEvent.objects.values_list("via", flat=True)) == {"mlflow"}


def test_a_batch_is_kept_whole_or_not_at_all(client, run):
    change(client, "log-parameter", run, key="alpha", value="1")
    batch = {"metrics": [POINT], "tags": [{"key": "team", "value": "risk"}]}

    for bad in (
        {"params": [{"key": "beta", "value": "1"}, {"key": "alpha", "value": "2"}]},
        {"tags": [{"key": "team", "value": "risk"}, {"key": "../x", "value": "v"}]},
        {"metrics": [POINT, {**POINT, "key": "bad*"}]},
    ):
        assert post(client, "log-batch", run_id=run.run_id, **batch | bad).status_code == 400
        assert not run.points.exists()
        assert not run.tag_rows.exists()
        assert run.parameters.count() == 1


def test_a_batch_that_is_sent_again_changes_nothing(client, run):
    points = [{**POINT, "step": step} for step in range(100)] + [{**POINT, "value": "NaN"}]
    for _time in range(3):
        change(client, "log-batch", run, metrics=points)
    assert run.points.count() == 101
    assert run.metrics.get().step == 99


def test_infinities_stay_what_they_are_and_mlflow_sees_them_as_its_own(client, run):
    change(client, "log-metric", run, **POINT | {"value": "-Infinity"})
    assert run.metrics.get().value == -math.inf
    assert shown(client, run)["data"]["metrics"][0]["value"] == -1.7976931348623157e308


def test_of_a_metric_on_several_data_sets_mlflow_sees_what_was_logged_last(client, run):
    points = [("train", 0.9, 2), ("test", 0.8, 3), ("other", 0.7, 1)]
    sent = [
        {"metric_name": "auc", "value": value, "dataset": name, "step": step} for name, value, step in points
    ]
    log_metrics(actor=None, run=run, metrics=sent)
    make_run(name="without", experiment=run.experiment)

    assert [metric["value"] for metric in shown(client, run)["data"]["metrics"]] == [0.8]
    assert found(client, run.experiment, order_by=["metrics.auc DESC"]) == ["ridge", "without"]
    assert found(client, run.experiment, filter="metrics.auc = 0.9") == []
    assert found(client, run.experiment, filter="metrics.auc < 0.85") == ["ridge"]


def test_a_run_that_ended_before_it_started_ended_when_it_started(client, run):
    change(client, "update", run, status="FINISHED", end_time=1)
    assert run.completed_at == run.started_at


@pytest.mark.parametrize(
    ("before", "after"), [("completed", "FAILED"), ("failed", "SCHEDULED"), ("scheduled", "FINISHED")]
)
def test_a_run_goes_from_any_status_to_any_other_by_running(client, before, after):
    run = make_run(status=before)
    change(client, "update", run, status=after)
    assert shown(client, run)["info"]["status"] == after
    assert actions() == ["run.running", f"run.{run.status}"]


def test_a_run_that_goes_on_has_no_end(client, run):
    change(client, "update", run, status="FINISHED", end_time=MOMENT + 10**10)
    change(client, "update", run, status="RUNNING", end_time=MOMENT + 10**10)
    assert "end_time" not in shown(client, run)["info"]


def test_values_that_are_too_long_are_cut_as_mlflow_cuts_them(client, run):
    change(client, "log-parameter", run, key="p", value="v" * 6001)
    change(client, "set-tag", run, key="t", value="v" * 8001)
    assert (len(run.parameters.get().value), len(run.tag_rows.get().value)) == (6000, 8000)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"run_name": "n" * 501}, 400),
        ({"user_id": "u" * 257}, 400),
        ({"run_name": "a\nb"}, 400),
        ({"tags": [5]}, 400),
        ({"start_time": 2**48}, 400),  # in the year 10889
        ({"start_time": -(2**46)}, 400),
    ],
)
def test_what_cannot_be_kept_is_refused(client, fields, status):
    response = post(client, "create", experiment_id=str(make_experiment().pk), **fields)
    assert (response.status_code, response.json()["error_code"]) == (status, "INVALID_PARAMETER_VALUE")
    assert not Run.objects.exists()


def test_runs_are_found_by_id_and_in_its_order(client):
    experiment = make_experiment()
    runs = [make_run(name=f"r{number}", experiment=experiment) for number in range(5)]
    names = [run.name for run in sorted(runs, key=lambda run: run.run_id)]
    assert found(client, experiment, order_by=["run_id"]) == names
    assert found(client, experiment, order_by=["run_id DESC"]) == names[::-1]


def test_a_search_answers_many_runs_with_few_queries(client, monkeypatch, django_assert_max_num_queries):
    experiment = make_experiment()
    for number in range(30):
        run = make_run(name=f"r{number}", experiment=experiment)
        log_metrics(actor=None, run=run, metrics=[{"metric_name": "loss", "value": number}])
    asked = {"order_by": ["metrics.loss"], "filter": "metrics.loss < 20"}
    with django_assert_max_num_queries(9):
        assert found(client, experiment, **asked) == [f"r{number}" for number in range(20)]
    monkeypatch.setattr(run_messages, "RUNS_A_QUERY", 7)
    assert found(client, experiment, **asked) == [f"r{number}" for number in range(20)]


def test_pages_follow_each_other_without_a_gap(client):
    experiment = make_experiment()
    names = {make_run(name=f"r{number}", experiment=experiment).name for number in range(7)}
    seen, token = [], ""
    while True:
        body = {"experiment_ids": [str(experiment.pk)], "max_results": 3, "page_token": token}
        page = post(client, "search", **body).json()
        seen += [run["info"]["run_name"] for run in page["runs"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert (len(seen), set(seen)) == (7, names)


def test_a_thousand_points_are_logged_with_few_queries(client, run, django_assert_max_num_queries):
    points = [{**POINT, "step": step} for step in range(1000)]
    with django_assert_max_num_queries(25):
        change(client, "log-batch", run, metrics=points)
    assert MetricPoint.objects.count() == 1000


def test_histories_of_many_runs_come_with_the_run_of_each_point(client):
    runs = [make_run() for _number in range(3)]
    for run in runs:
        change(client, "log-batch", run, metrics=[{**POINT, "step": step} for step in range(2)])
    asked = {"run_id": [run.run_id for run in runs[:2]], "metric_key": "loss", "max_results": 3}

    answer = client.get(f"{PATH}metrics/get-history-bulk", asked).json()["metrics"]

    first, second = sorted(asked["run_id"])
    assert [(point["run_id"], point["step"]) for point in answer] == [(first, 0), (first, 1), (second, 0)]
    for bad in (
        {"run_id": []},
        {"run_id": ["x"] * 101},
        {"max_results": -1},
        {"max_results": "x"},
        {"metric_key": ""},
    ):
        assert client.get(f"{PATH}metrics/get-history-bulk", asked | bad).status_code == 400


def test_old_clients_say_run_uuid(client, run):
    assert (
        client.get(f"{PATH}runs/get", {"run_uuid": run.run_id}).json()["run"]["info"]["run_name"] == "ridge"
    )


def test_a_search_of_very_many_experiments_is_refused(client):
    response = post(client, "search", experiment_ids=[str(number) for number in range(20_001)])
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert post(client, "search", experiment_ids=[str(number) for number in range(20_000)]).status_code == 200


def test_a_run_is_logged_with_few_queries(client, django_assert_max_num_queries):
    experiment = make_experiment()
    tags = [{"key": f"tag{number}", "value": "x"} for number in range(50)]
    with django_assert_max_num_queries(12):
        assert post(client, "create", experiment_id=str(experiment.pk), tags=tags).status_code == 200


def test_a_list_of_logged_models_has_an_end(client, run, monkeypatch):
    monkeypatch.setattr(run_data, "MAX_LIST", 200)
    model = '{"run_id": "r", "artifact_path": "m", "utc_time_created": "now", "flavors": {}}'
    answers = [
        post(client, "log-model", run_id=run.run_id, model_json=model).status_code for _time in range(3)
    ]
    assert answers == [200, 200, 400]
    assert len(json.loads(run.tag_rows.get().value)) == 2


def test_a_list_of_logged_models_that_was_spoilt_is_not_overwritten(client, run):
    change(client, "set-tag", run, key="mlflow.log-model.history", value="{}")
    model = '{"run_id": "r", "artifact_path": "m", "utc_time_created": "now", "flavors": {}}'
    assert post(client, "log-model", run_id=run.run_id, model_json=model).status_code == 400
    assert run.tag_rows.get().value == "{}"


def test_the_longest_search_of_the_most_experiments_fits_a_query(client, run):
    ids = [str(run.experiment.pk), *(str(number) for number in range(10**6, 10**6 + 19_999))]
    asked = {"filter": "run_id IN (" + ",".join(["'x'"] * 2_400) + ")", "order_by": ["metrics.loss"]}
    assert post(client, "search", experiment_ids=ids, **asked).json() == {"runs": []}
    assert post(client, "search", experiment_ids=["9" * 5000, *ids]).status_code == 400
    assert post(client, "search", experiment_ids=["9" * 5000, *ids[1:]]).json() == {"runs": []}


@pytest.mark.parametrize("listed", ["{[]}", "'\\ud800'", "'\\x00'"])
def test_a_list_holds_texts_that_can_be_kept(client, run, listed):
    asked = {"experiment_ids": [str(run.experiment.pk)], "filter": f"run_id IN ({listed})"}
    assert post(client, "search", **asked).status_code == 400


@pytest.mark.parametrize("comparator", ["LIKE", "==", "~", "<>", "IN"])
def test_times_are_compared_as_mlflow_compares_them_only(client, run, comparator):
    asked = {"experiment_ids": [str(run.experiment.pk)], "filter": f"start_time {comparator} 1.5"}
    assert post(client, "search", **asked).status_code == 400


def test_a_blank_name_is_no_name(client, run):
    change(client, "update", run, run_name="  ")
    change(client, "set-tag", run, key="mlflow.runName", value=" ")
    assert run.name == "ridge"
    made = post(client, "create", experiment_id=str(run.experiment.pk), run_name=" ").json()["run"]
    assert made["info"]["run_name"].count("-") == 2


@pytest.mark.parametrize("name", ["wine\u202efdp", "a\nb", " ", "wine "])
def test_a_data_set_has_a_name_that_people_can_see(client, run, name):
    response = post(
        client, "log-inputs", run_id=run.run_id, datasets=[{"dataset": {"name": name, "digest": "a"}}]
    )
    assert response.status_code == 400
    assert not run.dataset_inputs.exists()


def test_what_is_nested_too_deep_is_refused(client, run):
    assert post(client, "log-model", run_id=run.run_id, model_json="[" * 100_000).status_code == 400
    change(client, "set-tag", run, key="mlflow.log-model.history", value="[" * 5000)
    model = '{"run_id": "r", "artifact_path": "m", "utc_time_created": "now", "flavors": {}}'
    assert post(client, "log-model", run_id=run.run_id, model_json=model).status_code == 400


def test_a_history_of_more_points_than_there_can_be_is_a_page(client, run):
    change(client, "log-metric", run, **POINT)
    asked = {"run_id": run.run_id, "metric_key": "loss", "max_results": 2**63 - 1}
    assert len(client.get(f"{PATH}metrics/get-history", asked).json()["metrics"]) == 1


def test_a_history_comes_in_pages_though_none_was_asked_for(client, run, monkeypatch):
    monkeypatch.setattr(search, "MOST_RESULTS", 3)
    change(client, "log-batch", run, metrics=[{**POINT, "step": step} for step in range(5)])
    asked = {"run_id": run.run_id, "metric_key": "loss"}
    first = client.get(f"{PATH}metrics/get-history", asked).json()
    rest = client.get(f"{PATH}metrics/get-history", asked | {"page_token": first["next_page_token"]}).json()
    assert [point["step"] for point in first["metrics"] + rest["metrics"]] == [0, 1, 2, 3, 4]
    assert "next_page_token" not in rest


def test_a_name_that_is_nothing_is_no_field(client, run):
    change(client, "log-metric", run, **POINT | {"value": 0, "": 7})
    assert run.metrics.get().value == 0
