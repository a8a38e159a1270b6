"""What every loader gives the server: something that predicts."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad, shortened
from serving.model_server.inputs import Inputs
from serving.model_server.mlmodel import MLModel
from serving.model_server.signature import Signature

CODE_FORMATS = {"pickle", "cloudpickle", "joblib", "python_function"}
INSTALL_NAMES = {"sklearn": "scikit-learn", "yaml": "PyYAML", "PIL": "Pillow", "cv2": "opencv-python"}


@dataclass(frozen=True)
class LoadRequest:
    """What a loader needs to know."""

    model: MLModel
    signature: Signature
    allow_code: bool
    cpu: int

    @property
    def flavor(self) -> dict[str, Any]:
        """The MLmodel section of the flavour that is loaded."""
        return self.model.flavors[self.model.flavor]


class Predictor(Protocol):
    """A loaded model. `predict` is only ever called from one thread.

    `rowwise` says that a row's prediction does not depend on the rows beside it, so that requests may share a
    batch; `takes_params` that the params of a signature reach the model.
    """

    rowwise: bool
    takes_params: bool

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """Predictions for validated inputs, one per row."""
        ...


def need(package: str) -> Any:
    """Import a package a flavour needs. Raises CannotLoad naming what to install."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise missing_package(error) from None


def missing_package(error: ModuleNotFoundError) -> CannotLoad:
    """A failed import as a sentence that says what to install."""
    name = shortened(error.name or error).partition(".")[0]
    return CannotLoad(
        _(
            'The model needs the Python package "%(package)s", which is not installed here; '
            "install it beside this platform: pip install %(install)s"
        )
        % {"package": name, "install": INSTALL_NAMES.get(name, name)}
    )


def rejected(library: str, error: Exception) -> CannotLoad:
    """What a library said against its file."""
    return CannotLoad(
        _("%(library)s cannot load the model: %(why)s") % {"library": library, "why": shortened(error)}
    )


def need_permission(request: LoadRequest, format_name: str) -> None:
    """Refuse a format that runs code on load, unless an admin allowed it. Raises CannotLoad."""
    if not request.allow_code:
        raise CannotLoad(
            _(
                'The model is saved as "%s", which runs code of its author on load. Save it as plain data '
                '(serialization_format="skops", or ONNX), or have an admin allow this model to run code.'
            )
            % shortened(format_name)
        )
