"""Any other flavour, through MLflow's python_function; always code of its author, so an admin must have
allowed it.
"""

from __future__ import annotations

import os
from typing import Any

from serving.model_server.inputs import Inputs
from serving.model_server.loaders.base import LoadRequest, missing_package, need, need_permission


class PyfuncPredictor:
    """MLflow's wrapper around a model.

    Not `rowwise`: a function of its author may look at all rows of a call together, so each request gets its
    own.
    """

    rowwise, takes_params = False, True

    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """Whatever the author's predict returns."""
        return self._model.predict(inputs.data, params=params or None)


def load(request: LoadRequest) -> PyfuncPredictor:
    """Load through mlflow.pyfunc. Raises CannotLoad."""
    need_permission(request, "python_function")
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "true"  # the decision was made above
    pyfunc = need("mlflow.pyfunc")
    try:
        return PyfuncPredictor(pyfunc.load_model(str(request.model.directory)))
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
