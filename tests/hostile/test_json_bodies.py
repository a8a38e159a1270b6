"""JSON that is none, that is too much, or that means something else than it seems, at every endpoint that takes any."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from tests.hostile.doors import LIFECYCLE, Door, World, body_routes, doors, make_world, row_counts

pytestmark = pytest.mark.django_db

HUGE = "a number of 10,000 digits"
DEEP = 10_000
VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "negative": -1,
    "64 bits and one more": 2**64,
    "a float's end": 10**400,
    "10,000 digits": HUGE,
    "NaN": float("nan"),
    "NUL": "a\x00b",
    "half a surrogate pair": "a\ud800b",
    "200,000 characters": "n" * 200_000,
    "list of lists": [[["x"]]],
    "2,000 of a kind": ["x"] * 2000,
    "10 levels": [[[[[[[[[["x"]]]]]]]]]],
    "object with a NUL": {"a\x00": "b\x00"},
    "object with half a surrogate pair": {"\udc00": "x"},
}


@pytest.fixture
def world() -> World:
    return make_world()


def send(world: World, door: Door, text: str | bytes, content_type: str = "application/json") -> Any:
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return world.client.generic(door.method.upper(), door.path, content, content_type=content_type)


def as_text(body: Any) -> str:
    return json.dumps(body).replace(json.dumps(HUGE), "9" * 10_000)


def assert_is_refused(response: Any, *statuses: int) -> None:
    """The contract's refusal: a status that fits, a code, and a sentence."""
    assert response.status_code in (statuses or (400,)), (response.status_code, response.content[:500])
    body = response.json()
    assert set(body) == {"code", "detail", "fields"}
    assert body["code"]
    assert len(body["detail"]) > 5


def places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in a body there is a value, from the whole body to its leaves."""
    yield path
    pairs = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in pairs:
        yield from places(value, (*path, key))


def replaced(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(body) if isinstance(body, dict) else list(body)
    copy[path[0]] = replaced(body[path[0]], path[1:], value)
    return copy


def test_every_endpoint_that_takes_json_is_tested_here(world):
    assert {door.route for door in doors(world)} == body_routes()


def test_bodies_that_fit_are_not_what_is_refused_here(world):
    for door in doors(world):
        with transaction.atomic():
            response = send(world, door, as_text(door.body))
            assert response.status_code in (200, 201, 403, 404, 409), (str(door), response.content)
            transaction.set_rollback(True)


@pytest.mark.parametrize("value", VALUES)
def test_no_value_in_any_place_is_more_than_a_refusal(world, value):
    """What is taken is undone before the next request; what is refused must leave nothing to undo."""
    before = row_counts()
    for door in doors(world):
        for place in places(door.body):
            with transaction.atomic():
                response = send(world, door, as_text(replaced(door.body, place, VALUES[value])))
                where = (str(door), place, response.content[:300])
                assert response.status_code in (200, 201, 400, 403, 404, 409, 413), where
                if response.status_code < 400:
                    transaction.set_rollback(True)
                else:
                    assert_is_refused(response, 400, 403, 404, 409, 413)
        assert row_counts() == before, str(door)


NOT_AN_OBJECT_OF_KNOWN_FIELDS = [
    "{",
    '{"name": }',
    "{'name': 'x'}",
    '{"name": "x",}',
    '{"name": "x"} trailing',
    '{"value": NaN}',
    '{"value": Infinity}',
    '{"value": -Infinity}',
    "NaN",
    "null",
    "5",
    '"text"',
    "[]",
    '["name"]',
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" * DEEP + "]" * DEEP,
    "[" * 1_000_000,
    '{"name": ' + "[" * DEEP + "]" * DEEP + "}",
    "9" * 10_000,
    '{"a": ' + "9" * 10_000 + "}",
    b"\xff\xfe{\x00}\x00",
    '{"name": "x"}'.encode("utf-16"),
    '{"name": "x"}'.encode("utf-32"),
    b'{"name": "\xff"}',
    b'{"name": "\xc0\xaf"}',
    b"\xef\xbb\xbf\xef\xbb\xbf{}",
    b'{"name": "x\x00"}',
    b"\x00",
    '{"no_such_field": 1}',
    '{"__proto__": {"admin": true}}',
]


def test_a_body_that_is_no_json_object_of_known_fields_is_refused_everywhere(world):
    before = row_counts()
    for door in doors(world):
        for text in NOT_AN_OBJECT_OF_KNOWN_FIELDS:
            response = send(world, door, text)
            assert response.status_code == 400, (str(door), text[:50], response.content[:300])
            assert_is_refused(response, 400)
    assert row_counts() == before


def test_a_field_given_twice_is_refused(world):
    """Which of the two counts differs from reader to reader."""
    for door in doors(world):
        for name, value in list(door.body.items())[:1]:
            pair = f"{json.dumps(name)}: {json.dumps(value)}"
            response = send(world, door, "{" + f"{pair}, {pair}" + "}")
            assert_is_refused(response, 400)
            assert name in response.json()["detail"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/x-python-pickle",
        "application/yaml",
        "",
        "nonsense",
    ],
)
def test_another_media_type_is_refused(world, content_type):
    for door in doors(world):
        if door.body:
            assert_is_refused(send(world, door, as_text(door.body), content_type), 415, 400)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "nonsense"])
def test_a_compressed_body_is_refused_and_never_inflated(world, encoding):
    for door in doors(world):
        response = world.client.generic(
            door.method.upper(),
            door.path,
            as_text(door.body),
            content_type="application/json",
            headers={"Content-Encoding": encoding},
        )
        assert_is_refused(response, 415)


def test_a_body_over_the_limit_is_refused_everywhere(world, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    for door in doors(world):
        assert_is_refused(send(world, door, " " * 1001), 413)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("metrics", {"metrics": [{"metric_name": "a", "value": 1}] * 100_000}, 413),
        ("logs", {"lines": [{"message": "a"}] * 100_000}, 413),
        ("", {"parameters": [{"name": f"p{number}", "value": "1"} for number in range(100_000)]}, 413),
        ("", {"tags": {f"t{number}": "1" for number in range(100_000)}}, 413),
    ],
    ids=["metric points", "log lines", "parameters", "tags"],
)
def test_a_hundred_thousand_rows_in_one_request_are_refused(
    world, path, body, status, django_assert_max_num_queries
):
    before, method = row_counts(), "post" if path else "patch"
    url = f"{LIFECYCLE}/runs/{world.run.run_id}/{path}".rstrip("/")
    with django_assert_max_num_queries(20):
        assert_is_refused(send(world, Door("", method, url, {}), as_text(body)), status)
    assert row_counts() == before


@pytest.mark.parametrize("body", [{"run_ids": ["x"] * 100_000}, {"versions": ["1"] * 100_000}])
def test_a_hundred_thousand_are_not_compared(world, body, django_assert_max_num_queries):
    where = "runs" if "run_ids" in body else f"models/{world.version.model.name}"
    with django_assert_max_num_queries(20):
        response = send(world, Door("", "post", f"{LIFECYCLE}/{where}/compare", {}), as_text(body))
    assert_is_refused(response, 400)


def test_a_hundred_thousand_lines_of_plain_text_are_refused(world):
    before, url = row_counts(), f"{LIFECYCLE}/runs/{world.run.run_id}/logs"
    assert_is_refused(send(world, Door("", "post", url, {}), "line\n" * 100_000, "text/plain"), 413)
    assert row_counts() == before
