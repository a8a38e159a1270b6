"""The S3 artifact store, against a server process of its own."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest

from core.errors import Invalid, NotFound, Unavailable
from lifecycle.artifact_store.s3 import PART_BYTES, S3Store
from lifecycle.operations.artifacts import fetch_model, model_files
from lifecycle.operations.model_files import content_sha256
from tests.factories import make_client, make_file, make_run, make_version

BUCKET = "artifacts"
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    port = free_port()
    command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the S3 server did not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"the S3 server did not answer within {START_SECONDS} s")


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def client(endpoint):
    made = boto3.client("s3", endpoint_url=endpoint)
    made.create_bucket(Bucket=BUCKET)
    yield made
    for entry in made.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        made.delete_object(Bucket=BUCKET, Key=entry["Key"])
    made.delete_bucket(Bucket=BUCKET)


@pytest.fixture
def store(client, endpoint) -> S3Store:
    return S3Store(bucket=BUCKET, prefix="some/prefix", endpoint_url=endpoint)


def keys(client) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.mark.parametrize("size", [0, 10, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 1])
def test_what_is_written_is_read(store, client, size):
    piece = bytes(range(256)) * 4096
    content = (piece * (size // len(piece) + 1))[:size]
    store.write("run/1", (content[start : start + 700_000] for start in range(0, size, 700_000)))
    assert keys(client) == ["some/prefix/run/1"]
    with store.open("run/1") as file:
        assert b"".join(iter(lambda: file.read(1024 * 1024), b"")) == content
    assert store.exists("run/1")


@pytest.mark.parametrize("before_it_breaks", [1, 2 * PART_BYTES])
def test_a_write_that_breaks_leaves_nothing_and_no_open_upload(store, client, before_it_breaks):
    def broken():
        yield b"x" * before_it_breaks
        raise Invalid("cut short")

    with pytest.raises(Invalid, match="cut short"):
        store.write("run/1", broken())
    assert keys(client) == []
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []


def test_what_is_not_there_is_not_found(store):
    assert not store.exists("run/1")
    with pytest.raises(NotFound):
        store.open("run/1")


def test_deleting_twice_is_deleting(store, client):
    store.write("run/1", [b"x"])
    store.delete("run/1")
    store.delete("run/1")
    assert keys(client) == []


def test_a_missing_bucket_is_named(endpoint):
    store = S3Store(bucket="nowhere", endpoint_url=endpoint)
    with pytest.raises(Unavailable, match="“nowhere” does not exist"):
        store.write("run/1", [b"x"])
    with pytest.raises(Unavailable, match="“nowhere” does not exist"):
        store.open("run/1")


def test_a_server_that_is_down_is_unavailable():
    store = S3Store(bucket=BUCKET, endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.write("run/1", [b"x"])


def test_missing_credentials_are_unavailable(store, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Unavailable, match="credentials"):
        S3Store(bucket=BUCKET, endpoint_url=store.endpoint_url).write("run/1", [b"x"])


@pytest.mark.django_db
def test_the_api_streams_through_the_bucket(client, endpoint, settings, tmp_path):
    settings.ARTIFACT_ROOT, settings.ARTIFACT_S3_ENDPOINT_URL = f"s3://{BUCKET}/platform", endpoint
    run = make_run()
    scientist = make_client("scientist")
    url = f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts/model/weights.bin"
    content = b"weights" * 100_000
    assert scientist.generic("PUT", url, content, content_type="application/octet-stream").status_code == 201
    assert b"".join(scientist.get(url).streaming_content) == content
    assert [key.startswith(f"platform/{run.run_id}/") for key in keys(client)] == [True]

    make_file(run, "model/MLmodel", b"flavors")
    sha256 = content_sha256(model_files(run, "model"), "model")
    version = make_version(run=run, created_by=run.created_by, content_sha256=sha256)
    fetch_model(version, tmp_path / "copy")
    assert (tmp_path / "copy" / "weights.bin").read_bytes() == content


@pytest.mark.django_db
def test_the_api_says_when_the_bucket_is_missing(endpoint, settings):
    settings.ARTIFACT_ROOT, settings.ARTIFACT_S3_ENDPOINT_URL = "s3://nowhere", endpoint
    url = f"/api/v1/ml/lifecycle/runs/{make_run().run_id}/artifacts/a"
    response = make_client("scientist").generic("PUT", url, b"x", content_type="application/octet-stream")
    assert response.status_code == 503
    assert "nowhere" in response.data["detail"]
    assert response["Retry-After"]


def test_a_store_is_empty_while_nothing_lies_under_its_prefix(store, client):
    client.put_object(Bucket=BUCKET, Key="some/prefix-of-others/file", Body=b"theirs")
    assert store.is_empty()

    store.write("run/file", [b"content"])
    assert not store.is_empty()
