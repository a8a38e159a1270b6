"""One tar file, written and read as a stream. Nothing here is ever extracted by name."""

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

from core.operations.backups.errors import BackupError, FileDiffers

FORMAT = 1
INDEX = "files.jsonl"
MANIFEST = "manifest.json"
# A manifest names tables and what was missing: kilobytes. More is not ours.
MANIFEST_MAX_BYTES = 64 * 1024**2
CHUNK_BYTES = 1024**2


class HashedStream:
    """Reads exactly `size` bytes of a stream and hashes them. Raises FileDiffers when it ends before."""

    def __init__(self, stream: Any, size: int):
        self._stream = stream
        self._left = size
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        parts = []
        while wanted:
            part = self._stream.read(wanted)
            if not part:
                raise FileDiffers("it is shorter than its row says")
            parts.append(part)
            wanted -= len(part)
        data = b"".join(parts)
        self._left -= len(data)
        self._digest.update(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            yield self.read(CHUNK_BYTES)


class ArchiveWriter:
    """Writes under a temporary name, and gives the file its own once it is whole and on the disk.

    So a backup that was cut off is never mistaken for one. It is readable by its owner only: it holds all that the
    platform knows. Leaving the block by an exception removes what was written.
    """

    def __init__(self, destination: Path):
        self.destination = destination

    def __enter__(self) -> "ArchiveWriter":
        folder = self.destination.parent
        try:
            # lexists: a link that leads nowhere would be replaced as well
            if os.path.lexists(self.destination):
                raise BackupError(f"{self.destination} exists already. Name a file that does not.")
            handle, name = tempfile.mkstemp(
                dir=folder, prefix=f".{self.destination.name}.", suffix=".partial"
            )
            self._file = os.fdopen(handle, "w+b")
            self._partial = Path(name)
            self._index: IO[bytes] = tempfile.TemporaryFile(dir=folder)
        except OSError as error:
            raise BackupError(f"Nothing can be written into {folder}: {error.strerror}.") from error
        self._tar = tarfile.open(fileobj=self._file, mode="w")
        self._taken_at = int(time.time())
        return self

    def __exit__(self, *exception: object) -> None:
        self._index.close()
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def add(self, name: str, stream: Any, size: int, *, sha256: str | None = None) -> None:
        """Append a member of exactly `size` bytes. Raises FileDiffers, and keeps nothing of it, when the stream has
        others than `size` and `sha256` say.
        """
        start = self._tar.offset
        content = HashedStream(stream, size)
        try:
            self._append(name, content, size)
            if stream.read(1):
                raise FileDiffers("it is longer than its row says")
            if sha256 not in (None, content.sha256):
                raise FileDiffers("its SHA-256 is not what its row says")
        except FileDiffers:
            self._tar.offset = start
            self._file.seek(start)
            self._file.truncate()
            raise
        line = json.dumps({"name": name, "size": size, "sha256": content.sha256})
        self._index.write(f"{line}\n".encode())

    def add_bytes(self, name: str, data: bytes) -> None:
        self.add(name, io.BytesIO(data), len(data))

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write index and manifest, and let the file appear under its name."""
        size = self._index.tell()
        self._index.seek(0)
        index = HashedStream(self._index, size)
        self._append(INDEX, index, size)
        text = json.dumps({"format": FORMAT, **manifest, "index_sha256": index.sha256}, indent=1).encode()
        self._append(MANIFEST, io.BytesIO(text), len(text))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        if os.path.lexists(self.destination):
            raise BackupError(f"{self.destination} appeared meanwhile. Nothing was kept; name another file.")
        self._partial.rename(self.destination)
        sync_folder(self.destination.parent)

    def _append(self, name: str, stream: Any, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, self._taken_at
        self._tar.addfile(member, stream)
        _forget_members(self._tar)


@dataclass(frozen=True)
class Member:
    """One file of an archive. `stream` is good until the next one is asked for."""

    name: str
    size: int
    stream: IO[bytes]


class ArchiveReader:
    """An archive as it lies there. `manifest` is what it says of itself; `verify` whether that is true."""

    def __init__(self, source: Path):
        self.source = source
        self.manifest = self._read_manifest()

    def members(self) -> Iterator[Member]:
        """Every file in order, the index and the manifest included. Raises BackupError for anything but plain files
        under plain relative names.
        """
        with self._translated(), self.source.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                _forget_members(tar)
                check_name(member.name)
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise BackupError(
                        f"{self.source} is not used: “{member.name}” in it is a link, a folder or a device."
                    )
                yield Member(member.name, member.size, stream)

    def verify(self) -> None:
        """Hash every member and compare. Raises BackupError at the first that is not what the index says."""
        with tempfile.TemporaryFile() as index:
            self._copy_index(index)
            expected = (json.loads(line) for line in index)
            for member in self.members():
                if member.name in (INDEX, MANIFEST):
                    continue
                with self._translated():
                    entry = next(expected, None)
                    found = HashedStream(member.stream, member.size)
                    for _chunk in found:
                        pass
                    if entry != {"name": member.name, "size": member.size, "sha256": found.sha256}:
                        raise self._damaged(f"“{member.name}” is not what was written")
            if left := next(expected, None):
                raise self._damaged(f"“{left.get('name')}” is missing")

    def _copy_index(self, copy: BinaryIO) -> None:
        for member in self.members():
            if member.name == INDEX:
                with self._translated():
                    content = HashedStream(member.stream, member.size)
                    copy.writelines(content)
                if content.sha256 != self.manifest.get("index_sha256"):
                    raise self._damaged("its list of files is not what was written")
        copy.seek(0)

    def _read_manifest(self) -> dict[str, Any]:
        last = content = None
        for member in self.members():
            last = member.name
            if member.name == MANIFEST:
                if member.size > MANIFEST_MAX_BYTES:
                    raise self._damaged("its manifest is far too large")
                content = member.stream.read()
        if content is None or last != MANIFEST:
            raise BackupError(
                f"{self.source} is no whole backup: it does not end with a manifest. "
                "It was cut off, or is another file."
            )
        with self._translated():
            manifest = json.loads(content)
            if not isinstance(manifest, dict) or type(manifest.get("format")) is not int:
                raise self._damaged("its manifest is not one of ours")
            return manifest

    def _damaged(self, why: str) -> BackupError:
        return BackupError(f"{self.source} is damaged: {why}. Use another backup; nothing was restored.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise BackupError(f"There is no file {self.source}.") from error
        except (tarfile.TarError, EOFError, ValueError, FileDiffers) as error:
            raise self._damaged(str(error)) from error
        except OSError as error:
            raise BackupError(f"{self.source} cannot be read: {error.strerror or error}.") from error


def _forget_members(tar: tarfile.TarFile) -> None:
    """A tar file in Python's library remembers every member, for a listing that nobody asks for here."""
    tar.members = []  # type: ignore[attr-defined]


def check_name(name: str) -> None:
    """Raise BackupError unless `name` is a plain relative path that leads nowhere else."""
    if "\\" in name or not name.isprintable() or any(part in ("", ".", "..") for part in name.split("/")):
        raise BackupError(f"The backup is not used: “{name[:200]!a}” in it is no plain relative path.")


def sync_folder(folder: Path) -> None:
    """Have the disk remember the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
