"""logged-models/* of MLflow's protocol, and what the platform makes of them."""

import json

import pytest

from core.models import AuditEvent
from lifecycle.mlflow_rest import logged_model_messages, logged_model_search
from lifecycle.models import Artifact, LoggedModel, LoggedModelMetric, ModelVersion
from tests.factories import make_client, make_experiment, make_file, make_logged_model, make_run, make_user
from tests.mlflow_rest.logged_model_scenarios import MOMENT

pytestmark = pytest.mark.django_db

PATH = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts/"
MODELS = "/api/v1/ml/lifecycle/models"


@pytest.fixture(autouse=True)
def artifact_root(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)


@pytest.fixture
def client():
    return make_client("scientist")


@pytest.fixture
def model():
    return make_logged_model(name="ridge")


def ask(client, method, call, **body):
    return client.generic(method, PATH + call, json.dumps(body), content_type="application/json")


def found(client, model, **asked):
    response = ask(client, "POST", "logged-models/search", experiment_ids=[str(model.experiment_id)], **asked)
    assert response.status_code == 200, response.content
    return [one["info"]["name"] for one in response.json().get("models", ())]


def actions():
    return list(
        AuditEvent.objects.filter(action__startswith="logged_model")
        .order_by("pk")
        .values_list("action", flat=True)
    )


def place_of(model):
    return f"{FILES}{model.experiment_id}/models/{model.model_id}/artifacts"


def test_what_decides_about_a_model_is_audited_and_what_it_is_told_is_not(client):
    experiment = make_experiment()
    made = ask(client, "POST", "logged-models", experiment_id=str(experiment.pk), name="ridge").json()
    one = f"logged-models/{made['model']['info']['model_id']}"
    for method, call, body in (
        ("PATCH", f"{one}/tags", {"tags": [{"key": "team", "value": "risk"}]}),
        ("POST", f"{one}/params", {"params": [{"key": "alpha", "value": "1"}]}),
        ("PATCH", one, {"status": "LOGGED_MODEL_READY"}),
        ("PATCH", one, {"status": "LOGGED_MODEL_READY"}),
        ("DELETE", one, {}),
        ("DELETE", one, {}),
    ):
        assert ask(client, method, call, **body).status_code == 200
    assert actions() == ["logged_model.create", "logged_model.ready", "logged_model.delete"]
    assert set(AuditEvent.objects.values_list("via", flat=True)) == {"mlflow"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("params", [{"value": "v"}]),
        ("params", [5]),
        ("tags", [{"key": "", "value": "v"}]),
        ("tags", [{"key": "../k", "value": "v"}]),
        ("name", "n" * 501),
        ("name", "a\nb"),
        ("model_type", "t" * 501),
    ],
)
def test_what_cannot_be_kept_is_refused(client, field, value):
    body = {"experiment_id": str(make_experiment().pk), "name": "ridge", field: value}
    response = ask(client, "POST", "logged-models", **body)
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert not LoggedModel.objects.exists()


def test_a_model_is_logged_by_a_run_that_is_there(client):
    body = {"experiment_id": str(make_experiment().pk), "name": "ridge", "source_run_id": "0" * 32}
    response = ask(client, "POST", "logged-models", **body)
    assert (response.status_code, response.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_status_that_is_none_is_refused(client, model):
    for status in ("READY", 9, 0, "LOGGED_MODEL_STATUS_UNSPECIFIED"):
        response = ask(client, "PATCH", f"logged-models/{model.model_id}", status=status)
        assert response.status_code == 400
    model.refresh_from_db()
    assert model.status == "pending"


def test_a_parameter_never_changes(client, model):
    call = f"logged-models/{model.model_id}/params"
    assert ask(client, "POST", call, params=[{"key": "alpha", "value": "1"}]).status_code == 200
    assert ask(client, "POST", call, params=[{"key": "alpha", "value": "1"}]).status_code == 200
    both = [{"key": "new", "value": "1"}, {"key": "alpha", "value": "2"}]
    refused = ask(client, "POST", call, params=both)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "BAD_REQUEST")
    model.refresh_from_db()
    assert model.parameters == {"alpha": "1"}


def test_a_run_that_wrote_a_model_shows_it_once(client, model):
    run = make_run()
    for _time in range(2):
        response = ask(
            client,
            "POST",
            "runs/outputs",
            run_id=run.run_id,
            models=[{"model_id": model.model_id, "step": 3}],
        )
        assert response.status_code == 200
    ask(client, "POST", "runs/log-inputs", run_id=run.run_id, models=[{"model_id": model.model_id}])
    shown = client.get(f"{PATH}runs/get", {"run_id": run.run_id}).json()["run"]
    assert shown["outputs"] == {"model_outputs": [{"model_id": model.model_id, "step": 3}]}
    assert shown["inputs"] == {"model_inputs": [{"model_id": model.model_id}]}


def test_a_run_writes_models_that_are_there_or_none_of_them(client, model):
    run = make_run()
    models = [{"model_id": model.model_id}, {"model_id": "m-" + "0" * 32}]
    response = ask(client, "POST", "runs/outputs", run_id=run.run_id, models=models)
    assert response.status_code == 404
    many = [{"model_id": model.model_id}] * 1001
    assert ask(client, "POST", "runs/outputs", run_id=run.run_id, models=many).status_code == 400
    assert not run.run_models.exists()


def test_what_was_measured_of_a_model_is_kept_with_it_and_with_the_run(client, model):
    run = make_run(experiment=model.experiment)
    point = {"key": "loss", "value": 0.5, "timestamp": MOMENT, "step": 1, "model_id": model.model_id}
    about = {"dataset_name": "wine", "dataset_digest": "a1"}
    for _time in range(2):
        assert ask(client, "POST", "runs/log-metric", run_id=run.run_id, **point, **about).status_code == 200
    told = client.get(f"{PATH}logged-models/{model.model_id}").json()["model"]["data"]["metrics"]
    assert told == [{**point, **about, "run_id": run.run_id}]
    assert run.metrics.get().number == 0.5


def test_a_value_that_is_not_a_number_stays_one(client, model):
    run = make_run(experiment=model.experiment)
    point = {"key": "loss", "value": "NaN", "timestamp": MOMENT, "model_id": model.model_id}
    ask(client, "POST", "runs/log-metric", run_id=run.run_id, **point)
    assert LoggedModelMetric.objects.get().is_nan
    assert found(client, model, filter="metrics.loss = 0") == []
    assert found(client, model, filter="metrics.loss != 0") == ["ridge"]


def test_of_a_batch_with_an_unknown_model_nothing_is_kept(client, model):
    run = make_run(experiment=model.experiment)
    points = [
        {"key": "loss", "value": 1, "timestamp": MOMENT, "model_id": one}
        for one in (model.model_id, "m-" + "0" * 32)
    ]
    response = ask(client, "POST", "runs/log-batch", run_id=run.run_id, metrics=points)
    assert (response.status_code, response.json()["error_code"]) == (400, "BAD_REQUEST")
    assert not run.points.exists()
    assert not LoggedModelMetric.objects.exists()


def test_a_page_holds_so_many_models_at_most(client, model, monkeypatch):
    monkeypatch.setattr(logged_model_search, "MOST_MODELS", 1)
    make_logged_model(experiment=model.experiment)
    asked = {"experiment_ids": [str(model.experiment_id)], "max_results": 50_000}
    page = ask(client, "POST", "logged-models/search", **asked).json()
    assert (len(page["models"]), bool(page["next_page_token"])) == (1, True)


def test_an_answer_has_the_last_metrics_of_a_model(client, model, monkeypatch):
    monkeypatch.setattr(logged_model_messages, "MOST_METRICS", 2)
    run = make_run(experiment=model.experiment)
    points = [
        {"key": "loss", "value": step, "timestamp": MOMENT, "step": step, "model_id": model.model_id}
        for step in range(4)
    ]
    ask(client, "POST", "runs/log-batch", run_id=run.run_id, metrics=points)
    told = client.get(f"{PATH}logged-models/{model.model_id}").json()["model"]["data"]["metrics"]
    assert [point["step"] for point in told] == [2, 3]


def test_searches_take_as_many_queries_for_many_models_as_for_few(client, django_assert_max_num_queries):
    experiment, run = make_experiment(), make_run()
    models = [
        LoggedModel.objects.create(
            experiment=experiment, name=f"m{number:02}", created_by=experiment.owner, source_run=run
        )
        for number in range(30)
    ]
    for number, model in enumerate(models):
        LoggedModelMetric.objects.create(logged_model=model, run=run, name="loss", value=number, timestamp=1)
    asked = {"filter": "metrics.loss < 20", "order_by": [{"field_name": "metrics.loss"}], "max_results": 50}
    with django_assert_max_num_queries(6):
        assert found(client, models[0], **asked) == [f"m{number:02}" for number in range(20)]


def test_pages_follow_each_other_without_a_gap(client):
    experiment = make_experiment()
    for number in range(5):
        LoggedModel.objects.create(experiment=experiment, name=f"m{number}", created_by=experiment.owner)
    seen, token = [], ""
    while True:
        body = {"experiment_ids": [str(experiment.pk)], "max_results": 2, "page_token": token}
        page = ask(client, "POST", "logged-models/search", **body).json()
        seen += [one["info"]["name"] for one in page["models"]]
        if not (token := page.get("next_page_token", "")):
            break
    assert seen == ["m4", "m3", "m2", "m1", "m0"]


@pytest.mark.parametrize(
    "filter",
    [
        "name = 'x' AND " * 101 + "name = 'x'",
        "name = '" + "x" * 10_001 + "'",
        "(" * 5000,
        "name IN (" + "(" * 3000 + ")" * 3000 + ")",
        "creation_time > 1e999",
        "creation_time > nan",
        "metrics.loss > 'x'",
        "name IN (1)",
        "name IN ({[]})",
        "name IN ('\\ud800')",
        "name IN ('\\x00')",
        "metrics.loss < nan",
        "name IN ('a', 2)",
        "name IN (__import__('os'))",
        "lifecycle_stage = 'deleted'",
        "id = '1'",
        "created_by = 'mina'",
    ],
)
def test_a_filter_that_cannot_be_is_refused(client, model, filter):
    response = ask(
        client, "POST", "logged-models/search", experiment_ids=[str(model.experiment_id)], filter=filter
    )
    assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_quotes_and_wildcards_in_a_filter_are_text(client, model):
    assert found(client, model, filter="tags.`a'; DROP TABLE x; --` = 'y'") == []
    assert found(client, model, filter="name = 'ridge%'") == []


# --- Files --------------------------------------------------------------------------------------------------


def test_files_of_a_model_are_the_models_and_no_runs(client, model):
    client.generic("PUT", f"{place_of(model)}/data/x.txt", b"bytes", content_type="text/plain")
    file = Artifact.objects.get(path="data/x.txt")
    assert (file.owner, file.run, file.uploaded_by.username) == (model, None, file.uploaded_by.username)
    listed = client.get(f"{PATH}logged-models/{model.model_id}/artifacts/directories").json()
    assert [entry["path"] for entry in listed["files"]] == ["MLmodel", "data", "model.skops"]
    assert b"".join(client.get(f"{place_of(model)}/data/x.txt").streaming_content) == b"bytes"
    asked = {"artifact_file_path": "data/x.txt"}
    response = client.get(f"/ajax-api/2.0/mlflow/logged-models/{model.model_id}/artifacts/files", asked)
    assert b"".join(response.streaming_content) == b"bytes"
    assert response["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "%252e%252e/x", "a\\b", "/etc/passwd", "a//b", "x%23y"]
)
def test_files_lie_inside_the_model(client, model, path):
    before = Artifact.objects.count()
    for method in ("GET", "PUT", "DELETE"):
        response = client.generic(method, f"{place_of(model)}/{path}", b"x", content_type="text/plain")
        assert response.status_code == 400, (method, path)
    asked = {"artifact_file_path": path}
    assert client.get(f"{PATH}logged-models/{model.model_id}/artifacts/files", asked).status_code == 400
    assert Artifact.objects.count() == before


def test_a_model_is_found_in_its_own_experiment_only(client, model):
    other = make_experiment()
    response = client.get(f"{FILES}{other.pk}/models/{model.model_id}/artifacts/MLmodel")
    assert response.status_code == 404


def test_a_deleted_model_takes_no_files_and_shows_those_it_has(client, model):
    ask(client, "DELETE", f"logged-models/{model.model_id}")
    response = client.generic("PUT", f"{place_of(model)}/late", b"x", content_type="text/plain")
    assert response.status_code == 400
    assert client.get(f"{place_of(model)}/MLmodel").status_code == 200


# --- Versions -----------------------------------------------------------------------------------------------


def test_a_version_is_made_of_a_logged_model(client, model):
    run = make_run(experiment=model.experiment, name="training", dataset_name="wine", dataset_version="3")
    LoggedModel.objects.update(source_run=run, parameters={"alpha": "0.1"})
    for step, value in ((2, 0.2), (1, 0.9)):
        LoggedModelMetric.objects.create(
            logged_model=model, run=run, name="loss", value=value, step=step, timestamp=step
        )
    response = client.post(MODELS, {"model_name": "wine", "logged_model_id": model.model_id}, format="json")
    assert response.status_code == 201, response.content
    told = response.json()
    assert (told["run_id"], told["logged_model_id"], told["artifact_path"]) == (
        run.run_id,
        model.model_id,
        "",
    )
    assert told["metrics"] == {"loss": 0.2}
    assert told["hyperparameters"] == {"alpha": "0.1"}
    assert told["framework"] == "sklearn"
    assert told["lineage"]["logged_model"] == {"logged_model_id": model.model_id, "name": "ridge"}
    assert told["lineage"]["run"]["name"] == "training"
    assert told["lineage"]["dataset"] == {"name": "wine", "version": "3"}


def test_a_version_of_a_model_that_no_run_logged_has_its_experiment(client, model):
    body = {"model_name": "wine", "logged_model_id": model.model_id}
    told = client.post(MODELS, body, format="json").json()
    assert (told["run_id"], told["lineage"]["run"]) == (None, None)
    assert told["lineage"]["experiment"]["id"] == model.experiment_id
    listed = client.get(MODELS).json()["results"]
    assert [version["logged_model_id"] for version in listed] == [model.model_id]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"artifact_path": "model"},
        {"logged_model_id": "m-" + "0" * 32},
        {"logged_model_id": "{model}", "artifact_path": "model"},
        {"logged_model_id": "{model}", "run_id": "0" * 32},
    ],
)
def test_a_version_is_made_of_a_run_or_of_a_logged_model(client, model, body):
    told = {name: value.replace("{model}", model.model_id) for name, value in body.items()}
    response = client.post(MODELS, {"model_name": "wine", **told}, format="json")
    assert response.status_code in (400, 404)
    assert not ModelVersion.objects.exists()


def test_nobody_approves_a_model_that_they_logged_or_sent_files_of(model):
    approver, uploader = make_user("admin"), make_user("admin")
    LoggedModel.objects.update(created_by=approver)
    make_file(model, "more.txt", actor=uploader)
    version = registered(model)
    assert {approver, uploader} <= version.authors
    assert not ModelVersion.objects.not_by([approver.pk]).exists()
    assert not ModelVersion.objects.not_by([uploader.pk]).exists()
    assert ModelVersion.objects.not_by([make_user("approver").pk]).exists()


def test_an_approval_ends_when_a_file_of_the_logged_model_changes(client, model):
    version = registered(model)
    version.checklist.update(status="approved")
    approver = make_client("approver")
    assert approver.post(f"{MODELS}/wine/1/approve", {}, format="json").status_code == 200
    client.generic("PUT", f"{place_of(model)}/model.skops", b"other", content_type="text/plain")
    version.refresh_from_db()
    assert (version.is_approved, version.approved_at) == (False, None)


def test_files_that_a_version_is_made_of_stay(client, model):
    registered(model)
    for path in ("/MLmodel", ""):
        response = client.delete(place_of(model) + path)
        assert response.status_code == 409, path
    assert model.artifacts.count() == 2


def registered(model):
    client = make_client("scientist")
    response = client.post(MODELS, {"model_name": "wine", "logged_model_id": model.model_id}, format="json")
    assert response.status_code == 201, response.content
    return ModelVersion.objects.get()
