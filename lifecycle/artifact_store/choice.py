"""The store that the settings name."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from lifecycle.artifact_store.base import ArtifactStore
from lifecycle.artifact_store.local import LocalStore
from lifecycle.artifact_store.s3 import S3Store

S3_SCHEME = "s3://"


def artifact_store() -> ArtifactStore:
    """The store at `ARTIFACT_ROOT`: `s3://bucket/prefix`, or a local directory."""
    return _store(settings.ARTIFACT_ROOT, settings.ARTIFACT_S3_ENDPOINT_URL)


@lru_cache(maxsize=4)
def _store(root: str, endpoint_url: str) -> ArtifactStore:
    if not root.startswith(S3_SCHEME):
        return LocalStore(Path(root))
    bucket, _separator, prefix = root.removeprefix(S3_SCHEME).partition("/")
    return S3Store(bucket=bucket, prefix=prefix, endpoint_url=endpoint_url)
