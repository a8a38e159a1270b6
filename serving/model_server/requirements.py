"""Which packages a model was logged with, against those installed here."""

from __future__ import annotations

from importlib import metadata

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

from core.sentences import sentence as _
from serving.model_server.errors import shortened
from serving.model_server.mlmodel import MLModel

PROVIDED = {"mlflow", "mlflow-skinny"}  # the platform reads MLflow's format itself
MAX_LINES = 200
LONGEST_NAME = 100


def compare(model: MLModel) -> tuple[list[str], list[str]]:
    """The names of missing packages, and a sentence for each one of another version than at training.

    Requirements whose marker does not hold here (`; python_version < "3.9"`) are none.
    """
    missing: list[str] = []
    differing: list[str] = []
    for requirement in _requirements(model):
        if requirement.name.lower() in PROVIDED:
            continue
        try:
            installed = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(requirement.name[:LONGEST_NAME])
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            differing.append(
                _("The model was logged with %(logged)s; %(installed)s is installed here.")
                % {"logged": shortened(requirement), "installed": installed}
            )
    return missing, differing


def _requirements(model: MLModel) -> list[Requirement]:
    path = model.optional_file("requirements.txt")
    if path is None:
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines()[:MAX_LINES]:
        try:
            requirement = Requirement(line.partition("#")[0].strip())
            if requirement.marker is None or requirement.marker.evaluate():
                found.append(requirement)
        except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
            continue  # an option such as -r or an address: nothing that names a version to compare
    return found
