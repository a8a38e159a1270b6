"""Artifact paths and the local artifact store. The S3 store has tests of its own, against a server."""

from pathlib import Path

import pytest

from core.errors import Invalid, NotFound, Unavailable
from lifecycle.artifact_store import artifact_store
from lifecycle.artifact_store.local import LocalStore
from lifecycle.artifact_store.paths import check_artifact_path
from lifecycle.artifact_store.s3 import ChunkReader, S3Store


@pytest.fixture
def store(tmp_path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def files_in(store: LocalStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "path", ["MLmodel", "model/MLmodel", "a b/ü.txt", "한글/모델.onnx", "...", "100%.txt", ".hidden"]
)
def test_a_plain_relative_path_is_taken(path):
    assert check_artifact_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/.",
        "a/ .. /b",
        "a//b",
        "a/",
        "a\\b",
        "..\\x",
        "a?b",
        "a#b",
        "a\x00b",
        "a\nb",
        "a\x7fb",
        "\x85",
        "\ud800",
        "%2e%2e/x",
        "%2E%2E%2Fx",
        "a%2fb",
        "a%5cb",
        "a%00b",
        "%252e%252e",
        " a",
        "a /b",
        "n" * 256,
        "한" * 86,
        "n/" * 500 + "n",
    ],
)
def test_a_path_that_could_mean_another_file_is_refused(path):
    with pytest.raises(Invalid) as refusal:
        check_artifact_path(path)
    assert "path" in refusal.value.fields


def test_what_is_written_is_read(store):
    store.write("run/1", [b"one ", b"two"])
    with store.open("run/1") as file:
        assert file.read() == b"one two"
    assert store.exists("run/1")


def test_an_empty_file_is_a_file(store):
    store.write("run/1", [])
    assert store.open("run/1").read() == b""


def test_a_write_that_breaks_leaves_nothing(store):
    def broken():
        yield b"half"
        raise Invalid("cut short")

    with pytest.raises(Invalid):
        store.write("run/1", broken())
    assert not store.exists("run/1")
    assert files_in(store) == []


def test_deleting_twice_is_deleting(store):
    store.write("run/1", [b"x"])
    store.delete("run/1")
    store.delete("run/1")
    assert not store.exists("run/1")


def test_what_is_not_there_is_not_found(store):
    with pytest.raises(NotFound):
        store.open("run/1")


@pytest.mark.parametrize("key", ["../outside", "/etc/passwd", "run/../../outside", "", "."])
def test_a_key_that_leads_out_of_the_root_is_refused(store, key):
    with pytest.raises(Invalid):
        store.write(key, [b"x"])
    with pytest.raises(Invalid):
        store.open(key)


def test_a_symbolic_link_out_of_the_root_is_refused(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    store.root.mkdir()
    (store.root / "run").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")
    for key in ("run/secret", "file"):
        with pytest.raises(Invalid):
            store.open(key)
    with pytest.raises(Invalid):
        store.write("run/new", [b"x"])
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_a_root_that_is_itself_a_link_works(store, tmp_path):
    (tmp_path / "disk").mkdir()
    store.root.symlink_to(tmp_path / "disk")
    store.write("run/1", [b"x"])
    assert store.open("run/1").read() == b"x"


def test_a_store_that_cannot_write_says_why(store):
    store.root.parent.mkdir(exist_ok=True)
    store.root.write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="The artifact store refused"):
        store.write("run/1", [b"x"])


def test_the_setting_chooses_the_store(settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)
    assert artifact_store().root == tmp_path
    settings.ARTIFACT_ROOT = "s3://bucket/some/prefix/"
    settings.ARTIFACT_S3_ENDPOINT_URL = "http://127.0.0.1:9"
    store = artifact_store()
    assert isinstance(store, S3Store)
    assert (store.bucket, store.prefix, store.endpoint_url) == ("bucket", "some/prefix", "http://127.0.0.1:9")


@pytest.mark.parametrize("size", [1, 3, 7, -1])
def test_chunks_read_as_a_file(size):
    reader = ChunkReader([b"ab", b"", b"cdefg", b"h"])
    parts = []
    while part := reader.read(size):
        parts.append(part)
    assert b"".join(parts) == b"abcdefgh"
    assert size < 0 or {len(part) for part in parts[:-1]} <= {size}


def test_a_store_is_empty_until_something_lies_in_it(store):
    assert store.is_empty()

    store.write("run/file", [b"content"])
    assert not store.is_empty()

    store.delete("run/file")
    assert store.is_empty(), "folders are nothing"
