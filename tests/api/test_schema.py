"""The OpenAPI schema is complete, and its examples are true to it."""

import re
from io import StringIO

import jsonschema_rs
import pytest
from django.core.management import call_command
from django.urls import URLPattern, get_resolver

from core.api.documents import openapi_schema

SCHEMA = openapi_schema()
OPERATIONS = {
    operation["operationId"]: operation
    for operations in SCHEMA["paths"].values()
    for operation in operations.values()
}
ADDRESSED = {
    operation["operationId"]: (method, path)
    for path, operations in SCHEMA["paths"].items()
    for method, operation in operations.items()
}
PROBES = ("check_alive", "check_ready")
API_OPERATIONS = {name: operation for name, operation in OPERATIONS.items() if name not in PROBES}


def resolved(part):
    """What a reference into the schema's components stands for."""
    while "$ref" in part:
        _root, kind, name = part["$ref"].removeprefix("#/").split("/")
        part = SCHEMA["components"][kind][name]
    return part


def problems(value, schema):
    """Why a value does not fit, or []."""
    whole = {**schema, "components": SCHEMA["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


def examples_of(body):
    if "example" in body:
        return [body["example"]]
    found = [example["value"] for example in body.get("examples", {}).values()]
    return found or resolved(body["schema"]).get("examples", [])


def bodies(operation):
    """(what it is, media type, body) of what is sent and what is answered."""
    for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", media_type, body
    for status, response in operation["responses"].items():
        for media_type, body in resolved(response).get("content", {}).items():
            yield status, media_type, body


def test_generating_it_gives_no_warning():
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=StringIO())


def api_patterns(patterns, prefix=""):
    for pattern in patterns:
        place = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield place
        else:
            yield from api_patterns(pattern.url_patterns, place)


def as_path(pattern):
    """A URL pattern as the schema would write it."""
    text = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"{\1}", pattern)
    text = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", text)
    text = text.replace("{pk}", "{id}").replace("/?$", "").replace("\\Z", "").replace("^", "").rstrip("$/?")
    return f"/{text}"


def test_every_api_url_is_in_it():
    urls = {as_path(pattern) for pattern in api_patterns(get_resolver().url_patterns)}
    urls = {url for url in urls if url.startswith("/api/v1")}
    assert len(urls) > 30
    assert urls == {path for path in SCHEMA["paths"] if path.startswith("/api/")}


def test_every_operation_id_is_there_once():
    count = sum(map(len, SCHEMA["paths"].values()))
    assert len(OPERATIONS) == count


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is(name):
    operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z_]+", name)
    assert operation["description"]
    assert 0 < len(operation["summary"]) < 90
    assert not operation["summary"].endswith(".")
    assert [tag for tag in operation["tags"] if tag in {known["name"] for known in SCHEMA["tags"]}]


@pytest.mark.parametrize("name", API_OPERATIONS)
def test_every_operation_says_how_it_refuses(name):
    operation, (_method, path) = OPERATIONS[name], ADDRESSED[name]
    expected = {"400", "401", "403", "503"}
    if "{" in path:
        expected.add("404")
    if "requestBody" in operation:
        expected.add("413")
    assert expected <= set(operation["responses"])
    for status, response in operation["responses"].items():
        if status >= "400":
            body = resolved(response)["content"]["application/json"]
            assert body["schema"] == {"$ref": "#/components/schemas/Error"}
    assert operation["security"]


@pytest.mark.parametrize("name", API_OPERATIONS)
def test_every_post_takes_an_idempotency_key_unless_its_answer_is_secret_or_a_prediction(name):
    method, _path = ADDRESSED[name]
    parameters = [resolved(parameter)["name"] for parameter in OPERATIONS[name].get("parameters", [])]
    expected = method == "post" and name not in ("create_token", "revoke_token", "predict")
    assert ("Idempotency-Key" in parameters) == expected


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_body_has_an_example_that_fits_its_schema(name):
    for what, media_type, body in bodies(OPERATIONS[name]):
        examples = examples_of(body)
        if media_type in ("application/octet-stream", "*/*"):
            continue
        assert examples, (what, media_type)
        for example in examples:
            assert problems(example, body["schema"]) == [], (what, example)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_is_described_and_its_example_fits(name):
    for parameter in map(resolved, OPERATIONS[name].get("parameters", [])):
        assert parameter["schema"]
        if parameter["in"] != "query":
            assert parameter["description"]
        if "example" in parameter:
            assert problems(parameter["example"], parameter["schema"]) == []


def test_lists_say_what_they_take():
    (method, path) = ADDRESSED["list_runs"]
    parameters = {
        parameter["name"]: parameter
        for parameter in map(resolved, SCHEMA["paths"][path][method]["parameters"])
    }
    assert {"limit", "offset", "ordering", "search", "export", "metrics", "parameters"} <= set(parameters)
    assert parameters["status"]["schema"]["items"]["enum"] == [
        "scheduled",
        "running",
        "completed",
        "failed",
        "cancelled",
    ]
    pattern = parameters["ordering"]["schema"]["items"]["pattern"]
    assert re.match(pattern, "-started_at")
    assert re.match(pattern, "metric.accuracy")
    assert not re.match(pattern, "colour")


def test_exports_and_files_are_told_as_what_they_are():
    listed = OPERATIONS["list_experiments"]["responses"]["200"]["content"]
    assert set(listed) == {"application/json", "text/csv"}
    assert listed["text/csv"]["example"].startswith("id,name,")
    assert set(OPERATIONS["download_artifact"]["responses"]["200"]["content"]) == {"*/*"}
    assert set(OPERATIONS["upload_artifact"]["requestBody"]["content"]) == {"application/octet-stream"}
    assert set(OPERATIONS["append_run_log_lines"]["requestBody"]["content"]) == {
        "application/json",
        "text/plain",
    }


def test_what_is_not_known_is_refused_in_the_schema_too():
    assert problems({"name": "x", "colour": "red"}, {"$ref": "#/components/schemas/ExperimentInput"})


def test_every_tag_is_used():
    used = {tag for operation in OPERATIONS.values() for tag in operation["tags"]}
    assert used == {tag["name"] for tag in SCHEMA["tags"]}
