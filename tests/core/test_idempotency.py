"""Idempotency-Key: the same request twice is done once, and a key means one request only."""

import io
import threading

import pytest
from django.db import connection
from django.test import Client

from core.models import AuditEvent, IdempotentRequest
from lifecycle.models import DriftEvent
from tests.factories import chunked, make_client, make_version

URL = "/api/v1/ml/lifecycle/drift-events"
pytestmark = pytest.mark.django_db


@pytest.fixture
def body():
    version = make_version()
    return {
        "model_name": version.model.name,
        "version": 1,
        "severity": "low",
        "metric_name": "psi",
        "metric_value": 0.3,
        "threshold": 0.2,
    }


@pytest.fixture
def caller():
    return make_client("operator")


def post(client, body, key="k1", url=URL):
    return client.post(url, body, headers={"Idempotency-Key": key})


def test_a_repeated_key_gets_the_first_answer(caller, body):
    first, second = post(caller, body), post(caller, body)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert "Idempotent-Replay" not in first.headers
    assert second.headers["Idempotent-Replay"] == "true"
    assert DriftEvent.objects.count() == 1
    assert AuditEvent.objects.count() == 1


def test_without_a_key_each_request_is_done(caller, body):
    for _ in range(2):
        assert caller.post(URL, body).status_code == 201
    assert DriftEvent.objects.count() == 2


def test_other_keys_and_other_callers_are_other_requests(caller, body):
    post(caller, body)
    post(caller, body, key="k2")
    post(make_client("operator"), body)
    assert DriftEvent.objects.count() == 3


def test_the_same_key_with_another_body_is_a_conflict(caller, body):
    post(caller, body)
    answer = post(caller, body | {"metric_value": 0.4})
    assert (answer.status_code, answer.data["code"]) == (409, "idempotency_key_reused")
    assert DriftEvent.objects.count() == 1


def test_the_same_key_at_another_path_is_a_conflict(caller, body):
    post(caller, body)
    assert post(caller, body, url=f"{URL}?x=1").status_code == 409


@pytest.mark.parametrize("refusal", [{"severity": "awful"}, {"version": 9}, {"metric_value": "NaN"}])
def test_a_refused_request_keeps_nothing(caller, body, refusal):
    assert post(caller, body | refusal).status_code in (400, 404)
    assert not IdempotentRequest.objects.exists()
    assert post(caller, body).status_code == 201


def test_who_may_not_do_it_keeps_nothing(body):
    viewer = make_client("viewer")
    assert post(viewer, body).status_code == 403
    assert not IdempotentRequest.objects.exists()


def test_an_anonymous_caller_has_no_keys(client, body):
    answer = client.post(URL, body, content_type="application/json", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 401
    assert not IdempotentRequest.objects.exists()


def test_a_token_that_may_not_read_here_is_not_told_again_what_was_answered(caller, body):
    post(caller, body)
    elsewhere = make_client(user=caller.user, domain="features")
    assert post(elsewhere, body).status_code == 403


def test_chunked_bodies_that_differ_are_different_requests(caller, body):
    def send(body):
        return caller.post(URL, headers={"Idempotency-Key": "k1"}, **chunked(body))

    assert send(body).status_code == 201
    assert send(body).status_code == 201
    assert send({**body, "metric_value": 0.4}).status_code == 409
    assert DriftEvent.objects.get().metric_value == 0.3


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(caller, body, key):
    answer = post(caller, body, key=key)
    assert answer.status_code == 400
    assert not DriftEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["a stranger", "somebody who may"])
def test_a_key_keeps_nobody_from_writing_while_the_body_is_on_its_way(caller, body, who):
    """On SQLite an open transaction is the one that may write."""
    held = []

    class SlowBody(io.BytesIO):
        def read(self, size=-1):
            held.append(connection.in_atomic_block)
            return super().read(size)

    headers = {"HTTP_IDEMPOTENCY_KEY": "k1"}
    if who == "somebody who may":
        headers |= {"HTTP_AUTHORIZATION": caller._credentials["HTTP_AUTHORIZATION"]}
    sent = chunked(body)
    sent["wsgi.input"] = SlowBody(sent["wsgi.input"].getvalue())
    answer = Client().generic("POST", URL, **headers, **sent)

    assert answer.status_code == (201 if who == "somebody who may" else 401)
    assert held == [False] * len(held)
    assert bool(held) == (who == "somebody who may")


def test_a_decision_is_repeatable_too(caller, body):
    event = post(caller, body).data["id"]
    answers = [post(caller, {}, key="ack", url=f"{URL}/{event}/acknowledge") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert caller.post(f"{URL}/{event}/acknowledge").status_code == 409


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_once_is_done_once(caller, body):
    answers, start = [], threading.Barrier(4)

    def send():
        start.wait()
        try:
            answers.append(post(make_client(user=caller.user), body))
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.data["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replay" in answer.headers for answer in answers) == 3
    assert DriftEvent.objects.count() == 1
