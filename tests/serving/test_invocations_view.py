"""The prediction endpoint: who may call, where a request goes, what comes back and what is noted of it."""

import contextlib
import json
import socket
import socketserver
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.contrib.auth.models import Group
from django.db import connections
from django.test import Client
from django.urls import reverse

from core.models import AccessToken
from core.operations.access import revoke_token
from serving import middleware
from serving.api import callers, invocations
from serving.gateway.slots import Slots
from serving.models import Endpoint, Replica, RequestLog, RequestSums, Target
from serving.operations.targets import profile_of
from serving.recorder import recorder
from serving.routes import Routes
from tests.factories import make_token, make_user, numbers
from tests.serving.local_backends import make_spec, running_backend, wait_until, wait_until_ready

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/ml/lifecycle/serve/{}/{}/invocations"
JSON = "application/json"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers), body))
        status, answer, headers = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": len(answer), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass


class Process(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """An HTTP server on a unix socket that answers what the test says: for what real models do not do."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path):
        super().__init__(path, Handler)
        self.address = f"unix://{path}"
        self.received = []
        self.answer = (200, b'{"predictions": [1]}', {"X-Row-Count": 1})


@pytest.fixture
def start_process():
    started = []
    with tempfile.TemporaryDirectory(prefix="g-") as directory:

        def start():
            process = Process(str(Path(directory) / f"{len(started)}.sock"))
            threading.Thread(target=process.serve_forever, args=(0.02,), daemon=True).start()
            started.append(process)
            return process

        yield start
        for process in started:
            process.shutdown()
            process.server_close()


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """As in a web process that has just started: nothing remembered, nothing waiting."""
    monkeypatch.setattr(invocations, "routes", Routes())
    monkeypatch.setattr(callers, "tokens", callers.TokenMemory())
    yield
    recorder.close()


def make_target(*addresses, model_name="churn", environment="production", **fields):
    endpoint, _ = Endpoint.objects.get_or_create(model_name=model_name, environment=environment)
    fields = {"state": "serving", "weight": 100, "model_version": 3, "instance_type": "small"} | fields
    target = Target.objects.create(endpoint=endpoint, deployment_id=next(numbers), model_path="/", **fields)
    for address in addresses:
        Replica.objects.create(target=target, name=f"replica{next(numbers)}", state="ready", address=address)
    return target


def make_caller(*roles, **token):
    return Client(headers={"Authorization": f"Bearer {make_token(make_user(*roles), **token)}"})


def call(client, body=b'{"inputs": [1]}', place=("churn", "production"), content_type=JSON, **options):
    return client.post(PATH.format(*place), body, content_type=content_type, **options)


def logged():
    recorder.close()
    return list(RequestLog.objects.order_by("id"))


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


# -- who may call ----------------------------------------------------------------------------------


def test_anonymous_callers_are_asked_to_sign_in(start_process):
    process = start_process()
    make_target(process.address)

    response = call(Client())

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")
    assert response["WWW-Authenticate"] == "Bearer"
    assert process.received == []


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic !!!", "Bearer "])
def test_a_token_that_is_none_is_refused(header):
    make_target()
    response = call(Client(headers={"Authorization": header}))
    assert (response.status_code, response.json()["code"]) == (401, "authentication_failed")


@pytest.mark.parametrize("role", ["viewer", "scientist", "approver", "operator", "admin"])
def test_every_role_may_call(start_process, role):
    make_target(start_process().address)
    assert call(make_caller(role)).status_code == 200


@pytest.mark.parametrize("token", [{"read_only": True}, {"domain": "lifecycle"}])
def test_a_prediction_changes_nothing_so_a_limited_token_may_call(start_process, token):
    make_target(start_process().address)
    assert call(make_caller(**token)).status_code == 200


def test_a_token_of_another_domain_may_not(start_process):
    process = start_process()
    make_target(process.address)

    response = call(make_caller("admin", domain="features"))

    assert (response.status_code, response.json()["code"]) == (403, "not_allowed")
    assert process.received == []


def test_the_password_of_basic_credentials_is_a_token(start_process):
    from base64 import b64encode

    make_target(start_process().address)
    credentials = b64encode(f"anybody:{make_token(make_user())}".encode()).decode()
    assert call(Client(headers={"Authorization": f"Basic {credentials}"})).status_code == 200


def test_a_revoked_token_is_refused_within_a_second(start_process):
    make_target(start_process().address)
    client = make_caller()
    assert call(client).status_code == 200

    revoke_token(actor=None, token=AccessToken.objects.get())
    time.sleep(callers.REMEMBERED_SECONDS)

    assert call(client).status_code == 401


def test_a_switched_off_account_is_refused_within_a_second(start_process):
    make_target(start_process().address)
    client = make_caller()
    assert call(client).status_code == 200

    user = AccessToken.objects.get().user
    user.is_active = False
    user.save()
    time.sleep(callers.REMEMBERED_SECONDS)

    assert call(client).status_code == 401


def test_a_session_needs_its_csrf_token(start_process):
    process = start_process()
    make_target(process.address)
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user())

    response = call(client)

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert process.received == []

    client.cookies["csrftoken"] = "a" * 32
    assert call(client, headers={"X-CSRFToken": "b" * 32}).status_code == 403
    assert call(client, headers={"X-CSRFToken": "a" * 32}).status_code == 200


def test_another_kind_of_authorization_does_not_hide_the_session(start_process):
    make_target(start_process().address)
    client = Client(headers={"Authorization": "Negotiate abc"})
    client.force_login(make_user())

    assert call(client).status_code == 200


def test_a_token_needs_no_csrf_token(start_process):
    make_target(start_process().address)
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {make_token(make_user())}"})
    assert call(client).status_code == 200


def test_known_callers_and_routes_cost_no_query(start_process, django_assert_num_queries):
    make_target(start_process().address)
    client = make_caller()
    call(client)

    with django_assert_num_queries(0):
        assert call(client).status_code == 200


def test_a_caller_gets_the_roles_given_meanwhile(start_process):
    make_target(start_process().address)
    client = make_caller()
    call(client)
    AccessToken.objects.get().user.groups.add(Group.objects.get_or_create(name="admin")[0])
    time.sleep(callers.REMEMBERED_SECONDS)
    call(client)

    (user, _until) = next(iter(callers.tokens._users.values()))
    assert "admin" in user.roles


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
    assert "모델" in call(client, headers={"Accept-Language": "ko"}).json()["detail"]
    assert call(client)["X-Content-Type-Options"] == "nosniff"
    settings.SECURE_SSL_REDIRECT = True
    assert call(make_caller()).status_code == 301


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


# -- where it goes ---------------------------------------------------------------------------------


def test_where_nothing_is_deployed_is_not_found():
    make_target(environment="staging")
    make_target(model_name="ended", state="stopped", weight=0)
    client = make_caller()

    for place in [("churn", "production"), ("nobody", "staging"), ("ended", "production")]:
        response = call(client, place=place)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert logged() == []


def test_while_the_first_deployment_comes_up_callers_are_told_to_try_again():
    make_target(state="starting", weight=0)
    response = call(make_caller())
    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (
        503,
        "unavailable",
        "1",
    )
    assert response.json()["fields"] == {}


def test_a_first_deployment_answers_from_the_moment_it_is_active(start_process):
    target = make_target(start_process().address, state="starting", weight=0)
    client = make_caller()
    assert call(client).status_code == 503

    Target.objects.filter(pk=target.pk).update(state="serving", weight=100)

    assert call(client).status_code == 200


def test_a_model_nobody_served_a_moment_ago_answers_as_soon_as_it_is_active(start_process):
    client = make_caller()
    assert call(client).status_code == 404

    make_target(start_process().address)

    assert call(client).status_code == 200


def test_without_a_ready_replica_the_request_is_an_error_of_the_deployment():
    target = make_target()
    Replica.objects.create(target=target, name="r", state="backoff", address="unix:///nowhere")

    response = call(make_caller())

    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (
        503,
        "unavailable",
        "1",
    )
    (log,) = logged()
    assert (log.status, log.deployment_id) == (503, target.deployment_id)
    assert RequestSums.objects.get(span="minute").errors == 1


def test_a_dead_replica_is_an_error_too():
    make_target("unix:///nowhere/s")
    assert call(make_caller()).status_code == 503
    assert [log.status for log in logged()] == [503]


def test_with_one_replica_dead_the_other_answers(start_process):
    # Not the address of another test: the gateway passes over a dead replica for a second.
    make_target("unix:///nowhere/other", start_process().address)
    client = make_caller()
    assert [call(client).status_code for _ in range(4)] == [200] * 4
    assert any(log.retried for log in logged())


def test_a_replica_that_came_back_elsewhere_is_found_at_once(start_process):
    target = make_target("unix:///nowhere/s")
    client = make_caller()
    assert call(client).status_code == 503

    target.replicas.update(address=start_process().address)

    assert call(client).status_code == 200


def test_traffic_follows_the_weights_within_a_second(start_process):
    old, new = start_process(), start_process()
    first, second = make_target(old.address), make_target(new.address, weight=0, model_version=4)
    client = make_caller()
    assert {call(client)["X-Model-Version"] for _ in range(5)} == {"3"}

    Target.objects.filter(pk=first.pk).update(weight=0, state="draining")
    Target.objects.filter(pk=second.pk).update(weight=100)
    time.sleep(1.0)

    assert {call(client)["X-Model-Version"] for _ in range(5)} == {"4"}


def test_two_targets_share_by_weight(start_process):
    first, second = start_process(), start_process()
    make_target(first.address, weight=75)
    make_target(second.address, weight=25)
    client = make_caller()

    for _ in range(200):
        call(client)

    # Five standard deviations of a fair draw of 200 with p = 0.75 are 30.
    assert len(first.received) == pytest.approx(150, abs=31)
    assert len(first.received) + len(second.received) == 200


def test_a_target_without_a_replica_gives_its_share_to_the_other(start_process):
    make_target(start_process().address, weight=1)
    make_target(weight=99, model_version=4)
    client = make_caller()
    assert {call(client)["X-Model-Version"] for _ in range(10)} == {"3"}


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


# -- what is noted ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "rows"), [({"X-Row-Count": 7}, 7), ({}, 0), ({"X-Row-Count": "-3"}, 0)])
def test_rows_are_what_the_model_process_counted(start_process, header, rows):
    process = start_process()
    process.answer = (200, b"{}", header)
    make_target(process.address)

    call(make_caller())

    assert [log.rows for log in logged()] == [rows]


def test_who_called_is_noted(start_process):
    make_target(start_process().address)
    user = make_user()
    call(Client(headers={"Authorization": f"Bearer {make_token(user)}"}))
    assert [log.user_id for log in logged()] == [user.pk]


def test_sampled_requests_keep_input_and_output(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    make_target(start_process().address)

    call(make_caller(), b'{"inputs": [42]}')

    (log,) = logged()
    assert (log.input, log.output) == ('{"inputs": [42]}', '{"predictions": [1]}')


def test_without_sampling_neither_is_kept(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 0.0
    make_target(start_process().address)
    call(make_caller())
    (log,) = logged()
    assert (log.input, log.output) == ("", "")


def test_refused_requests_are_not_sampled(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    process = start_process()
    process.answer = (400, b'{"code": "invalid", "detail": "No."}', {})
    make_target(process.address)
    call(make_caller())
    (log,) = logged()
    assert (log.input, log.output) == ("", "")


def test_a_sample_is_bounded_and_any_bytes_become_text(start_process, settings):
    settings.SERVING_SAMPLE_RATE = 1.0
    process = start_process()
    process.answer = (200, json.dumps({"predictions": ["y" * 100_000]}).encode(), {})
    make_target(process.address)

    call(make_caller(), b"\0\xff" + b"x" * 100_000)

    (log,) = logged()
    assert len(log.input.encode()) <= 2 * 64 * 1024
    assert log.input.startswith("\ufffd\ufffdx")
    assert len(log.output) == 64 * 1024


# --- A process that cannot be trusted, or does not answer ---------------------------------------------------


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
