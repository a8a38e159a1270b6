"""Upload files to runs and to logged models.

An upload streams into a key of its own; only once it is whole, and of the size and hash it was said to have,
does the file's row move to that key, in one transaction with what the change means for registered versions.
The old bytes go after the commit. So the row and the bytes always agree, whatever breaks in between; at worst
bytes that no row names are left behind.
"""

import hashlib
import mimetypes
import re
import uuid
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.db import transaction

from core.errors import Conflict, Invalid, NotFound, TooLarge
from core.lookups import one_or_none
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.artifact_store import artifact_store
from lifecycle.artifact_store.paths import check_artifact_path
from lifecycle.models import Artifact
from lifecycle.models.artifacts import FileOwner
from lifecycle.operations.registry import files_changed

SHA256 = re.compile(r"[0-9a-f]{64}")
UNKNOWN_TYPE = "application/octet-stream"


def upload(
    *,
    actor: User | None,
    owner: FileOwner,
    path: str,
    chunks: Iterable[bytes],
    size_bytes: int | None = None,
    sha256: str | None = None,
) -> tuple[Artifact, bool]:
    """Keep a file of a run or a logged model, new or in place of an old one; returns it and whether it is new.

    `size_bytes` and `sha256` are what the sender says; either may be unknown. Raises Invalid for a path that
    is not plain, or content that is not what was said; TooLarge over ARTIFACT_MAX_BYTES; Conflict where a
    folder lies. Nothing is kept when it raises.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_artifact_path(path)
    _refuse_clash(owner, path)
    content = MeasuredContent(chunks, size_bytes=size_bytes, sha256=sha256)
    key = f"{owner.storage_folder}/{uuid.uuid4().hex}"
    store = artifact_store()
    store.write(key, content)
    try:
        return _publish(actor, owner, path, key, content)
    except BaseException:
        store.delete(key)
        raise


class MeasuredContent:
    """Chunks on their way to the store: counted, hashed, and stopped when they are not what they should
    be.
    """

    def __init__(self, chunks: Iterable[bytes], *, size_bytes: int | None = None, sha256: str | None = None):
        if sha256 is not None and not SHA256.fullmatch(sha256):
            raise Invalid(_("A SHA-256 is 64 hexadecimal digits in lower case."))
        self.chunks = chunks
        self.expected_size = size_bytes
        self.expected_sha256 = sha256
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._refuse_large(size_bytes or 0)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            self.size_bytes += len(chunk)
            self._refuse_large(self.size_bytes)
            self._digest.update(chunk)
            yield chunk
        if self.expected_size not in (None, self.size_bytes):
            raise Invalid(
                _("The upload was cut short: %(got)s of %(expected)s bytes arrived. Nothing was kept.")
                % {"got": self.size_bytes, "expected": self.expected_size}
            )
        if self.expected_sha256 not in (None, self.sha256):
            raise Invalid(
                _("The content's SHA-256 is %(got)s, not %(expected)s. Nothing was kept.")
                % {"got": self.sha256, "expected": self.expected_sha256}
            )

    def _refuse_large(self, size: int) -> None:
        if size > settings.ARTIFACT_MAX_BYTES:
            raise TooLarge(
                _("A file has at most %(limit)s bytes here (ARTIFACT_MAX_BYTES).")
                % {"limit": settings.ARTIFACT_MAX_BYTES}
            )


@transaction.atomic
def _publish(
    actor: User | None, owner: FileOwner, path: str, key: str, content: MeasuredContent
) -> tuple[Artifact, bool]:
    if type(owner).objects.locked(owner.pk).deleted_at is not None:
        raise NotFound(_("%s was deleted meanwhile.") % owner)
    _refuse_clash(owner, path)
    before = one_or_none(owner.artifacts.filter(path=path))
    changed = before is None or before.sha256 != content.sha256
    if before and not changed and artifact_store().exists(before.storage_key):
        # Sent again, as clients do that had no answer: whoever reads the file now is not disturbed.
        transaction.on_commit(lambda: artifact_store().delete(key), robust=True)
        return before, False
    artifact, created = owner.artifacts.update_or_create(
        path=path,
        defaults={
            "artifact_type": _media_type(path),
            "size_bytes": content.size_bytes,
            "sha256": content.sha256,
            "storage_key": key,
            # Whoever brought this content first had a hand in it; sending it again does not take that from
            # them.
            "uploaded_by": actor if before is None or changed else before.uploaded_by,
        },
    )
    if before and changed:
        audit.record(
            actor=actor,
            action="artifact.replace",
            target=artifact,
            domain=Domain.LIFECYCLE,
            changes={"path": path, "sha256": [before.sha256, content.sha256]},
        )
    if before:
        transaction.on_commit(lambda: artifact_store().delete(before.storage_key), robust=True)
    if changed:
        files_changed(owner=owner, path=path, actor=actor)
    return artifact, created


def _media_type(path: str) -> str:
    guessed, compression = mimetypes.guess_type(path)
    return guessed if guessed and not compression else UNKNOWN_TYPE


def _refuse_clash(owner: FileOwner, path: str) -> None:
    """A name is a file or a folder, not both: the copy that a model process reads could not hold them."""
    parents = [path[:index] for index, character in enumerate(path) if character == "/"]
    if owner.artifacts.under(path).exists():
        raise Conflict(_("“%(path)s” is a folder.") % {"path": path})
    if parent := owner.artifacts.filter(path__in=parents).first():
        raise Conflict(_("“%(path)s” is a file, not a folder.") % {"path": parent.path})
