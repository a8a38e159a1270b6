"""Names that mean something else, that nobody can see or that are too long: what each noun does with them.

An experiment may be called almost anything; a model's name stands in paths; keys and aliases follow MLflow. What
deceives its reader is refused for every noun.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from limits import parse

from core.models import AuditEvent
from tests.hostile.doors import API, LIFECYCLE, World, make_world, routes, row_counts
from tests.hostile.test_json_bodies import assert_is_refused

pytestmark = pytest.mark.django_db

NAMES = {
    "plain": "churn",
    "slash": "team/churn",
    "colon": "churn:1",
    "one dot": ".",
    "two dots": "..",
    "path upwards": "../../etc/passwd",
    "backslash": "..\\churn",
    "encoded slash": "a%2Fb",
    "emoji": "🚀 churn",
    "emoji of several parts": "👩\u200d👩\u200d👧",
    "Hebrew": "שלום",
    "Korean": "이탈 예측",
    "combining marks": "Z\u0351\u036b\u0343\u036a",
    "markup": "<script>alert(1)</script>",
    "SQL": "'; DROP TABLE core_user; --",
    "template": "{{7*7}}{% debug %}${7*7}",
    "formula": "=1+1",
    "digits": "12",
    "an alias": "@champion",
    "a version": "v1",
    "latest": "latest",
    "reserved": "aliases",
    "empty": "",
    "only spaces": "   ",
    "space before": " churn",
    "space after": "churn ",
    "NUL": "a\x00b",
    "newline": "a\nb",
    "escape": "a\x1b[31mb",
    "half a surrogate pair": "a\ud800b",
    "right-to-left override": "a\u202eb",
    "right-to-left mark": "a\u200fb",
    "isolate": "a\u2066b",
    "zero-width space": "a\u200bb",
    "byte order mark": "\ufeffa",
    "line separator": "a\u2028b",
    "invisible tag": "a\U000e0041b",
    "10,000 characters": "n" * 10_000,
}
UNSEEN = {
    "NUL",
    "newline",
    "escape",
    "half a surrogate pair",
    "right-to-left override",
    "right-to-left mark",
    "isolate",
    "zero-width space",
    "byte order mark",
    "line separator",
    "invisible tag",
}
ALWAYS = UNSEEN | {"10,000 characters"}
SPACED = {"space before", "space after"}
BLANK = {"empty", "only spaces"}
WALKS = {"one dot", "two dots", "path upwards"}
# Characters that neither MLflow's keys nor its aliases have.
SPECIAL = {
    "backslash",
    "encoded slash",
    "emoji",
    "emoji of several parts",
    "combining marks",
    "markup",
    "SQL",
    "template",
    "formula",
    "an alias",
}


@dataclass(frozen=True)
class Noun:
    """How it is named, and which names it refuses. `trims`: spaces around it are typing, not the name."""

    method: str
    path: str
    body: str
    field: str
    refuses: frozenset[str]
    trims: bool = False


def noun(line: str, body: str, field: str, *refuses: set[str], trims: bool = False) -> Noun:
    method, path = line.split(" ")
    return Noun(method, path, body, field, frozenset(ALWAYS.union(*refuses)), trims)


# In a body, and in the field of the answer, NAME is what is tried.
NOUNS = {
    "experiment": noun("POST /experiments", '{"name": NAME}', "name", BLANK, SPACED),
    "run": noun("POST /runs", '{"experiment_name": "EXPERIMENT", "name": NAME}', "name", trims=True),
    "data set of a run": noun("PATCH /runs/RUN", '{"dataset_name": NAME}', "dataset_name", trims=True),
    "model": noun(
        "POST /models",
        '{"model_name": NAME, "run_id": "MODEL_RUN", "artifact_path": "model"}',
        "model_name",
        BLANK,
        SPACED,
        WALKS,
        {"slash", "colon", "markup"},
    ),
    "version label": noun(
        "PATCH /models/MODEL/1",
        '{"version_label": NAME}',
        "version_label",
        SPECIAL,
        WALKS,
        {"slash", "colon", "digits", "reserved", "Korean"},
        trims=True,
    ),
    "parameter": noun(
        "PATCH /runs/RUN",
        '{"parameters": [{"name": NAME, "value": "1"}]}',
        "parameters",
        BLANK,
        SPECIAL,
        WALKS,
        trims=True,
    ),
    "metric": noun(
        "POST /runs/RUN/metrics",
        '{"metrics": [{"metric_name": NAME, "value": 1}]}',
        "",
        BLANK,
        SPECIAL,
        WALKS,
        trims=True,
    ),
    "tag of a run": noun("PATCH /runs/RUN", '{"tags": {NAME: "1"}}', "tags", BLANK, SPACED, SPECIAL, WALKS),
    "tag of an experiment": noun(
        "PATCH /experiments/EXPERIMENT_ID", '{"tags": {NAME: "1"}}', "tags", BLANK, SPACED
    ),
    "checklist item": noun("POST /models/MODEL/1/checklist", '{"name": NAME}', "name", BLANK, trims=True),
    "drifting metric": noun(
        "POST /drift-events",
        '{"model_name": "MODEL", "version": "1", "severity": "low", "metric_name": NAME, "metric_value": 1,'
        ' "threshold": 0}',
        "metric_name",
        BLANK,
        trims=True,
    ),
    "token": noun("POST /api/v1/tokens", '{"name": NAME}', "name", BLANK, trims=True),
}


@pytest.fixture
def world() -> World:
    return make_world()


def fill(text: str, world: World, name: str) -> str:
    for word, value in {
        "EXPERIMENT_ID": str(world.experiment.pk),
        "EXPERIMENT": world.experiment.name,
        "MODEL_RUN": world.run.run_id,
        "MODEL": world.version.model.name,
        "RUN": world.run.run_id,
    }.items():
        text = text.replace(word, value)
    return text.replace("NAME", json.dumps(name))


@pytest.mark.parametrize("of", NOUNS)
def test_each_noun_takes_the_names_it_may_have_and_refuses_the_others(world, of):
    noun = NOUNS[of]
    path = fill(noun.path if noun.path.startswith("/api") else LIFECYCLE + noun.path, world, "")
    taken, before = {}, row_counts()
    for what, name in NAMES.items():
        body = fill(noun.body, world, name)
        with transaction.atomic():
            response = world.client.generic(noun.method, path, body, content_type="application/json")
            taken[what] = response.status_code in (200, 201)
            transaction.set_rollback(taken[what])
        if not taken[what]:
            assert_is_refused(response, 400)
        elif noun.field:
            kept = json.dumps(response.json()[noun.field], ensure_ascii=False)
            assert json.dumps(name.strip() if noun.trims else name, ensure_ascii=False) in kept, what
    assert row_counts() == before
    assert {what for what, was in taken.items() if not was} == set(noun.refuses)


ARTIFACT_REFUSES = (
    UNSEEN | WALKS | SPACED | {"only spaces", "backslash", "encoded slash", "10,000 characters"}
)


def test_artifacts_take_the_paths_they_may_have(world, settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)
    refused = set()
    for what, name in NAMES.items():
        if what == "empty":
            continue
        path = f"{LIFECYCLE}/runs/{world.run.run_id}/artifacts/{encoded(name)}"
        response = world.client.generic("PUT", path, b"x", content_type="application/octet-stream")
        if response.status_code == 201:
            assert response.json()["path"] == name
            assert b"".join(world.client.get(path).streaming_content) == b"x"
        else:
            refused.add(what)
            assert_is_refused(response, 400)
    assert refused == ARTIFACT_REFUSES
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")} == {world.run.run_id}


def encoded(name: str) -> str:
    return quote(name.encode("utf-8", "surrogatepass"), safe="")


IN_PATHS = [
    "/experiments/NAME",
    "/runs/NAME",
    "/runs/NAME/metrics",
    "/runs/NAME/logs",
    "/runs/NAME/artifacts",
    "/runs/RUN/artifacts?path=NAME",
    "/runs/RUN/metrics?key=NAME",
    "/models/NAME/1",
    "/models/MODEL/NAME",
    "/models/MODEL/aliases/NAME",
    "/models/NAME/aliases/champion",
    "/deployments/NAME",
    "/drift-events/NAME",
    "/code-allowances/NAME",
]


@pytest.mark.parametrize("path", IN_PATHS)
def test_no_name_in_a_path_is_more_than_not_found(world, path):
    path = path.replace("MODEL", world.version.model.name).replace("RUN", world.run.run_id)
    for name in NAMES.values():
        for method, word in (
            ("GET", encoded(name)),
            ("GET", quote(encoded(name))),
            ("DELETE", encoded(name)),
        ):
            if method == "GET" or "?" not in path:
                url = LIFECYCLE + path.replace("NAME", word)
                response = world.client.generic(method, url)
                assert response.status_code in (200, 400, 404, 405), (
                    method,
                    url[:100],
                    response.content[:200],
                )
                assert "Traceback" not in response.content.decode()


@pytest.mark.parametrize("name", ["NUL", "half a surrogate pair", "two dots", "10,000 characters", "SQL"])
def test_no_name_breaks_the_prediction_endpoint(world, name):
    for place in ("serve/{}/production", "serve/churn/{}"):
        url = f"{LIFECYCLE}/{place.format(encoded(NAMES[name]))}/invocations"
        assert world.client.post(url, "{}", content_type="application/json").status_code == 404


def list_routes() -> list[tuple[str, Any]]:
    """Every list of the API, with its view."""
    return [
        (path.replace("^", "").replace("/?$", ""), pattern.callback.cls)
        for path, pattern in routes()
        if (getattr(pattern.callback, "actions", None) or {}).get("get") == "list" and "(?P" not in path
    ]


@pytest.mark.parametrize(
    "name",
    [
        "NUL",
        "half a surrogate pair",
        "right-to-left override",
        "SQL",
        "template",
        "digits",
        "10,000 characters",
    ],
)
def test_no_name_in_a_filter_is_more_than_a_refusal(world, name):
    value = encoded(NAMES[name])
    for path, view in list_routes():
        filters = getattr(view, "filterset_class", None)
        names = [*(filters.base_filters if filters else ()), *view.extra_parameter_prefixes]
        for parameter in [*names, "search", "ordering", "limit", "offset", "export", value]:
            response = world.client.get(f"{path}?{parameter}={value}")
            assert response.status_code in (200, 400), (path, parameter, response.content[:300])


HEADERS = [
    "X-Request-Id",
    "Idempotency-Key",
    "Authorization",
    "Accept-Language",
    "Accept",
    "Cookie",
    "Origin",
    "Referer",
    "If-None-Match",
    "X-Forwarded-Proto",
    "X-Forwarded-For",
    "X-HTTP-Method-Override",
    "HX-Request",
]


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_is_more_than_a_refusal(world, header, settings):
    """What stands in a header comes as Latin-1, whatever it was."""
    settings.FAILED_TOKENS_PER_ADDRESS = parse("1000/minute")  # each is to be looked at
    for scheme in ("", "Bearer ", "Basic ") if header == "Authorization" else ("",):
        for name in NAMES.values():
            value = scheme + name.encode("utf-8", "surrogatepass").decode("latin-1")
            response = world.client.post(
                f"{LIFECYCLE}/experiments",
                json.dumps({"name": f"experiment {AuditEvent.objects.count()}"}),
                content_type="application/json",
                headers={header: value},
            )
            assert response.status_code in (201, 400, 401, 403, 406, 409), (
                value[:30],
                response.content[:200],
            )
            assert "\n" not in response["X-Request-Id"]
            assert len(response["X-Request-Id"]) <= 64


@pytest.mark.parametrize("host", ["evil.example", "localhost:evil", "", "a b", "[::1", "localhost/../evil"])
def test_another_host_is_refused(world, host):
    response = world.client.get(f"{API}/alerts", headers={"Host": host})
    assert response.status_code == 400
    assert response.json()["code"] == "invalid"
