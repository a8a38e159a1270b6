"""/healthz and /readyz."""

import pytest

from core.health import AGENT
from core.models import Heartbeat
from core.tasks import WORKER
from mlops_site.celery import app


@pytest.fixture
def _all_alive(db):
    for component in (WORKER, AGENT):
        Heartbeat.objects.beat(component)


def test_a_process_that_answers_is_healthy(client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("_all_alive")
def test_ready_when_every_part_is(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.json()
    assert set(answer.json()["checks"]) == {"database", "broker", "worker", "agent", "disk"}


@pytest.mark.usefixtures("_all_alive")
@pytest.mark.parametrize("component", [WORKER, AGENT])
def test_not_ready_without_a_sign_of_life(client, component):
    Heartbeat.objects.filter(component=component).delete()
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"][component]) == (503, "failed")


@pytest.mark.usefixtures("_all_alive")
def test_not_ready_while_the_broker_is_away(client, monkeypatch):
    monkeypatch.setattr(app.conf, "broker_write_url", "redis://127.0.0.1:9/0")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (503, "failed")
