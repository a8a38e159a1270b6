"""What every artifact store can do."""

from collections.abc import Iterable
from typing import BinaryIO, Protocol

CHUNK_BYTES = 1024 * 1024


class ArtifactStore(Protocol):
    """Bytes under keys such as `<run id>/<upload id>`.

    A key is written once and never again: a new upload of the same path gets a new key. So whoever reads a
    key reads one upload's bytes from first to last, whatever is uploaded meanwhile. Every method raises
    `Unavailable` when the store cannot be reached or refuses.
    """

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Keep what `chunks` yields under `key`: all of it, or nothing when `chunks` raises."""

    def open(self, key: str) -> BinaryIO:
        """A readable stream; the caller closes it. Raises `NotFound` when nothing lies there."""

    def delete(self, key: str) -> None:
        """Remove what lies under `key`, if anything."""

    def exists(self, key: str) -> bool:
        """Whether something lies under `key`."""

    def is_empty(self) -> bool:
        """Whether nothing lies under any key."""
