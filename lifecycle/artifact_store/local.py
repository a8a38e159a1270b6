"""Artifacts in a local directory."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import Invalid, NotFound, Unavailable
from core.translation import gettext as _


class LocalStore:
    """One file a key. A file appears by rename once it is whole and on the disk, so no crash leaves half of
    one.
    """

    def __init__(self, root: Path):
        self.root = root

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        path = self._path(key)
        part = path.with_name(f".{path.name}.part")
        with _translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_durably(part, chunks)
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            _sync_directory(path.parent)

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        with _translated():
            try:
                return path.open("rb")
            except FileNotFoundError as error:
                raise NotFound(_("The artifact store has lost this file."), code="content_missing") from error

    def delete(self, key: str) -> None:
        with _translated():
            self._path(key).unlink(missing_ok=True)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def is_empty(self) -> bool:
        return all(path.is_dir() for path in self.root.rglob("*"))

    def _path(self, key: str) -> Path:
        """The file of `key`, with every symbolic link followed: one that leads out of the root is refused."""
        root = self.root.resolve()
        path = (root / key).resolve()
        if root not in path.parents:
            raise Invalid(_("“%(key)s” leads out of the artifact store.") % {"key": key})
        return path


def _write_durably(path: Path, chunks: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            _("The artifact store refused: %(reason)s.") % {"reason": error.strerror or error}
        ) from error
