"""The id of a request: given or made, in the answer, in the audit trail and in what the request set going."""

import json
import logging

import pytest
from django.conf import settings

from core import context
from core.models import AuditEvent
from core.queue import enqueue
from tests.factories import make_client

URL = "/api/v1/ml/lifecycle/experiments"


def test_a_plain_id_of_the_caller_is_kept(client):
    assert client.get("/healthz", headers={"X-Request-Id": "order-17"}).headers["X-Request-Id"] == "order-17"


@pytest.mark.parametrize("hostile", ["", "a b", "x" * 65, "<script>", "a\tb"])
def test_any_other_id_is_replaced(client, hostile):
    given = client.get("/healthz", headers={"X-Request-Id": hostile}).headers["X-Request-Id"]
    assert len(given) == 32
    assert given != hostile


@pytest.mark.django_db
def test_the_audit_row_carries_the_id_and_the_door():
    make_client("scientist").post(URL, {"name": "traced"}, headers={"X-Request-Id": "order-18"})
    row = AuditEvent.objects.get(action="experiment.create")
    assert (row.request_id, row.via, row.address) == ("order-18", "api", "127.0.0.1")


@pytest.mark.django_db
def test_a_refused_request_is_logged_under_its_id_and_then_left(client):
    logged = []

    class Keep(logging.Handler):
        def emit(self, record):
            logged.append(context.current().request_id)

    keep = Keep()
    logging.getLogger("django.request").addHandler(keep)
    try:
        client.get("/nowhere", headers={"X-Request-Id": "order-19"})
    finally:
        logging.getLogger("django.request").removeHandler(keep)
    assert logged == ["order-19"]
    assert context.current() == context.NOWHERE


@pytest.mark.skipif(
    bool(settings.REDIS_URL), reason="reads the message from the folder of the filesystem broker"
)
@pytest.mark.django_db(transaction=True)
def test_the_id_goes_along_in_the_message_to_the_worker():
    with context.entered(context.RequestContext(request_id="order-20", via="api")):
        enqueue("core.seal_audit")
    messages = [json.loads(file.read_text()) for file in (settings.BROKER_DIR / "messages").glob("*.msg")]
    assert "order-20" in [message["headers"].get("request_id") for message in messages]
