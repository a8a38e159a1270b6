"""The prediction endpoint: what may be asked, and what comes back."""

import contextlib
import re
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pytest
from django.db import connections
from django.urls import reverse

from serving import middleware
from serving.api import invocations
from serving.gateway.slots import Slots
from serving.models import RequestSums
from serving.operations.targets import profile_of
from serving.recorder import recorder
from tests.serving.invocations import JSON, PATH, call, logged, make_caller, make_target
from tests.serving.local_backends import make_spec, running_backend, wait_until, wait_until_ready

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]


# -- real model processes --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend():
    with running_backend() as backend:
        yield backend


def test_a_real_model_answers_and_the_request_is_counted(backend, model):
    backend.ensure(make_spec("view", model.path), 1)
    wait_until_ready(backend, "view")
    target = make_target(*backend.endpoint("view"))

    response = call(make_caller("viewer"), model.body, headers={"X-Request-Id": "my-request"})

    assert response.status_code == 200, response.content
    assert len(response.json()["predictions"]) == 1
    assert response["Content-Type"] == JSON
    assert response["X-Model-Version"] == "3"
    assert response["X-Deployment-Id"] == str(target.deployment_id)
    assert response["X-Request-Id"] == "my-request"
    (log,) = logged()
    assert (log.request_id, log.deployment_id, log.status) == ("my-request", target.deployment_id, 200)
    assert 0 < log.latency_ms < 5000


def test_what_a_real_model_refuses_is_the_callers_error_in_the_contracts_shape(backend, model):
    backend.ensure(make_spec("refuses", model.path), 1)
    wait_until_ready(backend, "refuses")
    make_target(*backend.endpoint("refuses"))

    response = call(make_caller(), b'{"dataframe_records": [{"unknown": 1}]}')

    assert response.status_code == 400
    assert set(response.json()) == {"code", "detail", "fields"}
    assert response.json()["code"] == "invalid"
    recorder.close()
    assert RequestSums.objects.get(span="minute").client_errors == 1


# -- what is asked ---------------------------------------------------------------------------------


def test_the_short_way_of_tokens_is_the_path_of_the_routes(start_process, settings):
    path = reverse("invocations", args=["churn model", "production"])
    assert middleware.PATH.fullmatch(unquote(path)).groups() == ("churn model", "production")

    make_target(start_process().address)
    settings.ROOT_URLCONF = "serving.urls"  # where this path leads nowhere
    assert call(make_caller()).status_code == 200


def test_the_short_way_keeps_the_rules_of_hosts_https_and_languages(settings):
    client = make_caller()

    assert call(client, headers={"Host": "evil.example"}).status_code == 400
    assert call(client)["X-Content-Type-Options"] == "nosniff"
    settings.SECURE_SSL_REDIRECT = True
    assert call(make_caller()).status_code == 301


@pytest.mark.parametrize("refused", [
    {"headers": {"Authorization": "Bearer nonsense"}},
    {"headers": {"Authorization": "Basic !!!"}},
    {"place": ("이탈", "nowhere")},
    {"content_type": "a/b"},
    {"CONTENT_LENGTH": "-1"},
    {"body": b"x" * 101},
    {"body": b"{}"},  # the model process answers nonsense
])  # fmt: skip
def test_each_refusal_is_in_the_language_of_whoever_asked_last(start_process, settings, refused):
    settings.SERVING_MAX_BODY_BYTES = 100
    process = start_process()
    process.answer = (500, b"nonsense", {})
    make_target(process.address)
    client = make_caller()

    def asked_in(language):
        headers = {"Accept-Language": language} | refused.get("headers", {})
        response = call(client, **(refused | {"headers": headers}))
        assert response.status_code >= 400
        assert response["Content-Language"] == language
        return response.json()["detail"]

    english, korean = asked_in("en"), asked_in("ko")

    assert re.search("[가-힣]", korean.replace("이탈", ""))
    assert not re.search("[가-힣]", english.replace("이탈", ""))
    assert asked_in("en") == english


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
def test_only_post_is_answered(method):
    make_target()
    response = getattr(make_caller(), method)(PATH.format("churn", "production"))
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"


def test_the_path_answers_with_and_without_a_slash(start_process):
    make_target(start_process().address)
    client = make_caller()
    for path in (PATH, PATH + "/"):
        response = client.post(path.format("churn", "production"), b"{}", content_type=JSON)
        assert response.status_code == 200


def test_a_name_in_the_path_is_url_encoded(start_process):
    make_target(start_process().address, model_name="이탈 v1.2")
    assert call(make_caller(), place=("%EC%9D%B4%ED%83%88%20v1.2", "production")).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b"]
)
def test_other_media_types_are_refused_by_name(content_type):
    make_target()
    response = call(make_caller(), b"a=1", content_type=content_type)
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert "text/csv" in response.json()["detail"]


def test_what_describes_the_body_goes_to_the_model_and_credentials_do_not(start_process):
    process = start_process()
    make_target(process.address)
    client = make_caller()

    response = call(
        client,
        b"a\n1\n",
        content_type="text/csv; charset=utf-8",
        headers={"Cookie": "sessionid=x"},
    )

    ((headers, body),) = process.received
    assert body == b"a\n1\n"
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["X-Request-Id"] == response["X-Request-Id"] != ""
    assert not {"Authorization", "Cookie"} & set(headers)


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(start_process, settings):
    settings.SERVING_MAX_BODY_BYTES = 100
    process = start_process()
    make_target(process.address)
    client = make_caller()

    assert call(client, b"x" * 100).status_code == 200
    response = call(client, b"x" * 101)

    assert (response.status_code, response.json()["code"]) == (413, "too_large")
    assert len(process.received) == 1
    assert [log.status for log in logged()] == [200, 413]


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "²"])
def test_a_content_length_that_is_none_is_refused(length):
    make_target()
    assert call(make_caller(), b"{}", CONTENT_LENGTH=length).status_code == 400


# -- what comes back -------------------------------------------------------------------------------


def test_no_header_of_the_model_process_gets_through(start_process):
    process = start_process()
    process.answer = (
        200,
        b"{}",
        {"Set-Cookie": "sessionid=stolen", "Content-Type": "text/html", "X-Model-Version": "9"},
    )
    make_target(process.address)

    response = call(make_caller())

    assert response["Content-Type"] == JSON
    assert response["X-Model-Version"] == "3"
    assert not response.cookies


@pytest.mark.parametrize(
    ("status", "body", "answered", "code"),
    [
        (503, b'{"code": "unavailable", "detail": "Too many wait."}', 503, "unavailable"),
        (504, b'{"code": "timeout", "detail": "No answer within 5 s."}', 504, "timeout"),
        (500, b'{"code": "model_error", "detail": "ValueError"}', 500, "model_error"),
        (500, b"Internal Server Error", 500, "model_error"),
        (400, b"[]", 400, "model_error"),
        (400, b'{"code": "invalid"}', 400, "model_error"),
        (302, b"", 502, "model_error"),
        (204, b"", 502, "model_error"),
    ],
)
def test_errors_of_the_model_process_have_the_contracts_shape(start_process, status, body, answered, code):
    process = start_process()
    process.answer = (status, body, {"Location": "http://elsewhere/"})
    make_target(process.address)

    response = call(make_caller())

    assert response.status_code == answered
    assert response.json()["code"] == code
    assert set(response.json()) == {"code", "detail", "fields"}
    assert "Location" not in response.headers
    assert response.get("Retry-After") == ("1" if answered == 503 else None)
    assert [log.status for log in logged()] == [answered]


@contextlib.contextmanager
def silent_process():
    """The address of a process that takes requests and never answers."""
    with tempfile.TemporaryDirectory(prefix="g-") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{directory}/s")
        listener.listen(64)
        yield f"unix://{directory}/s"


def call_in_thread(client, place):
    try:
        return call(client, place=place).status_code
    finally:
        connections.close_all()


def test_a_hanging_model_leaves_threads_for_the_others(start_process, monkeypatch):
    monkeypatch.setattr(invocations, "slots", Slots(threads=4))
    make_target(start_process().address)
    hanging, caller = ("hanging", "production"), make_caller("viewer")
    with ThreadPoolExecutor(3) as pool, silent_process() as address:
        target = make_target(address, model_name="hanging")
        asked = [pool.submit(call_in_thread, caller, hanging) for _ in range(3)]
        wait_until(lambda: invocations.balancer.outstanding(address) == 3)

        refused = call(caller, place=hanging)

        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["X-Deployment-Id"] == str(target.deployment_id)
        assert call(caller).status_code == 200
    assert [answer.result() for answer in asked] == [503] * 3
    assert call(caller).status_code == 200


def test_a_burst_on_a_model_that_answers_waits_its_turn(start_process, monkeypatch):
    monkeypatch.setattr(invocations, "slots", Slots(threads=2))
    # The rule is that they wait; for how long depends on what else this machine is doing.
    monkeypatch.setattr("serving.gateway.slots.WAIT_SECONDS", 10.0)
    make_target(start_process().address)
    caller = make_caller("viewer")
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(call_in_thread, caller, ("churn", "production")) for _ in range(60)]
    assert {answer.result() for answer in asked} == {200}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, b'{"predictions": [1]}', {"X-Row-Count": "9" * 5000}), 200),
        ((400, b"[" * 100_000, {}), 400),
    ],
)
def test_an_answer_made_to_trip_the_gateway_is_an_answer_like_others(start_process, answer, status):
    process = start_process()
    process.answer = answer
    make_target(process.address)
    assert call(make_caller("viewer")).status_code == status
    assert [request.rows for request in logged()] == [0]


def test_a_length_of_thousands_of_digits_is_too_large(start_process):
    make_target(start_process().address)
    assert call(make_caller("viewer"), CONTENT_LENGTH="9" * 5000).status_code == 413


def test_a_target_whose_profile_left_the_settings_goes_on_with_the_roomiest(start_process, settings):
    settings.INSTANCE_TYPES = {
        "small": {"cpu": 1, "memory_bytes": 1, "timeout_seconds": 1},
        "huge": {"cpu": 2, "memory_bytes": 2, "timeout_seconds": 9},
    }
    make_target(start_process().address, instance_type="gone")
    assert call(make_caller("viewer")).status_code == 200
    assert profile_of("gone") == settings.INSTANCE_TYPES["huge"]
    assert profile_of("small") == settings.INSTANCE_TYPES["small"]
