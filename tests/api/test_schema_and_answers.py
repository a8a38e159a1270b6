"""What the API really takes and answers is what its schema says."""

import pytest
import yaml
from django.test import Client

from core.api.documents import openapi_schema
from lifecycle.models import ChecklistItem
from tests.api.seeds import make_seeds
from tests.api.test_schema import ADDRESSED, OPERATIONS, examples_of, problems, resolved
from tests.factories import make_client, make_model_run, make_user

LIFECYCLE = "/api/v1/ml/lifecycle"


@pytest.fixture
def seeds(db):
    return make_seeds()


@pytest.fixture
def admin(seeds):
    return make_client("admin")


def check(name, response):
    """The answer is documented: its status, its headers, its body, and that body has no field more."""
    documented = resolved(OPERATIONS[name]["responses"][str(response.status_code)])
    for header, part in documented.get("headers", {}).items():
        assert header in response.headers or not resolved(part).get("required")
    if not documented.get("content"):
        assert not response.content
        return
    body = documented["content"]["application/json"]
    assert problems(response.json(), body["schema"]) == []
    alternatives = resolved(body["schema"]).get("oneOf", [body["schema"]])
    assert undocumented(response.json(), resolved(alternatives[0])) == []


def undocumented(value, schema, path=""):
    """Fields of a value that its schema does not name."""
    schema = resolved(schema)
    for part in ("allOf", "oneOf"):
        if part in schema:
            return undocumented(value, schema[part][0], path)
    if isinstance(value, list):
        return [name for row in value for name in undocumented(row, schema.get("items", {}), path + "[]")]
    if isinstance(value, dict) and "properties" in schema:
        return [
            name
            for key, part in value.items()
            for name in (
                undocumented(part, schema["properties"][key], f"{path}.{key}")
                if key in schema["properties"]
                else [f"{path}.{key}"]
            )
        ]
    return []


def path_of(name, seeds):
    return ADDRESSED[name][1].format(**seeds.get(OPERATIONS[name]["tags"][0], {}))


GETS = [
    name
    for name, (method, path) in ADDRESSED.items()
    if method == "get" and path.startswith("/api/") and name not in ("list_tokens", "download_artifact")
]


@pytest.mark.parametrize("name", GETS)
def test_what_can_be_read_is_answered_as_documented(seeds, admin, name):
    response = admin.get(path_of(name, seeds))
    assert response.status_code == 200
    check(name, response)


@pytest.mark.parametrize("name", [name for name in GETS if name.startswith("list_")])
def test_what_is_not_understood_is_refused_as_documented(seeds, admin, name):
    response = admin.get(path_of(name, seeds) + "?colour=red")
    assert response.status_code == 400
    check(name, response)


def prepare(name, seeds, admin):
    """What the example of a request speaks of, where it is not there already."""
    if name == "create_experiment":
        admin.patch(f"{LIFECYCLE}/experiments/diabetes", {"name": "before"})
    if name == "create_code_allowance":
        admin.delete(f"{LIFECYCLE}/code-allowances/{seeds['Access']['id']}")
    if name == "restore_run":
        admin.delete(path_of("get_run", seeds))
    if name == "restore_experiment":
        admin.delete(path_of("get_experiment", seeds))
    if name in ("approve_model_version", "update_model_version"):
        ChecklistItem.objects.update(status="approved")
    if name == "update_model_version":
        admin.post(f"{path_of('get_model_version', seeds)}/approve", {})


def example_body(name, seeds):
    (example,) = examples_of(OPERATIONS[name]["requestBody"]["content"]["application/json"])
    body = dict(example)
    # Ids in examples are of nobody; names are as the seeds have them.
    if "run_id" in body:
        body["run_id"] = make_model_run().run_id
    if "run_ids" in body:
        body["run_ids"] = [make_model_run().run_id, make_model_run().run_id]
    if "version" in body:
        body["version"] = "1"
    if "versions" in body:
        body["versions"] = ["1", "2"]
    return body


TAKEN = [
    name
    for name, operation in OPERATIONS.items()
    if "requestBody" in operation
    and name
    not in (
        "predict",  # needs a model process: tests/reliability has them
        "upload_artifact",  # bytes
        "create_token",  # by session: below
        "revoke_token",
        "rollback_deployment",  # needs a history: tests/lifecycle/test_deployment_changes_api.py
    )
]


@pytest.mark.parametrize("name", TAKEN)
def test_the_example_of_a_request_is_accepted(seeds, admin, name):
    method, _path = ADDRESSED[name]
    prepare(name, seeds, admin)
    response = getattr(admin, method)(path_of(name, seeds), example_body(name, seeds))
    assert response.status_code in (200, 201), response.json()
    check(name, response)


def test_the_example_of_a_token_is_accepted_by_session(db):
    client = Client()
    client.force_login(make_user("admin"))
    (example,) = examples_of(OPERATIONS["create_token"]["requestBody"]["content"]["application/json"])
    made = client.post("/api/v1/tokens", example, content_type="application/json")
    assert made.status_code == 201
    check("create_token", made)
    revoked = client.post(f"/api/v1/tokens/{made.json()['id']}/revoke", {}, content_type="application/json")
    check("revoke_token", revoked)
    check("list_tokens", client.get("/api/v1/tokens"))


@pytest.mark.parametrize("name", ["create_experiment", "list_runs", "get_deployment", "create_token"])
def test_strangers_are_refused_as_documented(seeds, name):
    method, path = ADDRESSED[name]
    response = getattr(Client(), method)(path_of(name, seeds))
    assert response.status_code == 401
    check(name, response)


def test_wrong_roles_are_refused_as_documented(seeds):
    response = make_client("viewer").post(f"{LIFECYCLE}/experiments", {"name": "x"})
    assert response.status_code == 403
    check("create_experiment", response)


def test_files_are_answered_as_documented(seeds, admin):
    path = path_of("download_artifact", seeds)
    response = admin.get(path)
    assert (response.status_code, "ETag" in response.headers) == (200, True)
    response = admin.get(path, HTTP_IF_NONE_MATCH=response.headers["ETag"])
    assert response.status_code == 304
    uploaded = admin.put(path.replace("MLmodel", "new"), b"bytes", content_type="application/octet-stream")
    assert uploaded.status_code == 201
    check("upload_artifact", uploaded)


def test_the_schema_is_the_same_in_json_and_yaml_and_only_for_who_is_signed_in(db):
    viewer = make_client("viewer")
    assert viewer.get("/api/schema/").json() == openapi_schema()
    assert (
        yaml.safe_load(viewer.get("/api/schema?format=yaml").content)["paths"].keys()
        == openapi_schema()["paths"].keys()
    )
    assert viewer.get("/api/schema/", HTTP_ACCEPT="application/yaml").status_code == 200
    assert Client().get("/api/schema/").status_code == 401
    for page in ("docs", "redoc"):
        stranger = Client().get(f"/api/{page}/")
        assert (stranger.status_code, stranger.headers["Location"]) == (302, f"/sign-in?next=/api/{page}/")


def test_options_says_what_an_endpoint_is_even_where_there_is_no_queryset(seeds, admin):
    answered = admin.options(f"{LIFECYCLE}/models/diabetes/aliases/champion")
    assert answered.status_code == 200
    assert set(answered.json()) == {"name", "description", "renders", "parses"}


@pytest.mark.parametrize("probe", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["post", "trace"])
def test_probes_are_only_read(db, probe, method):
    assert getattr(Client(enforce_csrf_checks=True), method)(probe).status_code == 405
