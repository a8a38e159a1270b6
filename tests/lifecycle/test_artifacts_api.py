"""/runs/{run_id}/artifacts, over the local store."""

import hashlib
import io
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from core.errors import Conflict, Invalid
from core.models import AuditEvent
from lifecycle.models import Artifact, ModelVersion
from lifecycle.operations import uploads
from lifecycle.operations.artifacts import fetch_model, model_files
from lifecycle.operations.model_files import content_sha256
from tests.factories import make_client, make_file, make_registered, make_run, make_version

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def root(settings, tmp_path) -> Path:
    settings.ARTIFACT_ROOT = str(tmp_path / "artifacts")
    return tmp_path / "artifacts"


@pytest.fixture
def run():
    return make_run()


@pytest.fixture
def url(run) -> str:
    return f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts"


@pytest.fixture
def scientist() -> APIClient:
    return make_client("scientist")


def put(client: APIClient, path: str, content: bytes = b"content", **extra):
    return client.generic("PUT", path, content, content_type="application/octet-stream", **extra)


def kept(root: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in root.rglob("*") if path.is_file())


def body(response) -> bytes:
    return b"".join(response.streaming_content)


def test_a_file_comes_back_as_it_was_sent(scientist, url, run):
    content = bytes(range(256)) * 9000
    sent = put(scientist, f"{url}/model/weights.bin", content)
    assert sent.status_code == 201
    assert sent.data["sha256"] == hashlib.sha256(content).hexdigest()
    assert (sent.data["name"], sent.data["path"], sent.data["size_bytes"]) == (
        "weights.bin",
        "model/weights.bin",
        len(content),
    )
    got = scientist.get(f"{url}/model/weights.bin")
    assert body(got) == content
    assert got["Content-Length"] == str(len(content))
    assert Artifact.objects.get().uploaded_by == scientist.user
    assert not AuditEvent.objects.exists()


def test_the_uri_of_a_file_is_where_it_is(scientist, url, settings):
    uri = put(scientist, f"{url}/한글 이름.txt").data["uri"]
    assert uri.startswith(settings.PUBLIC_URL)
    assert body(scientist.get(uri.removeprefix(settings.PUBLIC_URL))) == b"content"


def test_a_browser_saves_a_file_and_runs_nothing_in_it(scientist, url):
    put(scientist, f"{url}/report.html", b"<script>alert(1)</script>")
    got = scientist.get(f"{url}/report.html")
    assert got["Content-Disposition"] == 'attachment; filename="report.html"'
    assert got["X-Content-Type-Options"] == "nosniff"
    assert got["Content-Type"] == "text/html"


def test_a_file_that_the_reader_has_is_not_sent_again(scientist, url):
    put(scientist, f"{url}/a")
    etag = scientist.get(f"{url}/a")["ETag"]
    assert etag == f'"{hashlib.sha256(b"content").hexdigest()}"'
    assert scientist.get(f"{url}/a", headers={"If-None-Match": etag}).status_code == 304
    put(scientist, f"{url}/a", b"other")
    assert scientist.get(f"{url}/a", headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("get", "/a"), ("put", "/a")])
def test_artifacts_need_a_sign_in(url, method, path):
    assert getattr(APIClient(), method)(f"{url}{path}").status_code == 401


@pytest.mark.parametrize(
    "who",
    [{"roles": ["viewer"]}, {"roles": ["approver"]}, {"roles": ["scientist"], "read_only": True}],
    ids=str,
)
def test_everybody_reads_and_only_authors_upload(who, run, url, root):
    make_file(run, "a", b"mine")
    client = make_client(*who.pop("roles"), **who)
    assert client.get(url).status_code == 200
    assert body(client.get(f"{url}/a")) == b"mine"
    assert put(client, f"{url}/a").status_code == 403
    assert kept(root) == [b"mine"]


def test_a_file_is_replaced_whole_and_the_old_bytes_go(
    scientist, url, run, root, django_capture_on_commit_callbacks
):
    put(scientist, f"{url}/a", b"old")
    reader = scientist.get(f"{url}/a")
    with django_capture_on_commit_callbacks(execute=True):
        assert put(scientist, f"{url}/a", b"new").status_code == 200
    assert body(reader) == b"old"
    assert kept(root) == [b"new"]
    assert run.artifacts.get().size_bytes == 3


def test_sending_the_same_content_again_leaves_its_uploader(scientist, url, run):
    author = make_client("scientist")
    put(author, f"{url}/a", b"same")
    put(scientist, f"{url}/a", b"same")
    assert run.artifacts.get().uploaded_by == author.user
    put(scientist, f"{url}/a", b"other")
    assert run.artifacts.get().uploaded_by == scientist.user


def test_sending_the_same_content_again_disturbs_nobody_who_reads_it(
    scientist, url, run, root, django_capture_on_commit_callbacks
):
    put(scientist, f"{url}/a", b"same")
    before = run.artifacts.get().storage_key
    with django_capture_on_commit_callbacks(execute=True):
        assert put(scientist, f"{url}/a", b"same").status_code == 200
    assert run.artifacts.get().storage_key == before
    assert kept(root) == [b"same"]


def test_sending_the_same_content_again_brings_back_what_the_store_lost(scientist, url, root):
    put(scientist, f"{url}/a", b"same")
    next(file for file in root.rglob("*") if file.is_file()).unlink()
    assert put(scientist, f"{url}/a", b"same").status_code == 200
    assert body(scientist.get(f"{url}/a")) == b"same"


def test_an_upload_that_is_cut_short_keeps_nothing(scientist, url, root):
    put(scientist, f"{url}/a", b"whole")
    response = put(scientist, f"{url}/a", b"", **{"wsgi.input": io.BytesIO(b"half"), "CONTENT_LENGTH": "100"})
    assert (response.status_code, "4 of 100 bytes" in response.data["detail"]) == (400, True)
    assert kept(root) == [b"whole"]


def test_a_connection_that_breaks_keeps_nothing(scientist, url, root):
    class Broken(io.RawIOBase):
        def __init__(self):
            self.chunks = [b"half"]

        def read(self, size=-1):
            if not self.chunks:
                raise ConnectionResetError("gone")
            return self.chunks.pop()

    response = put(scientist, f"{url}/a", b"", **{"wsgi.input": Broken(), "CONTENT_LENGTH": "100"})
    assert response.status_code == 400
    assert kept(root) == []
    assert not Artifact.objects.exists()


def test_a_chunked_body_is_taken_up_to_the_limit(scientist, url, settings, root):
    settings.ARTIFACT_MAX_BYTES = 10

    def chunked(content: bytes):
        extra = {"wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
        return put(scientist, f"{url}/a", b"", **extra)

    assert chunked(b"x" * 11).status_code == 413
    assert kept(root) == []
    assert chunked(b"").data["size_bytes"] == 0
    assert chunked(b"x" * 10).data["size_bytes"] == 10


def test_a_large_body_is_never_whole_in_memory(scientist, url):
    sizes = []

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            sizes.append(size)
            return b"x" * size

    length = 20 * 1024 * 1024
    response = put(scientist, f"{url}/a", b"", **{"wsgi.input": Endless(), "CONTENT_LENGTH": str(length)})
    assert response.data["size_bytes"] == length
    assert max(sizes) <= 1024 * 1024


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "a/../../b",
        "..",
        "%2e%2e/a",
        "%2e%2e%2fa",
        "%252e%252e/a",
        "a%252fb",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "a%3Fb",
        "a%23b",
        "a%5Cb",
        "..%5Ca",
        "a%00b",
        "a%0Ab",
        "a//b",
        "n" * 1001,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_path_that_is_not_plain_is_refused(scientist, url, root, method, path):
    response = scientist.generic(method, f"{url}/{path}", b"x", content_type="application/octet-stream")
    assert (response.status_code, list(response.data["fields"])) == (400, ["path"])
    assert not root.exists()


def test_a_name_is_a_file_or_a_folder(scientist, url, root):
    put(scientist, f"{url}/model/MLmodel")
    assert put(scientist, f"{url}/model").status_code == 409
    assert put(scientist, f"{url}/model/MLmodel/deep/er").status_code == 409
    assert put(scientist, f"{url}/MODEL").status_code == 201
    assert len(kept(root)) == 2


def test_what_breaks_after_the_bytes_are_written_takes_them_along(scientist, run, root, monkeypatch):
    def refuse(**_change):
        raise Conflict("not now")

    monkeypatch.setattr(uploads, "files_changed", refuse)
    with pytest.raises(Conflict):
        make_file(run, "a")
    assert kept(root) == []
    assert not Artifact.objects.exists()


def test_a_listing_shows_one_folder(scientist, url, run):
    for path in (
        "model/MLmodel",
        "model/data/x.bin",
        "model/data/y.bin",
        "b.txt",
        "A.txt",
        "model2/z",
        "Model/q",
    ):
        make_file(run, path, b"1234")
    make_file(make_run(), "model/other", b"x")
    top = scientist.get(url).json()
    assert [entry["name"] for entry in top["results"]][:3] in (
        ["Model", "model", "model2"],
        ["model", "Model", "model2"],
    )
    assert {entry["name"] for entry in top["results"] if not entry["is_folder"]} == {"A.txt", "b.txt"}
    model = scientist.get(f"{url}?path=model").json()
    assert model["count"] == 2
    assert model["results"][0] == {
        "name": "data", "path": "model/data", "is_folder": True, "files": 2, "size_bytes": 8,
    }  # fmt: skip
    assert (model["results"][1]["path"], model["results"][1]["size_bytes"]) == ("model/MLmodel", 4)
    data = scientist.get(f"{url}?path=model/data").json()["results"]
    assert [entry["name"] for entry in data] == ["x.bin", "y.bin"]


def test_a_listing_is_paged_and_bounded(scientist, url, run, django_assert_max_num_queries):
    for number in range(12):
        make_file(run, f"f{number:02}")
    with django_assert_max_num_queries(7):
        page = scientist.get(f"{url}?limit=5&offset=5").json()
    assert page["count"] == 12
    assert [entry["name"] for entry in page["results"]] == ["f05", "f06", "f07", "f08", "f09"]
    assert page["next"]
    assert page["previous"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("path=..", 400),
        ("path=/", 400),
        ("path=a%00", 400),
        ("path=nothing", 404),
        ("folder=a", 400),
        ("limit=0", 400),
    ],
)
def test_a_listing_that_means_nothing_is_refused(scientist, url, query, status):
    assert scientist.get(f"{url}?{query}").status_code == status


def test_a_file_of_another_run_is_not_found(scientist, url):
    make_file(make_run(), "a")
    assert scientist.get(f"{url}/a").status_code == 404


def test_a_file_that_the_store_lost_is_told_apart(scientist, url, root):
    put(scientist, f"{url}/a")
    next(path for path in root.rglob("*") if path.is_file()).unlink()
    response = scientist.get(f"{url}/a")
    assert (response.status_code, response.data["code"]) == (404, "content_missing")


def test_an_upload_into_a_registered_version_changes_its_hash(scientist):
    version = make_registered()
    path = f"/api/v1/ml/lifecycle/runs/{version.run.run_id}/artifacts"
    before = version.content_sha256
    put(scientist, f"{path}/elsewhere/file")
    assert ModelVersion.objects.get().content_sha256 == before
    put(scientist, f"{path}/model/extra")
    assert ModelVersion.objects.get().content_sha256 != before


def make_fetchable_version(files: dict[str, bytes]) -> ModelVersion:
    run = make_run()
    for path, content in files.items():
        make_file(run, path, content)
    make_file(run, "models/not-this", b"x")
    sha256 = content_sha256(model_files(run, "model"), "model")
    return make_version(run=run, created_by=run.created_by, artifact_path="model", content_sha256=sha256)


def test_a_model_is_fetched_with_exactly_its_files(tmp_path):
    version = make_fetchable_version({"model/MLmodel": b"flavors", "model/data/w.bin": b"weights"})
    fetch_model(version, tmp_path / "copy")
    copied = {
        str(path.relative_to(tmp_path / "copy")): path.read_bytes()
        for path in (tmp_path / "copy").rglob("*.*")
    }
    assert copied == {"data/w.bin": b"weights"}
    assert (tmp_path / "copy" / "MLmodel").read_bytes() == b"flavors"
    assert not (tmp_path / "copy" / "not-this").exists()


def test_a_file_that_was_tampered_with_is_not_fetched(tmp_path, root):
    version = make_fetchable_version({"model/MLmodel": b"flavors"})
    next(path for path in root.rglob("*") if path.is_file() and path.read_bytes() == b"flavors").write_bytes(
        b"evil!!!"
    )
    with pytest.raises(Conflict, match="model/MLmodel"):
        fetch_model(version, tmp_path / "copy")


def test_a_file_that_is_gone_is_named(tmp_path, root):
    version = make_fetchable_version({"model/MLmodel": b"flavors"})
    next(path for path in root.rglob("*") if path.is_file() and path.read_bytes() == b"flavors").unlink()
    with pytest.raises(Conflict, match="model/MLmodel"):
        fetch_model(version, tmp_path / "copy")


def test_files_other_than_those_registered_are_not_fetched(tmp_path):
    version = make_fetchable_version({"model/MLmodel": b"flavors"})
    Artifact.objects.filter(path="model/MLmodel").update(sha256="0" * 64)
    with pytest.raises(Conflict, match="not those registered"):
        fetch_model(version, tmp_path / "copy")


def test_a_row_with_a_path_that_leads_out_is_not_fetched(tmp_path):
    version = make_fetchable_version({"model/MLmodel": b"flavors"})
    Artifact.objects.filter(path="model/MLmodel").update(path="model/../../out")
    version.content_sha256 = content_sha256(model_files(version.run, "model"), "model")
    with pytest.raises(Invalid):
        fetch_model(version, tmp_path / "copy")
    assert not (tmp_path / "out").exists()
