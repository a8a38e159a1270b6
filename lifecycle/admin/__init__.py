"""The admin of experiments, runs, the registry, deployments and drift. Every action calls an operation."""

from lifecycle.admin import (
    deployments,
    drift,
    experiments,
    logged_models,
    registry,
    reviews,
    run_data,
    runs,
    versions,
)

__all__ = [
    "deployments",
    "drift",
    "experiments",
    "logged_models",
    "registry",
    "reviews",
    "run_data",
    "runs",
    "versions",
]
