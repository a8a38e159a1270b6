"""The signing key that was generated under DATA_DIR, when no SECRET_KEY is set."""

import os

from django.conf import settings


def is_in_use() -> bool:
    """Whether this process signs with the key in the file, and not with one that was set."""
    path = settings.SECRET_KEY_FILE
    return path.exists() and path.read_text().strip() == settings.SECRET_KEY


def replace(content: bytes) -> None:
    """Put another key in its place, readable by its owner only. Processes read it when they start."""
    path = settings.SECRET_KEY_FILE
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
