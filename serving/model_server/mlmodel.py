"""Reads a directory in MLflow's model format without believing anything it says about paths.

The format: https://mlflow.org/docs/latest/ml/model/ (the MLmodel file names flavours, their files and the
signature).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import yaml

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad, shortened

MLMODEL_FILE = "MLmodel"
MAX_MLMODEL_BYTES = 4 << 20
# MLflow writes a few hundred: a signature is one text of JSON, however many columns it has.
MAX_YAML_EVENTS = 10_000
MAX_YAML_DEPTH = 50

DIRECT_FLAVORS = {
    "mlflow.sklearn": "sklearn",
    "mlflow.onnx": "onnx",
    "mlflow.xgboost": "xgboost",
    "mlflow.lightgbm": "lightgbm",
}

# The keys under which MLflow's flavours keep paths inside the model directory.
PATH_KEYS = {
    "artifact_path",
    "code",
    "conda",
    "config_path",
    "data",
    "model_binary",
    "model_code_path",
    "model_data",
    "model_path",
    "path",
    "pickled_model",
    "python_model",
    "serving_input_path",
    "virtualenv",
}


class MLModel:
    """A model directory whose MLmodel file was read and whose paths were checked.

    Raises CannotLoad when the file is missing or malformed, or when a path or a symbolic link leads out of
    the directory.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory).resolve()
        self.content = _read_mlmodel(self.directory / MLMODEL_FILE)
        self.flavors: dict[str, dict[str, Any]] = _mapping(self.content, "flavors")
        self._refuse_links_out()
        for key, path in _paths(self.content):
            self._inside(key, path)

    @property
    def python_function(self) -> dict[str, Any]:
        return self.flavors.get("python_function", {})

    @property
    def flavor(self) -> str:
        """The flavour to load with: a known one directly, anything else through python_function."""
        loader = self.python_function.get("loader_module")
        known = DIRECT_FLAVORS.get(loader) if isinstance(loader, str) else None
        if known in self.flavors:
            return str(known)
        if self.python_function:
            return "python_function"
        for name in DIRECT_FLAVORS.values():
            if name in self.flavors:
                return name
        if not self.flavors:
            raise CannotLoad(_("The MLmodel file names no flavour. Log the model again with MLflow."))
        raise CannotLoad(
            _(
                "The MLmodel file names no flavour that can be served (%s); "
                "log the model with an MLflow flavour that supports python_function."
            )
            % shortened(", ".join(map(str, self.flavors)))
        )

    @property
    def signature(self) -> dict[str, Any] | None:
        """The signature with its JSON texts decoded (inputs, outputs, params); None when none was logged."""
        written = self.content.get("signature")
        if not isinstance(written, dict) or not written.get("inputs"):
            return None
        return {part: _decoded(part, written.get(part)) for part in ("inputs", "outputs", "params")}

    def file(self, flavor: dict[str, Any], key: str) -> Path:
        """The existing file or directory a flavour names under `key`."""
        written = flavor.get(key)
        if not isinstance(written, str) or not written:
            raise CannotLoad(_('The MLmodel file gives no "%s" for its flavour; log the model again.') % key)
        path = self._inside(key, written)
        if not path.exists():
            raise CannotLoad(
                _('The file "%s" that the MLmodel file names is missing; log the model again.')
                % shortened(written)
            )
        return path

    def optional_file(self, relative: str) -> Path | None:
        """A file of a fixed name inside the directory, if it is there."""
        path = self._inside("path", relative)
        return path if path.is_file() else None

    def _inside(self, key: str, written: str) -> Path:
        path = PurePosixPath(written)
        outside = path.is_absolute() or ".." in path.parts or "\\" in written or "\0" in written
        resolved = self.directory if outside else (self.directory / path).resolve()
        if outside or not resolved.is_relative_to(self.directory):
            raise CannotLoad(
                _('The MLmodel file names "%(path)s" as %(key)s, which leads out of the model directory.')
                % {"path": shortened(written), "key": key}
            )
        return resolved

    def _refuse_links_out(self) -> None:
        for folder, folders, files in os.walk(self.directory):
            for name in folders + files:
                path = Path(folder, name)
                if path.is_symlink() and not path.resolve().is_relative_to(self.directory):
                    relative = path.relative_to(self.directory)
                    raise CannotLoad(
                        _('"%s" is a symbolic link that leads out of the model directory.')
                        % shortened(relative)
                    )


def _read_mlmodel(path: Path) -> dict[str, Any]:
    try:
        if path.is_symlink() or path.stat().st_size > MAX_MLMODEL_BYTES:
            raise CannotLoad(_("The MLmodel file is a link or larger than 4 MiB; log the model again."))
        text = path.read_text("utf-8")
        _refuse_unreasonable(text)
        content = yaml.load(text, Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        raise CannotLoad(_("There is no MLmodel file; log the model in MLflow's format.")) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CannotLoad(
            _("The MLmodel file is not valid YAML (%s); log the model again.") % type(error).__name__
        ) from None
    if not isinstance(content, dict):
        raise CannotLoad(_("The MLmodel file is not a YAML mapping; log the model again."))
    return content


def _refuse_unreasonable(text: str) -> None:
    """Refuse what no MLflow wrote before it is built: deep nesting crashes libyaml, the process with it.

    Reading the events alone does not, and stops at the first too many. Raises CannotLoad and YAMLError.
    """
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if count > MAX_YAML_EVENTS or depth > MAX_YAML_DEPTH:
            raise CannotLoad(
                _("The MLmodel file holds far more than a model's description; log the model again.")
            )


def _mapping(content: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    value = content.get(key)
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise CannotLoad(_('The MLmodel file has no mapping "%s"; log the model again.') % key)
    return value


def _decoded(part: str, written: Any) -> Any:
    if not isinstance(written, str):
        return written
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        raise CannotLoad(_("The signature's %s are not valid JSON; log the model again.") % part) from None


def _paths(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every value kept under a path key in flavours and example; YAML aliases are followed once."""
    waiting: list[Any] = [content.get("flavors"), content.get("saved_input_example_info")]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, dict | list):
            continue
        seen.add(id(node))
        if isinstance(node, list):
            waiting.extend(node)
            continue
        for key, value in node.items():
            if key in PATH_KEYS and isinstance(value, str):
                yield key, value
            waiting.append(value)
