"""experiments/* of MLflow's protocol, on this platform's own experiments."""

import pytest

from core.operations import changes
from core.operations.backups.tables import reset_sequences
from lifecycle.models import Experiment
from lifecycle.operations.experiments import default_experiment
from tests.factories import make_client, make_experiment, make_run

pytestmark = pytest.mark.django_db

PATH = "/api/2.0/mlflow/experiments/"


@pytest.fixture
def client():
    return make_client("scientist")


def post(client, verb, **body):
    return client.post(f"{PATH}{verb}", body, format="json")


def names(response):
    assert response.status_code == 200, response.content
    return [found["name"] for found in response.json()["experiments"]]


def search(client, **body):
    return post(client, "search", max_results=100, order_by=["name"], **body)


def test_what_mlflow_makes_the_platform_lists(client):
    made = post(client, "create", name="churn", tags=[{"key": "team", "value": "risk"}]).json()

    shown = client.get("/api/v1/ml/lifecycle/experiments/churn").json()

    assert str(shown["id"]) == made["experiment_id"]
    assert (shown["tags"], shown["owner"]) == ({"team": "risk"}, client.user.username)


def test_what_the_platform_makes_mlflow_finds(client):
    experiment = make_experiment(name="churn", tags={"team": "risk"})

    found = client.get(f"{PATH}get", {"experiment_id": experiment.pk}).json()["experiment"]

    assert found["name"] == "churn"
    assert found["tags"] == [{"key": "team", "value": "risk"}]
    assert found["artifact_location"] == f"mlflow-artifacts:/{experiment.pk}"
    assert found["creation_time"] == int(experiment.created_at.timestamp() * 1000)


def test_all_tags_of_an_experiment_together_have_a_bound(client, monkeypatch):
    monkeypatch.setattr(changes, "MAX_PAIRS", 10)
    experiment = make_experiment(tags={"team": "risk"})
    asked = {"experiment_id": str(experiment.pk), "key": "owner", "value": "sora"}

    refused = post(client, "set-experiment-tag", **asked)

    assert (refused.status_code, refused.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "at most 10 characters" in refused.json()["message"]
    experiment.refresh_from_db()
    assert experiment.tags == {"team": "risk"}


def test_the_default_experiment_is_there_when_it_is_first_asked_for_and_is_nobodys(client):
    assert client.get(f"{PATH}get", {"experiment_id": "0"}).json()["experiment"]["name"] == "Default"

    assert client.get("/api/v1/ml/lifecycle/experiments/Default").json()["owner"] is None
    assert Experiment.objects.get().pk == default_experiment().pk == 0


def test_the_default_experiment_leaves_somebody_elses_name_alone(client):
    theirs = make_experiment(name="Default")
    assert client.get(f"{PATH}get", {"experiment_id": "0"}).json()["experiment"]["name"] == "Default (0)"
    found = client.get(f"{PATH}get-by-name", {"experiment_name": "Default"}).json()["experiment"]
    assert found["experiment_id"] == str(theirs.pk)


def test_a_restored_platform_counts_on_where_the_default_experiment_is_the_only_one():
    default_experiment()
    reset_sequences()
    assert make_experiment().pk >= 1


def test_deleting_puts_the_runs_away_and_restoring_brings_them_back(client):
    run = make_run()
    experiment = {"experiment_id": str(run.experiment.pk)}

    assert post(client, "delete", **experiment).status_code == 200
    run.refresh_from_db()
    assert run.deleted_at
    assert client.get(f"{PATH}get", experiment).json()["experiment"]["lifecycle_stage"] == "deleted"

    assert post(client, "restore", **experiment).status_code == 200
    run.refresh_from_db()
    assert run.deleted_at is None


def test_a_place_for_artifacts_of_ones_own_is_refused_not_ignored(client):
    for place in ("s3://bucket", "file:///etc", "mlflow-artifacts:/../1"):
        response = post(client, "create", name="elsewhere", artifact_location=place)
        assert (response.status_code, response.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("name LIKE 'B%'", ["Beta"]),
        ("name LIKE 'b%'", []),
        ("name ILIKE 'b%'", ["Beta"]),
        ("name LIKE '_eta'", ["Beta"]),
        ("name LIKE '%*%'", ["a*c"]),
        ("name LIKE '%[b]%'", []),
        ("name LIKE '%\\%'", ["x\\"]),
        ("tags.`a.b` = 'One'", ["Beta"]),
        ("tags.`a.b` LIKE 'o%'", []),
        ("tags.`a.b` ILIKE 'o%'", ["Beta"]),
        ("tags.`a.b` != 'Two'", ["Beta"]),
        ("tags.`a.b` IS NULL AND name != 'Default'", ["a*c", "x\\"]),
        ("creation_time > 0 AND name = 'Beta'", ["Beta"]),
        ("creation_time > 99999999999999999999", []),
    ],
)
def test_a_search_is_answered_by_the_database_as_mlflow_would(client, filter, found):
    for name, tags in {"Beta": {"a.b": "One"}, "a*c": {}, "x\\": {}}.items():
        make_experiment(name=name, tags=tags)
    assert sorted(names(search(client, filter=filter))) == sorted(found)


@pytest.mark.parametrize("comparator", ["=", "<=", ">=", "!=", "<", ">"])
def test_times_compare_by_the_millisecond_though_they_are_kept_finer(client, comparator):
    experiment = make_experiment(name="one")
    moment = int(experiment.created_at.timestamp() * 1000)
    found = names(search(client, filter=f"creation_time {comparator} {moment} AND name = 'one'"))
    assert found == (["one"] if "=" in comparator and comparator != "!=" else [])


def test_pages_follow_each_other_and_the_last_has_no_token(client):
    for number in range(4):
        make_experiment(name=f"n{number}")
    first = post(client, "search", max_results=3, order_by=["name DESC"]).json()
    last = post(
        client, "search", max_results=3, order_by=["name DESC"], page_token=first["next_page_token"]
    ).json()
    assert [found["name"] for found in first["experiments"] + last["experiments"]] == [
        "n3",
        "n2",
        "n1",
        "n0",
        "Default",
    ]
    assert "next_page_token" not in last


def test_a_search_takes_as_many_queries_for_many_as_for_few(client, django_assert_max_num_queries):
    for _ in range(20):
        make_experiment(tags={"a": "b"})
    search(client)
    with django_assert_max_num_queries(6):
        assert len(names(search(client, filter="tags.a = 'b'"))) == 20
