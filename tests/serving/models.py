"""MLflow models for the serving tests: good ones, and ones that go wrong in one known way.

The classes of the bad ones are pickled by value, so that a model process needs no import of the tests.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

TRIGGER = 1000.0


def diabetes(rows: int = 200) -> tuple[pd.DataFrame, pd.Series]:
    """Real data: ages, sexes and blood values of diabetes patients, and how the illness went on."""
    data = load_diabetes(as_frame=True, scaled=False)
    return data.data.head(rows).astype(float), data.target.head(rows)


def make_sklearn_model(
    path: Path | str,
    estimator: Any = None,
    X: Any = None,
    y: Any = None,
    *,
    serialization_format: str = "skops",
    signature: Any = "infer",
    input_example: Any = "first rows",
    **saved: Any,
) -> Path:
    """Fit an estimator (linear on diabetes by default) and save it; returns the model's directory."""
    if X is None:
        X, y = diabetes()
    estimator = LinearRegression() if estimator is None else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
        if isinstance(signature, str):
            signature = infer_signature(X, estimator.predict(X))
        mlflow.sklearn.save_model(
            estimator,
            str(path),
            serialization_format=serialization_format,
            skops_trusted_types=_all_types(estimator) if serialization_format == "skops" else None,
            signature=signature,
            input_example=X[:3] if isinstance(input_example, str) else input_example,
            pip_requirements=["scikit-learn"],
            **saved,
        )
    return Path(path)


def make_hanging_model(path: Path | str) -> Path:
    """Predict never returns once a value of "x" is above TRIGGER."""
    return _make_fault_model(path, Hangs())


def make_slow_model(path: Path | str, seconds: float) -> Path:
    """Each predict takes `seconds`, however many rows it gets."""
    return _make_fault_model(path, Slow(seconds))


def make_leaking_model(path: Path | str, megabytes: int = 20) -> Path:
    """Each predict keeps `megabytes` more."""
    return _make_fault_model(path, Leaks(megabytes))


def make_greedy_model(path: Path | str) -> Path:
    """Predict asks for 64 GB at once when a value of "x" is above TRIGGER."""
    return _make_fault_model(path, Greedy())


def make_picky_model(path: Path | str) -> Path:
    """Predict raises when a value of "x" is above TRIGGER."""
    return _make_fault_model(path, Picky())


def make_garbled_model(path: Path | str) -> Path:
    """Predict raises with a text that is no UTF-8 when a value of "x" is above TRIGGER."""
    return _make_fault_model(path, Garbled())


def make_dying_model(path: Path | str) -> Path:
    """The process is killed from inside when a value of "x" is above TRIGGER."""
    return _make_fault_model(path, Dies())


def make_unloadable_model(path: Path | str) -> Path:
    """Loading the model's file raises."""
    return _make_fault_model(path, Unloadable())


def make_verbose_model(path: Path | str) -> Path:
    """Each row's prediction is a million numbers."""
    return _make_fault_model(path, Verbose())


def _make_fault_model(path: Path | str, estimator: BaseEstimator) -> Path:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        X = pd.DataFrame({"x": [1.0, 2.0]})
        return make_sklearn_model(
            path,
            estimator,
            X,
            [1.0, 2.0],
            serialization_format="cloudpickle",
            signature=infer_signature(X, np.array([1.0])),
        )
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def _all_types(estimator: Any) -> list[str]:
    import skops.io

    return list(skops.io.get_untrusted_types(data=skops.io.dumps(estimator)))


class Fault(RegressorMixin, BaseEstimator):
    """Doubles "x", until the value that triggers what is wrong with it."""

    def fit(self, X: Any, y: Any) -> Fault:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> np.ndarray:
        values = np.asarray(X, dtype=float)[:, 0]
        if (values > TRIGGER).any():
            self.go_wrong()
        return values * 2

    def go_wrong(self) -> None:
        raise NotImplementedError


class Hangs(Fault):
    def go_wrong(self) -> None:
        while True:
            time.sleep(3600)


class Picky(Fault):
    def go_wrong(self) -> None:
        raise ValueError("too large for me")


class Garbled(Fault):
    def go_wrong(self) -> None:
        raise ValueError("half a surrogate pair: \ud800")


class Greedy(Fault):
    def go_wrong(self) -> None:
        np.ones((8, 1 << 30))


class Dies(Fault):
    def go_wrong(self) -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


class Slow(Fault):
    def __init__(self, seconds: float = 0.1) -> None:
        self.seconds = seconds

    def predict(self, X: Any) -> np.ndarray:
        time.sleep(self.seconds)
        return super().predict(X)


class Leaks(Fault):
    def __init__(self, megabytes: int = 20) -> None:
        self.megabytes = megabytes

    def predict(self, X: Any) -> np.ndarray:
        self.kept_ = [*getattr(self, "kept_", []), np.ones(self.megabytes << 17)]
        return super().predict(X)


class Verbose(Fault):
    def predict(self, X: Any) -> np.ndarray:
        return np.ones((len(X), 10**6)) if len(X) < 3 else super().predict(X)


class Unloadable(Fault):
    def __getstate__(self) -> dict[str, Any]:
        return {"saved": True}

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("this file was never meant to be opened")
