"""The archive file of backups: whole or not there, and nothing in it leads anywhere else."""

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.operations.backups import BackupError
from core.operations.backups.archive import FORMAT, ArchiveReader, ArchiveWriter
from core.operations.backups.errors import FileDiffers

CONTENT = {"artifacts/a": b"a" * 3_000_000, "artifacts/b": b"", "database/t/000001.jsonl.gz": b"rows"}


@pytest.fixture
def archive(tmp_path) -> Path:
    path = tmp_path / "backup.tar"
    with ArchiveWriter(path) as writer:
        for name, content in CONTENT.items():
            writer.add_bytes(name, content)
        writer.finish({"release": "0.1.0"})
    return path


def rewritten(archive: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> Path:
    """A copy of the archive with its members changed."""
    with tarfile.open(archive) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    change(members)
    copy = archive.with_name("changed.tar")
    with tarfile.open(copy, "w") as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return copy


def test_what_was_written_is_read(archive):
    reader = ArchiveReader(archive)

    reader.verify()

    assert reader.manifest["format"] == FORMAT
    found = {member.name: member.stream.read() for member in reader.members()}
    assert {name: found[name] for name in CONTENT} == CONTENT


def test_it_is_its_owners_alone(archive):
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600


def test_a_backup_that_breaks_leaves_nothing_behind(tmp_path):
    with pytest.raises(FileDiffers), ArchiveWriter(tmp_path / "backup.tar") as writer:
        writer.add("artifacts/a", io.BytesIO(b"short"), size=6)

    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(archive):
    before = archive.read_bytes()

    with pytest.raises(BackupError, match="exists already"), ArchiveWriter(archive):
        pass

    assert archive.read_bytes() == before


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "backup.tar"
    with ArchiveWriter(path) as writer:
        path.write_text("somebody else's")
        with pytest.raises(BackupError, match="appeared meanwhile"):
            writer.finish({})

    assert [file.read_text() for file in tmp_path.iterdir()] == ["somebody else's"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BackupError, match="missing: No such file"), ArchiveWriter(tmp_path / "missing" / "b"):
        pass


@pytest.mark.parametrize(
    ("content", "why"), [(b"shor", "shorter"), (b"longer", "longer"), (b"other", "SHA-256")]
)
def test_a_file_that_differs_from_its_row_is_refused_and_leaves_no_trace(tmp_path, content, why):
    path = tmp_path / "backup.tar"
    with ArchiveWriter(path) as writer:
        writer.add_bytes("artifacts/a", b"a")
        with pytest.raises(FileDiffers, match=why):
            writer.add("artifacts/b", io.BytesIO(content), 5, sha256="0" * 64)
        writer.add_bytes("artifacts/c", b"c")
        writer.finish({})

    reader = ArchiveReader(path)
    reader.verify()
    assert [member.name for member in reader.members()][:2] == ["artifacts/a", "artifacts/c"]


@pytest.mark.parametrize("kept", [0, 100, 512, 1_000_000, 3_003_000])
def test_an_archive_that_was_cut_off_is_no_backup(archive, kept):
    os.truncate(archive, kept)

    with pytest.raises(BackupError, match="no whole backup|damaged"):
        ArchiveReader(archive).verify()


def test_every_flipped_byte_is_found(archive):
    """In headers, contents, index and manifest alike: one in every 50,000, and all over the small members."""
    whole = archive.read_bytes()
    reader = ArchiveReader(archive)
    expected = [(member.name, member.stream.read()) for member in reader.members()]
    for position in [*range(0, 3_000_000, 50_000), *range(3_001_344, len(whole) - 10240, 37)]:
        archive.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        try:
            damaged = ArchiveReader(archive)
            damaged.verify()
        except BackupError:
            continue
        # Bytes that say nothing: owner, time, padding. What is read is what was written.
        found = [(member.name, member.stream.read()) for member in damaged.members()]
        assert found[:-1] == expected[:-1], position


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/outside", "artifacts/../../outside", "artifacts//a", "a\\b", "a\nb", "."]
)
def test_a_member_that_leads_outside_is_refused(archive, name):
    hostile = rewritten(archive, lambda members: members.insert(0, (tarfile.TarInfo(name), b"hostile")))

    with pytest.raises(BackupError, match="no plain relative path"):
        ArchiveReader(hostile)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
def test_links_folders_and_devices_are_refused(archive, kind):
    member = tarfile.TarInfo("artifacts/passwd")
    member.type, member.linkname = kind, "/etc/passwd"

    with pytest.raises(BackupError, match="a link, a folder or a device"):
        ArchiveReader(rewritten(archive, lambda members: members.insert(0, (member, b""))))


def test_a_member_that_the_index_does_not_name_is_refused(archive):
    added = rewritten(archive, lambda members: members.insert(1, (tarfile.TarInfo("artifacts/x"), b"x")))

    with pytest.raises(BackupError, match="“artifacts/x” is not what was written"):
        ArchiveReader(added).verify()


def test_a_member_that_is_gone_is_named(archive):
    gone = rewritten(archive, lambda members: members.pop(2))

    with pytest.raises(BackupError, match="000001.jsonl.gz” is missing"):
        ArchiveReader(gone).verify()


def test_an_index_that_was_changed_is_refused(archive):
    def forge(members):
        members[0] = (members[0][0], b"other")
        index = [json.loads(line) for line in members[-2][1].splitlines()]
        index[0]["sha256"] = "0" * 64
        members[-2] = (members[-2][0], b"\n".join(json.dumps(line).encode() for line in index))

    with pytest.raises(BackupError, match="its list of files"):
        ArchiveReader(rewritten(archive, forge)).verify()


def test_what_follows_the_manifest_is_refused(archive):
    longer = rewritten(archive, lambda members: members.append((tarfile.TarInfo("artifacts/x"), b"x")))

    with pytest.raises(BackupError, match="does not end with a manifest"):
        ArchiveReader(longer)


def test_another_file_is_no_backup(tmp_path):
    (tmp_path / "notes.txt").write_text("notes " * 1000)

    with pytest.raises(BackupError, match="damaged"):
        ArchiveReader(tmp_path / "notes.txt")
    with pytest.raises(BackupError, match="There is no file"):
        ArchiveReader(tmp_path / "none")
    with pytest.raises(BackupError, match="cannot be read: Is a directory"):
        ArchiveReader(tmp_path)
