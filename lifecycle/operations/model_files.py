"""What the files of a model version say about it. Nothing here loads a model."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from core.errors import Invalid
from core.translation import gettext as _
from lifecycle.artifact_store import artifact_store
from lifecycle.artifact_store.paths import inside, path_in
from lifecycle.models import Artifact

DESCRIPTION_FILE = "MLmodel"
# MLflow writes a few kilobytes; a signature of ten thousand columns still fits.
DESCRIPTION_MAX_BYTES = 1024**2
DESCRIPTION_MAX_EVENTS = 10_000
DESCRIPTION_MAX_DEPTH = 50
GENERIC = "python_function"
FLAVOR = re.compile(r"\w{1,50}")
SIGNATURE_PARTS = ("inputs", "outputs", "params")


@dataclass(frozen=True)
class Description:
    """What an MLmodel file declares: the flavour that MLflow saved with, and the signature, parsed."""

    framework: str = ""
    signature: dict[str, Any] | None = field(default=None)


def content_sha256(files: Sequence[Artifact], artifact_path: str) -> str:
    """The hash that stands for all the files: SHA-256 over `sha256sum`'s lines for them, sorted by path.

    Paths are relative to `artifact_path`, so `cd model && find . -type f | …` can check it by hand.
    """
    lines = sorted((path_in(artifact_path, file.path), file.sha256) for file in files)
    return hashlib.sha256("".join(f"{sha256}  {path}\n" for path, sha256 in lines).encode()).hexdigest()


def describe(files: Sequence[Artifact], artifact_path: str) -> Description:
    """What the MLmodel file among `files` declares. Raises Invalid when there is none, or it is not one."""
    path = inside(artifact_path, DESCRIPTION_FILE)
    file = next((file for file in files if file.path == path), None)
    if file is None:
        raise Invalid(
            _("There is no “%(path)s”. Log the model with MLflow, or upload its files, then register it.")
            % {"path": path},
            fields={"artifact_path": _("holds no MLflow model")},
        )
    if file.size_bytes > DESCRIPTION_MAX_BYTES:
        raise Invalid(
            _("“%(path)s” is over %(limit)d bytes.") % {"path": path, "limit": DESCRIPTION_MAX_BYTES}
        )
    with artifact_store().open(file.storage_key) as stream:
        return parse_description(stream.read())


def parse_description(content: bytes) -> Description:
    """Read an MLmodel file. Raises Invalid when it is not one."""
    try:
        _refuse_unreasonable(content)
        declared = yaml.load(content, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(_("The MLmodel file is not readable YAML. Log the model again with MLflow.")) from error
    flavors = declared.get("flavors") if isinstance(declared, dict) else None
    if not isinstance(flavors, dict) or not flavors:
        raise Invalid(_("The MLmodel file names no flavour. Log the model again with MLflow."))
    return Description(framework=_framework(flavors), signature=_signature(declared.get("signature")))


def _refuse_unreasonable(content: bytes) -> None:
    """Raise ValueError for what no MLflow wrote, before it is built.

    A megabyte of commas takes the Python loader half a minute, and deep nesting crashes libyaml's, the
    process with it. Reading the events alone does neither, and stops at the first too many.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(content, Loader=yaml.CSafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if count > DESCRIPTION_MAX_EVENTS or depth > DESCRIPTION_MAX_DEPTH:
            raise ValueError("This is far more YAML than a model's description is.")


def _framework(flavors: dict[Any, Any]) -> str:
    """The flavour of its own that the model was saved with; a plain Python model has only the generic one."""
    own = [name for name in flavors if isinstance(name, str) and FLAVOR.fullmatch(name) and name != GENERIC]
    return (own or [GENERIC])[0]


def _signature(declared: Any) -> dict[str, Any] | None:
    """MLflow keeps each part of a signature as JSON inside the YAML."""
    if declared is None:
        return None
    problem = Invalid(
        _("The signature in the MLmodel file is not readable. Log the model again with MLflow.")
    )
    if not isinstance(declared, dict):
        raise problem
    try:
        return {part: _parse(declared[part]) if declared.get(part) else None for part in SIGNATURE_PARTS}
    except (TypeError, ValueError, RecursionError) as error:
        raise problem from error


def _parse(text: str) -> Any:
    """JSON that every database can keep: PostgreSQL takes neither NaN nor NUL nor half a surrogate pair."""
    parsed = json.loads(text, parse_constant=str)
    if "\\u0000" in json.dumps(parsed, ensure_ascii=False).encode().decode():
        raise ValueError("There is a NUL in the signature.")
    return parsed
