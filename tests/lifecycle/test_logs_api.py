"""/runs/{run_id}/logs."""

import pytest
from rest_framework.test import APIClient

from core.models import AuditEvent
from tests.factories import make_client, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    return make_run()


@pytest.fixture
def url(run) -> str:
    return f"/api/v1/ml/lifecycle/runs/{run.run_id}/logs"


@pytest.fixture
def scientist() -> APIClient:
    return make_client("scientist")


def test_lines_are_read_in_the_order_they_were_logged(scientist, url):
    lines = [{"message": "start"}, {"message": "  odd", "level": "warning", "at": "2026-01-01T00:00:00Z"}]
    response = scientist.post(url, {"lines": lines})
    assert (response.status_code, response.data["logged"]) == (201, 2)
    shown = scientist.get(url).json()
    assert [(line["message"], line["level"]) for line in shown["results"]] == [
        ("start", "info"),
        ("  odd", "warning"),
    ]
    assert shown["results"][1]["at"] == "2026-01-01T00:00:00.000000Z"
    assert not AuditEvent.objects.exists()


def test_plain_text_is_a_line_a_line(scientist, url):
    response = scientist.generic("POST", url, "하나\ntwo\n\nfour\n".encode(), content_type="text/plain")
    assert response.status_code == 201
    assert [line["message"] for line in scientist.get(url).data["results"]] == ["하나", "two", "", "four"]


def test_plain_text_may_carry_an_idempotency_key(scientist, run, url):
    for _ in range(2):
        response = scientist.generic(
            "POST", url, b"one\ntwo\n", content_type="text/plain", headers={"Idempotency-Key": "once"}
        )
        assert response.status_code == 201
    assert run.log_lines.count() == 2


def test_a_year_has_four_digits_however_long_ago(scientist, url):
    scientist.post(url, {"lines": [{"message": "long ago", "at": "0452-11-02T16:35:27Z"}]})
    assert scientist.get(url).data["results"][0]["at"] == "0452-11-02T16:35:27.000000Z"


def test_a_reader_continues_after_the_last_line_it_saw(scientist, url):
    scientist.post(url, {"lines": [{"message": str(number)} for number in range(5)]})
    first = scientist.get(f"{url}?limit=2").data
    assert [line["message"] for line in first["results"]] == ["0", "1"]
    rest = scientist.get(f"{url}?after={first['after']}").data
    assert [line["message"] for line in rest["results"]] == ["2", "3", "4"]
    assert scientist.get(f"{url}?after={rest['after']}").data == {"results": [], "after": rest["after"]}


@pytest.mark.parametrize("method", ["get", "post"])
def test_logs_need_a_sign_in(url, method):
    assert getattr(APIClient(), method)(url).status_code == 401


@pytest.mark.parametrize(
    "who",
    [{"roles": ["viewer"]}, {"roles": ["approver"]}, {"roles": ["scientist"], "read_only": True}],
    ids=str,
)
def test_everybody_reads_and_only_authors_log(who, run, url):
    client = make_client(*who.pop("roles"), **who)
    assert client.get(url).status_code == 200
    assert client.post(url, {"lines": [{"message": "x"}]}).status_code == 403
    assert not run.log_lines.exists()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"lines": []}, "lines.non_field_errors"),
        ({"lines": ["text"]}, "lines.0.non_field_errors"),
        ({"lines": [{"message": "\x00"}]}, "lines.0.message"),
        ({"lines": [{"message": "x", "level": "loud"}]}, "lines.0.level"),
        ({"lines": [{"message": "x" * 10_001}]}, "lines.0.message"),
        ({"lines": [{"message": "x", "at": "noon"}]}, "lines.0.at"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_bad_input_is_refused_naming_the_field_and_keeps_nothing(scientist, run, url, sent, field):
    response = scientist.post(url, sent)
    assert (response.status_code, field in response.data["fields"]) == (400, True)
    assert not run.log_lines.exists()


def test_text_that_is_not_utf8_is_refused(scientist, url):
    assert scientist.generic("POST", url, b"\xff\xfe", content_type="text/plain").status_code == 400


def test_another_media_type_is_refused(scientist, url):
    assert scientist.generic("POST", url, b"<x/>", content_type="text/xml").status_code == 415


def test_a_thousand_lines_a_request_and_no_more(scientist, run, url):
    assert scientist.post(url, {"lines": [{"message": "x"}] * 1001}).status_code == 413
    assert not run.log_lines.exists()


@pytest.mark.parametrize(
    "query", ["after=-1", "after=x", "limit=0", "limit=1001", "before=3", f"after={2**63}"]
)
def test_a_query_that_means_nothing_is_refused(scientist, url, query):
    assert scientist.get(f"{url}?{query}").status_code == 400
