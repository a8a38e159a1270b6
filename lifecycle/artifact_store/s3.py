"""Artifacts in an S3-compatible bucket. Credentials come from the usual AWS environment."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, BinaryIO, cast

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import NotFound, Unavailable
from core.translation import gettext as _

PART_BYTES = 16 * 1024 * 1024
MISSING = frozenset({"NoSuchKey", "404"})


class S3Store:
    """One object a key. Large files go up in parts, one in memory at a time; a broken upload is aborted."""

    transfer = TransferConfig(
        multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
    )

    def __init__(self, *, bucket: str, prefix: str = "", endpoint_url: str = ""):
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        self.endpoint_url = endpoint_url

    @cached_property
    def client(self) -> Any:
        # Checksums only where S3 demands them: other servers of the protocol do not know the newer ones, and
        # every artifact carries its SHA-256 anyway.
        config = Config(
            connect_timeout=5,
            retries={"max_attempts": 2, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return boto3.Session().client("s3", endpoint_url=self.endpoint_url or None, config=config)

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        with self._translated():
            self.client.upload_fileobj(ChunkReader(chunks), self.bucket, self._key(key), Config=self.transfer)

    def open(self, key: str) -> BinaryIO:
        with self._translated():
            body = self.client.get_object(Bucket=self.bucket, Key=self._key(key))["Body"]
        return cast(BinaryIO, ObjectReader(body, self))

    def delete(self, key: str) -> None:
        with self._translated():
            self.client.delete_object(Bucket=self.bucket, Key=self._key(key))

    def exists(self, key: str) -> bool:
        try:
            with self._translated():
                self.client.head_object(Bucket=self.bucket, Key=self._key(key))
        except NotFound:
            return False
        return True

    def is_empty(self) -> bool:
        with self._translated():
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self._key(""), MaxKeys=1)
        return not found.get("Contents")

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in MISSING:
                raise NotFound(_("The artifact store has lost this file."), code="content_missing") from error
            raise Unavailable(self._refusal(code)) from error
        except BotoCoreError as error:
            raise Unavailable(
                _("The artifact store cannot be reached: %(reason)s") % {"reason": error},
                retry_after_seconds=5,
            ) from error

    def _refusal(self, code: str) -> str:
        if code == "NoSuchBucket":
            return _("The bucket “%(bucket)s” does not exist. Create it, or correct ARTIFACT_ROOT.") % {
                "bucket": self.bucket
            }
        return _("The artifact store refused: %(reason)s.") % {"reason": code}


class ChunkReader:
    """Chunks as the readable file that boto3 wants."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks = iter(chunks)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        wanted = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            wanted.append(chunk)
            have += len(chunk)
        data = b"".join(wanted)
        if size < 0:
            size = len(data)
        self._rest = data[size:]
        return data[:size]


class ObjectReader:
    """An object's bytes; a connection that breaks half-way is told as the store's other failures are."""

    def __init__(self, body: Any, store: S3Store):
        self._body = body
        self._store = store

    def read(self, size: int = -1) -> bytes:
        with self._store._translated():
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()

    def __enter__(self) -> "ObjectReader":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
