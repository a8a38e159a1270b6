"""Where the bytes of runs' artifacts lie: a local directory, or an S3-compatible bucket."""

from lifecycle.artifact_store.base import CHUNK_BYTES, ArtifactStore
from lifecycle.artifact_store.choice import artifact_store

__all__ = ["CHUNK_BYTES", "ArtifactStore", "artifact_store"]
