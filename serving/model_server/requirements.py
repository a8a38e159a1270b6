"""Which packages a model was logged with, against those installed here."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

from serving.model_server.mlmodel import MLModel

PROVIDED = {"mlflow", "mlflow-skinny"}  # the platform reads MLflow's format itself
MAX_LINES = 200


def compare(model: MLModel) -> tuple[list[str], list[str]]:
    """The names of missing packages, and a sentence for each one of another version than at training."""
    missing, differing = [], []
    for requirement in _requirements(model):
        if requirement.name.lower() in PROVIDED:
            continue
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement.name)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            differing.append(f"The model was logged with {requirement}; {installed} is installed here.")
    return missing, differing


def _requirements(model: MLModel) -> list[Requirement]:
    path = model.optional_file("requirements.txt")
    if path is None:
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines()[:MAX_LINES]:
        try:
            found.append(Requirement(line.partition("#")[0].strip()))
        except InvalidRequirement:
            continue  # an option such as -r or an address: nothing that names a version to compare
    return found
