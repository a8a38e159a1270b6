"""MLflow's protocol: who is let in, how requests are read, and how refusals look."""

import base64
import copy
import json

import pytest
from django.db import OperationalError
from django.test import Client

from core.models import AuditEvent
from lifecycle.mlflow_rest.urls import CALLS
from lifecycle.models import Experiment
from tests.factories import make_client, make_run, make_token, make_user
from tests.hostile.test_json_bodies import VALUES

pytestmark = pytest.mark.django_db

PATH = "/api/2.0/mlflow/experiments/"
CREATE = f"{PATH}create"
NUMBERS = ["1e400", "1" + "0" * 400, "9" * 5000, "1.5e300", "-1e400"]
SEARCHES = [f"/api/2.0/mlflow/{noun}/search" for noun in ("experiments", "runs")]


def create(client, body):
    return client.generic("POST", CREATE, json.dumps(body), content_type="application/json")


def refusal(response):
    answer = response.json()
    assert set(answer) == {"error_code", "message"}
    assert answer["message"]
    return response.status_code, answer["error_code"]


def test_mlflows_client_signs_in_with_a_username_and_a_token():
    user = make_user("scientist")
    credentials = base64.b64encode(f"{user.username}:{make_token(user)}".encode()).decode()

    response = create(Client(headers={"Authorization": f"Basic {credentials}"}), {"name": "new"})

    assert response.status_code == 200
    assert Experiment.objects.get(pk=response.json()["experiment_id"]).owner == user


def test_strangers_are_asked_to_sign_in():
    response = create(Client(), {"name": "new"})
    assert refusal(response) == (401, "UNAUTHENTICATED")
    assert response["WWW-Authenticate"].startswith("Basic")


def test_who_may_not_is_told_what_is_missing():
    response = create(make_client("viewer"), {"name": "new"})
    assert refusal(response) == (403, "PERMISSION_DENIED")
    assert "scientist" in response.json()["message"]


def test_refusals_are_in_the_language_of_whoever_asks():
    client = make_client("viewer")
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "ko"
    assert "역할" in create(client, {"name": "new"}).json()["message"]


def test_a_change_writes_its_audit_row_and_a_tag_none():
    client = make_client("scientist")
    experiment = create(client, {"name": "new"}).json()["experiment_id"]
    client.post(
        f"{PATH}set-experiment-tag", {"experiment_id": experiment, "key": "k", "value": "v"}, format="json"
    )

    (event,) = AuditEvent.objects.all()

    assert (event.action, event.via, event.actor) == ("experiment.create", "mlflow", client.user)


@pytest.mark.parametrize(
    "body", ["{", "[]", "5", '"{"', '{"name": "a\\u0000b"}', '{"name": "\\ud800"}', "[" * 10_000]
)
def test_what_cannot_be_read_is_an_invalid_parameter(body):
    response = make_client("scientist").generic("POST", CREATE, body, content_type="application/json")
    assert refusal(response) == (400, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize("value", VALUES)
def test_no_value_in_any_field_is_more_than_a_refusal(value):
    client, run = make_client("scientist"), make_run()
    for path, calls in CALLS.items():
        for body in bodies_with(VALUES[value], calls["POST"].fields if "POST" in calls else (), run):
            response = client.generic(
                "POST", f"/api/2.0/mlflow/{path}", json.dumps(body), content_type="application/json"
            )
            where = (path, str(body)[:200], response.content[:200])
            assert response.status_code in (200, 400, 404, 409), where
            assert response.status_code == 200 or response.json()["error_code"], where


def bodies_with(value, fields, run):
    """Bodies that fit, each but for one place, at any depth, where `value` is."""
    point = {
        "key": "loss",
        "value": 1,
        "timestamp": 1,
        "step": 1,
        "dataset_name": "test",
        "dataset_digest": "a1",
    }
    dataset = {"name": "d", "digest": "1", "source_type": "s", "source": "s", "schema": "s", "profile": "p"}
    tag = {"key": "k", "value": "v"}
    known = {"experiment_id": str(run.experiment.pk), "run_id": run.run_id, "max_results": 10, "timestamp": 1}
    lists = {
        "tags": [tag],
        "metrics": [point],
        "params": [tag],
        "datasets": [{"dataset": dataset, "tags": [tag]}],
    }
    fits = {name: part for name, part in (known | lists).items() if name in fields}
    fits |= {name: "n" for name in ("name", "new_name", "key") if name in fields}
    for name in fields:
        yield fits | {name: value}
        yield from (fits | {name: part} for part in replaced(fits.get(name), value))


def replaced(part, value):
    """`part` with `value` in one place each."""
    places = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for place, old in list(places):
        for new in (value, *replaced(old, value)):
            changed = copy.copy(part)
            changed[place] = new
            yield changed


@pytest.mark.parametrize(
    "filter",
    [
        "(" * 5000,
        "name = '" + "x" * 100_000 + "'",
        "name = 'a' AND " * 3000 + "name = 'a'",
        "tags.a = 'b' AND " * 300 + "name = 'a'",
        "tags.a = 'b' AND " * 99 + "name = 'a'",
        "name LIKE '" + "[" * 60_000 + "'",
        "name LIKE '" + "[" * 9_000 + "'",
        "experiment_id IN (" + ",".join(["'1'"] * 2000) + ")",
        "experiment_id IN (" + ",".join(["'1'"] * 100_000) + ")",
        "metrics.a > 1 AND " * 99 + "params.b = 'x'",
        "metrics.a > 1" + "0" * 400,
        "metrics.a > 1e999",
        "run_id IN (" + ",".join(["'x'"] * 2000) + ")",
        *(f"{time} > {number}" for time in ("start_time", "creation_time") for number in NUMBERS),
        "\0",
        "name = 'a\0'",
        "params.a = 'a\0'",
        "params.`a\0` = 'a'",
    ],
)
@pytest.mark.parametrize("search", SEARCHES)
def test_no_filter_is_more_than_a_refusal(search, filter):
    asked = {"max_results": 10, "filter": filter, "experiment_ids": [str(make_run().experiment.pk)]}
    body = json.dumps(asked)
    response = make_client().generic("POST", search, body, content_type="application/json")
    assert response.status_code in (200, 400), response.content[:200]


@pytest.mark.parametrize(
    "order_by",
    [[f"tags.t{number}" for number in range(100)], ["run_name"] * 3000, ["run_name" * 10_000]],
    ids=len,
)
def test_no_order_is_more_than_a_refusal(order_by):
    body = {"max_results": 10, "order_by": order_by, "experiment_ids": [str(make_run().experiment.pk)]}
    response = make_client().post("/api/2.0/mlflow/runs/search", body, format="json")
    assert response.status_code == (200 if len(order_by) == 100 else 400), response.content[:200]


def test_a_body_over_the_limit_is_refused(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    assert refusal(create(make_client("scientist"), {"name": "n" * 200})) == (413, "INVALID_PARAMETER_VALUE")


def test_another_method_is_refused_by_name():
    response = make_client("scientist").get(CREATE)
    assert refusal(response) == (405, "ENDPOINT_NOT_FOUND")
    assert response["Allow"] == "POST"


def test_a_database_that_is_away_is_worth_another_try(monkeypatch):
    def away(**_):
        raise OperationalError("gone")

    monkeypatch.setattr("lifecycle.operations.experiments.create_experiment", away)
    response = create(make_client("scientist"), {"name": "new"})
    assert refusal(response) == (503, "TEMPORARILY_UNAVAILABLE")
    assert response["Retry-After"] == "1"


def test_a_page_of_another_site_cannot_write_through_the_browsers_door():
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("scientist"))
    response = client.post(
        "/ajax-api/2.0/mlflow/experiments/create", {"name": "x"}, content_type="application/json"
    )
    assert refusal(response) == (403, "PERMISSION_DENIED")
    assert not Experiment.objects.exists()
