"""The filesystem transport: what other processes see of a message or a table while it is written."""

from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue

import mlops_site.celery  # noqa: F401  (it is what makes "filesystem" ours)
from core.tasks import sweep_broker

# A name of its own: kombu remembers per process which queues it has bound.
QUEUE = Queue("letters", Exchange("letters", type="direct"), routing_key="letters")


@pytest.fixture
def connection(tmp_path, settings):
    for folder in ("messages", "control", "processed"):
        (tmp_path / folder).mkdir()
    options = {
        "data_folder_in": str(tmp_path / "messages"),
        "data_folder_out": str(tmp_path / "messages"),
        "control_folder": str(tmp_path / "control"),
        "processed_folder": str(tmp_path / "processed"),
        "store_processed": True,
    }
    with Connection("filesystem://localhost", transport_options=options) as connection:
        yield connection


def send(connection, body) -> None:
    connection.Producer(serializer="json").publish(
        body, exchange=QUEUE.exchange, routing_key="letters", declare=[QUEUE]
    )


def test_a_message_arrives_as_it_was_sent(connection):
    send(connection, {"number": 7})

    assert connection.SimpleQueue(QUEUE).get(timeout=5).payload == {"number": 7}


def test_a_message_is_not_there_before_it_is_whole(connection, monkeypatch):
    """A worker that looks while the sender is about to write."""
    channel = connection.channel()
    looks = []

    def look_and_serialize(payload):
        with pytest.raises(Empty):
            channel._get("letters")
        looks.append(payload)
        return "{}"

    monkeypatch.setattr("core.broker.dumps", look_and_serialize)
    monkeypatch.setattr("kombu.transport.filesystem.dumps", look_and_serialize)

    channel._put("letters", {})

    assert len(looks) == 1
    assert channel._get("letters") == {}


def test_an_exchange_is_never_seen_without_its_table(connection, monkeypatch):
    """Another process that reads the table at the moment the file appears."""
    channel = connection.channel()
    seen = []
    lock = "kombu.transport.filesystem.lock"

    def look_and_lock(file, flags):
        monkeypatch.undo()
        seen.append(channel.get_table("letters"))

    monkeypatch.setattr(lock, look_and_lock)

    channel._queue_bind("letters", "letters", "", "letters")

    assert seen == [[]]
    assert [entry.queue for entry in channel.get_table("letters")] == ["letters"]


def test_what_a_killed_sender_left_behind_is_swept(tmp_path, connection, settings, monkeypatch):
    monkeypatch.setattr("core.broker.Path.rename", lambda *_: None)
    connection.channel()._put("letters", {})
    settings.BROKER_DIR = tmp_path
    settings.REDIS_URL = ""
    monkeypatch.setattr("core.tasks.KEEP_PROCESSED_SECONDS", -1)

    sweep_broker()

    assert list(tmp_path.rglob("*.msg")) == []
