"""What a backup holds beside the database. Apps join by a class in `settings.BACKUP_PARTS`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.conf import settings
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class StoredFile:
    """Bytes that a row names: their key in the store, and what the row says of them. `label` is for people."""

    key: str
    size_bytes: int
    sha256: str
    label: str


class Part:
    """One app's share in backups. What it does not need stays as it is here.

    `name` is the folder of its files in the archive.
    """

    name = ""

    # -- taking ----------------------------------------------------------------------------------------------

    def files(self) -> Iterator[StoredFile]:
        """What to keep, as the rows of the snapshot say. Called inside it."""
        return iter(())

    def open(self, file: StoredFile) -> BinaryIO:
        """The bytes of a file; the caller closes it. Raises NotFound when they are gone."""
        raise NotImplementedError

    def still_wanted(self, file: StoredFile) -> bool:
        """Whether a row still names the file now that its bytes are gone."""
        return True

    # -- restoring -------------------------------------------------------------------------------------------

    def problem(self) -> str:
        """Why nothing can be restored here, and what to do; empty when nothing stands in the way."""
        return ""

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Keep the bytes of a file."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Take back what `write` kept, if it did."""

    def settle(self) -> Iterator[str]:
        """With rows and files in place: make true again what was true of the old place only. Yields sentences
        for whoever restores.
        """
        return iter(())


def backup_parts() -> list[Part]:
    """Every app's part, in the order of the settings."""
    return [import_string(path)() for path in settings.BACKUP_PARTS]
