"""Uploads that are not what they say: too large, cut short, of another length or hash, compressed, racing."""

import base64
import hashlib
import io
import socket
import threading
import unicodedata
import zipfile
from pathlib import Path

import pytest
from django.db import close_old_connections, connections
from django.test import Client

from core.models import AuditEvent
from lifecycle.models import Artifact
from tests.factories import make_client, make_file, make_run, make_token, make_user
from tests.stack import wait_until

SHA256 = hashlib.sha256(b"content").hexdigest()


def content_digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.fixture(autouse=True)
def root(settings, tmp_path) -> Path:
    settings.ARTIFACT_ROOT = str(tmp_path / "artifacts")
    return tmp_path / "artifacts"


def kept(root: Path) -> list[bytes]:
    """Every file of the store, unfinished ones too."""
    return sorted(path.read_bytes() for path in root.rglob("*") if path.is_file())


@pytest.fixture
def run(db):
    run = make_run()
    make_file(run, "kept", b"as it was")
    return run


@pytest.fixture
def put(run):
    client = make_client("scientist")

    def send(content: bytes = b"content", path: str = "new", **extra):
        url = f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts/{path}"
        return client.generic("PUT", url, content, content_type="application/octet-stream", **extra)

    return send


@pytest.fixture
def nothing_changed(run, root):
    """The store, the rows and the audit trail are the same afterwards."""
    audited = AuditEvent.objects.count()
    yield
    assert kept(root) == [b"as it was"]
    assert list(run.artifacts.values_list("path", flat=True)) == ["kept"]
    assert AuditEvent.objects.count() == audited


class Unread(io.RawIOBase):
    def read(self, size=-1):
        raise AssertionError("The body was read.")


def test_an_upload_over_the_limit_is_refused_before_it_is_read(put, settings, nothing_changed):
    settings.ARTIFACT_MAX_BYTES = 10
    response = put(b"", **{"wsgi.input": Unread(), "CONTENT_LENGTH": "11"})
    assert (response.status_code, response.data["code"]) == (413, "too_large")
    assert "at most 10 bytes" in response.data["detail"]


def test_an_upload_in_chunks_is_refused_once_it_is_over_the_limit(put, settings, nothing_changed):
    settings.ARTIFACT_MAX_BYTES = 10
    body = {"wsgi.input": io.BytesIO(b"x" * 11), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    assert put(b"", **body).status_code == 413


@pytest.mark.parametrize(
    ("length", "status"),
    [("100", 400), ("8", 400), ("-1", 400), ("x", 400), ("1_0", 400), ("9" * 5000, 413), ("", 400)],
)
def test_an_upload_of_a_wrong_length_is_refused(put, nothing_changed, length, status):
    body = {"wsgi.input": io.BytesIO(b"content"), "CONTENT_LENGTH": length}
    response = put(b"", **body)
    assert response.status_code == status
    assert response.data["detail"]


def test_what_the_sender_hashed_is_what_is_kept(put, run):
    for number, headers in enumerate(
        [
            {"X-Content-SHA256": SHA256},
            {"X-Content-SHA256": SHA256.upper()},
            {"Content-Digest": content_digest(b"content")},
            {"Repr-Digest": content_digest(b"content")},
            {"Content-Digest": f"unixsum=:MTIz:, {content_digest(b'content')}"},
        ]
    ):
        assert put(path=str(number), headers=headers).status_code == 201
    assert set(run.artifacts.exclude(path="kept").values_list("sha256", flat=True)) == {SHA256}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Content-SHA256": "0" * 64}, SHA256),
        ({"Content-Digest": content_digest(b"other")}, SHA256),
        ({"Repr-Digest": content_digest(b"other")}, SHA256),
        ({"X-Content-SHA256": SHA256, "Content-Digest": content_digest(b"other")}, "differ"),
        ({"X-Content-SHA256": "abc"}, "64 hexadecimal digits"),
        ({"X-Content-SHA256": ""}, "64 hexadecimal digits"),
        ({"Content-Digest": "sha-256=:not base64:"}, "sha-256=:"),
        ({"Content-Digest": "sha-256=:YWJj:"}, "sha-256=:"),
        ({"Content-Digest": "md5=:kZXYSZOeCQEHpCpbiSYmmQ==:"}, "sha-256=:"),
        ({"Content-Digest": ""}, "sha-256=:"),
        ({"Content-MD5": "kZXYSZOeCQEHpCpbiSYmmQ=="}, "Content-Digest"),
        ({"Digest": "SHA-256=abc"}, "Content-Digest"),
    ],
    ids=str,
)
def test_an_upload_of_a_wrong_or_unknown_hash_is_refused(put, nothing_changed, headers, said):
    response = put(headers=headers)
    assert response.status_code == 400
    assert said in response.data["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "nonsense"])
def test_a_compressed_upload_is_refused(put, nothing_changed, encoding):
    response = put(headers={"Content-Encoding": encoding})
    assert (response.status_code, response.data["code"]) == (415, "unsupported_media_type")


def test_part_of_a_file_is_not_taken_for_all_of_it(put, nothing_changed):
    response = put(path="kept", headers={"Content-Range": "bytes 0-6/100"})
    assert (response.status_code, "Content-Range" in response.data["detail"]) == (400, True)


def test_a_zip_bomb_is_kept_as_the_small_file_it_is(put, run, root):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped", b"\0" * 50_000_000)
    response = put(packed.getvalue(), path="bomb.zip")
    assert (response.status_code, response.data["size_bytes"]) == (201, len(packed.getvalue()))
    assert sorted(map(len, kept(root))) == [len(b"as it was"), len(packed.getvalue())]


def test_paths_that_look_alike_are_two_files(put, run):
    """No store and no copy of ours folds case or normalises, so nothing is overwritten."""
    composed, decomposed = (unicodedata.normalize(form, "é한글") for form in ("NFC", "NFD"))
    for path in (composed, decomposed, "Model", "model"):
        assert put(path.encode(), path=path).status_code == 201
    assert {bytes(file.sha256, "ascii") for file in run.artifacts.exclude(path="kept")} == {
        hashlib.sha256(path.encode()).hexdigest().encode()
        for path in (composed, decomposed, "Model", "model")
    }


def test_nothing_is_uploaded_to_a_deleted_run(put, run, root):
    client = make_client("scientist")
    assert client.delete(f"/api/v1/ml/lifecycle/runs/{run.run_id}").status_code == 204
    assert put().status_code == 404
    assert kept(root) == [b"as it was"]


@pytest.mark.django_db(transaction=True)
def test_of_uploads_to_one_path_at_once_one_whole_file_is_kept(run, root):
    token = make_token(make_user("scientist"))
    contents = [bytes([number]) * 300_000 for number in range(8)]
    statuses = []

    def send(content: bytes) -> None:
        try:
            response = Client().generic(
                "PUT",
                f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts/raced",
                content,
                content_type="application/octet-stream",
                headers={"Authorization": f"Bearer {token}"},
            )
            statuses.append(response.status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=[content]) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_old_connections()
    assert sorted(statuses) == [200] * 7 + [201]
    raced = Artifact.objects.get(path="raced")
    (left,) = [content for content in kept(root) if content != b"as it was"]
    assert left in contents
    assert raced.sha256 == hashlib.sha256(left).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("length", ["Content-Length: 100000000", "Transfer-Encoding: chunked"])
def test_a_client_that_goes_away_in_its_upload_leaves_nothing(platform, admin_token, web, length):
    run_id = platform.admin.post("/runs", {"experiment_name": "reliability"})["run_id"]
    store = platform.stack.data_dir / "artifacts" / run_id
    with socket.create_connection(("127.0.0.1", platform.stack.port)) as client:
        client.sendall(
            f"PUT /api/v1/ml/lifecycle/runs/{run_id}/artifacts/a HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {admin_token}\r\n{length}\r\n\r\n".encode()
            + (b"100000\r\n" if "chunked" in length else b"")
            + b"x" * 100_000
        )
        if "chunked" not in length:
            client.sendall(b"x" * 2_000_000)
            wait_until(lambda: list(store.glob("*")), seconds=10, what="the upload has begun")
    wait_until(lambda: not list(store.glob("*")), seconds=10, what="the unfinished file is gone")
    assert platform.admin.get(f"/runs/{run_id}/artifacts")["count"] == 0
