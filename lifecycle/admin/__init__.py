"""The admin of experiments, runs, the registry, deployments and drift. Every action calls an operation."""

from lifecycle.admin import deployments, drift, experiments, registry, reviews, run_data, runs, versions

__all__ = ["deployments", "drift", "experiments", "registry", "reviews", "run_data", "runs", "versions"]
