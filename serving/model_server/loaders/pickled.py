"""Formats that run their author's code on load; used only where an admin allowed it."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

from serving.model_server.loaders.base import LoadRequest, need, need_permission


def load_pickled(request: LoadRequest, path: Path, format_name: str) -> Any:
    """The object in a pickle, cloudpickle or joblib file; the model's code directory becomes importable."""
    need_permission(request, format_name)
    if request.flavor.get("code"):
        sys.path.insert(0, str(request.model.file(request.flavor, "code")))
    if format_name == "joblib":
        return need("joblib").load(path)
    need("cloudpickle")  # a cloudpickle file is a pickle that names functions of this package
    with path.open("rb") as file:
        return pickle.load(file)
