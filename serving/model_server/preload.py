"""Imports what every replica needs, so that a warm process can be forked into a replica in a fraction of a
second.

Importing scikit-learn, pandas, skops and uvicorn takes one to three seconds; a replica must be back within
two seconds of its end. Only imports happen here: no thread is started and no parallel region entered, since
neither survives a fork.
"""

from __future__ import annotations

import importlib

HEAVY_MODULES = (
    "numpy",
    "pandas",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "skops.io",
    "threadpoolctl",
    "uvicorn.protocols.http.httptools_impl",
    "serving.model_server.process",
    "serving.model_server.check",
)


def preload() -> None:
    """Import the heavy libraries and the model server itself; loads no model and opens nothing."""
    for name in HEAVY_MODULES:
        importlib.import_module(name)
