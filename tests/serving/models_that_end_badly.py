"""Models that take the process down, or keep it, as they are loaded."""

import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd

from tests.serving.models import Fault, make_sklearn_model


def make_crashing_model(path: Path) -> Path:
    """Loading it is a segmentation fault."""
    return _make(path, CrashesOnLoad())


def make_slow_loading_model(path: Path) -> Path:
    """Loading it takes ten minutes."""
    return _make(path, LoadsSlowly())


def make_forging_model(path: Path, report: str) -> Path:
    """Loading it writes its check's report, "pipe" for none that could be read, and ends the process."""
    return _make(path, Forges(report))


class CrashesOnLoad(Fault):
    def __getstate__(self) -> dict[str, Any]:
        return {"saved": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        import ctypes

        ctypes.string_at(0)


class LoadsSlowly(Fault):
    def __getstate__(self) -> dict[str, Any]:
        return {"saved": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        time.sleep(600)


class Forges(Fault):
    def __init__(self, report: str = "") -> None:
        self.report = report

    def __setstate__(self, state: dict[str, Any]) -> None:
        import os

        # A check runs in the directory that its report is looked for in.
        if state["report"] == "pipe":
            os.mkfifo("report.json")
        else:
            Path("report.json").write_text(state["report"])
        os.write(2, b"Forged.\n")
        os._exit(0)


def _make(path: Path, estimator: Fault) -> Path:
    by_value = [sys.modules[__name__], sys.modules[Fault.__module__]]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        X = pd.DataFrame({"x": [1.0, 2.0]})
        return make_sklearn_model(path, estimator, X, [1.0, 2.0], serialization_format="cloudpickle")
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)
