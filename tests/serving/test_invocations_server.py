"""The prediction endpoint behind the real web server: bodies as they come over a socket, and its end."""

import http.client
import json
import signal
import tempfile
from pathlib import Path

import pytest

from serving.models import Endpoint, Replica, RequestLog, Target
from tests.factories import make_token, make_user
from tests.serving.local_backends import make_spec, running_backend, wait_until, wait_until_ready
from tests.serving.model_process import UnixConnection
from tests.serving.same_database import start_python

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/ml/lifecycle/serve/churn/production/invocations"
LIMIT = 10_000


@pytest.fixture(scope="module")
def addresses(model):
    with running_backend() as backend:
        backend.ensure(make_spec("web", model.path), 1)
        wait_until_ready(backend, "web")
        yield backend.endpoint("web")


@pytest.fixture
def web(addresses):
    """A gunicorn in front of a real model; its `connection` and `headers` are for calling it."""
    endpoint = Endpoint.objects.create(model_name="churn", environment="production")
    target = Target.objects.create(
        endpoint=endpoint,
        deployment_id=1,
        model_version=1,
        state="serving",
        weight=100,
        instance_type="small",
    )
    Replica.objects.create(target=target, name="r", state="ready", address=addresses[0])
    headers = {"Authorization": f"Bearer {make_token(make_user())}", "Content-Type": "application/json"}
    with tempfile.TemporaryDirectory(prefix="web-") as directory:
        socket = Path(directory) / "s"
        process = start_python(
            *["-m", "gunicorn", "mlops_site.wsgi", "--bind", f"unix:{socket}", "--threads", "4"],
            SERVING_MAX_BODY_BYTES=str(LIMIT),
        )
        try:
            process.connection = UnixConnection(str(socket), timeout=10)
            wait_until(lambda: accepts(process.connection))
            process.headers = headers | {"Host": "localhost"}
            yield process
        finally:
            process.kill()
            process.communicate()


def accepts(connection) -> bool:
    """Whether anybody listens: a socket is in its directory before that."""
    try:
        connection.connect()
    except OSError:
        return False
    return True


def ask(web, body, **options) -> tuple[int, dict]:
    web.connection.request("POST", PATH, body, web.headers, **options)
    response = web.connection.getresponse()
    return response.status, json.loads(response.read())


def test_a_body_of_unknown_length_is_read_to_its_end(web, model):
    status, answer = ask(web, iter([model.body[:20], model.body[20:]]), encode_chunked=True)
    assert status == 200, answer
    assert len(answer["predictions"]) == 1


def test_a_body_of_unknown_length_is_bounded_too(web, model):
    status, answer = ask(web, iter([b" " * 1000] * (LIMIT // 1000 + 1)), encode_chunked=True)
    assert (status, answer["code"]) == (413, "too_large")
    web.connection.close()
    assert ask(web, model.body)[0] == 200


def test_a_connection_that_breaks_in_the_body_sends_nothing_to_the_model(web, model):
    connection = web.connection
    connection.putrequest("POST", PATH, skip_host=True)
    for name, value in {**web.headers, "Content-Length": str(len(model.body) + 10)}.items():
        connection.putheader(name, value)
    connection.endheaders(model.body)
    connection.sock.shutdown(1)  # no more is coming; the answer may
    response = http.client.HTTPResponse(connection.sock, method="POST")
    response.begin()
    assert (response.status, json.loads(response.read())["code"]) == (400, "invalid")


def test_a_web_server_that_stops_writes_what_it_still_holds(web, model):
    answers = [ask(web, model.body)[0] for _ in range(20)]
    web.send_signal(signal.SIGTERM)
    _, errors = web.communicate(timeout=15)

    assert web.returncode == 0, errors
    assert answers == [200] * 20
    assert RequestLog.objects.count() == 20
