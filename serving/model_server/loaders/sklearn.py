"""scikit-learn models, called directly: less memory and time than through python_function."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from core.sentences import sentence as _
from serving.model_server.column_types import Floats, Integers
from serving.model_server.errors import CannotLoad, shortened
from serving.model_server.inputs import Inputs, Table
from serving.model_server.loaders.base import LoadRequest
from serving.model_server.loaders.pickled import load_pickled
from serving.model_server.loaders.skops_file import load_skops
from serving.model_server.signature import ColumnSchema

# What MLflow lets python_function call on a scikit-learn model, but for score, which needs the true answers.
PREDICT_METHODS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba")
ROUNDING = 1e-9  # BLAS adds in another order for another memory layout
NAMED_COLUMN_STEPS = {"ColumnTransformer", "FunctionTransformer"}


class SklearnPredictor:
    """A fitted estimator and the method that answers.

    A DataFrame costs a fifth of a millisecond to build, so a model that only looks at numbers gets an array
    instead: see `_array_dtype` for when, and `_predict_first` for the proof by its first prediction.
    """

    rowwise = True
    takes_params = False  # predict of scikit-learn has no such argument, and MLflow passes none on either

    def __init__(self, estimator: Any, method: str, array_dtype: Any) -> None:
        self._call = getattr(estimator, method)
        self._array_dtype = array_dtype
        self._proven = False
        warnings.filterwarnings("ignore", message="X does not have valid feature names")

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """One prediction per row of the inputs, which are in the order of the signature."""
        if self._array_dtype is not None and isinstance(inputs, Table):
            if not self._proven:
                return self._predict_first(inputs)
            return self._call(inputs.matrix(self._dtype_for(inputs)))
        result = self._call(inputs.data)
        return result.toarray() if hasattr(result, "toarray") else result

    def _predict_first(self, inputs: Table) -> Any:
        """Predict both ways once; the array way stays only if it gives the same, but for rounding in BLAS."""
        by_frame = self._call(inputs.frame())
        by_array = self._call(inputs.matrix(self._dtype_for(inputs)))
        if not _same(by_frame, by_array):
            self._array_dtype = None
        self._proven = True
        return by_frame

    def _dtype_for(self, inputs: Table) -> Any:
        return np.result_type(self._array_dtype, np.float64) if inputs.nulls else self._array_dtype


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray) or one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=ROUNDING, atol=0, equal_nan=True))
    return bool(np.array_equal(one, other))


def load(request: LoadRequest) -> SklearnPredictor:
    """Load the sklearn flavour. Raises CannotLoad."""
    path = request.model.file(request.flavor, "pickled_model")
    estimator = _estimator(request, path)
    method = str(request.model.python_function.get("predict_fn") or "predict")
    if method not in PREDICT_METHODS or not hasattr(estimator, method):
        raise CannotLoad(
            _(
                'The model is logged with pyfunc_predict_fn="%(method)s", which %(estimator)s does not offer '
                "for serving; use one of %(methods)s."
            )
            % {
                "method": shortened(method),
                "estimator": type(estimator).__name__,
                "methods": ", ".join(PREDICT_METHODS),
            }
        )
    _bound_threads(estimator, request.cpu)
    return SklearnPredictor(estimator, method, _array_dtype(estimator, request.signature.inputs))


def saved_format(flavor: dict[str, Any]) -> str:
    """The serialization MLflow wrote down; it was pickle before it was written down."""
    return str(flavor.get("serialization_format") or "pickle")


def _estimator(request: LoadRequest, path: Path) -> Any:
    name = saved_format(request.flavor)
    return load_skops(path) if name == "skops" else load_pickled(request, path, name)


def _parts(estimator: Any) -> list[Any]:
    """The estimator and all estimators inside it."""
    if not isinstance(estimator, BaseEstimator):
        return [estimator]
    return [estimator, *(part for part in estimator.get_params(deep=True).values() if hasattr(part, "fit"))]


def _bound_threads(estimator: Any, cpu: int) -> None:
    """An n_jobs chosen on the machine of training must not start more threads than this replica was given."""
    for part in _parts(estimator):
        jobs = getattr(part, "n_jobs", None)
        if isinstance(jobs, int) and (jobs < 0 or jobs > cpu):
            part.n_jobs = cpu


def _array_dtype(estimator: Any, schema: Any) -> Any:
    """The dtype of the array that can stand for a DataFrame, or None when the model must get a DataFrame.

    It can when all columns are numbers and just those the model was fitted on, in that order, and nothing
    inside the model selects columns by name, runs the author's own function, or hands DataFrames on.
    """
    names = getattr(estimator, "feature_names_in_", None)
    if not isinstance(schema, ColumnSchema) or names is None or list(names) != schema.names:
        return None
    if not all(isinstance(column.type, Floats | Integers) for column in schema.columns):
        return None
    dtypes = {column.type.dtype for column in schema.columns}
    if np.dtype(np.float32) in dtypes and len(dtypes) > 1:
        return None
    plain = all(
        type(part).__module__.startswith("sklearn.")
        and type(part).__name__ not in NAMED_COLUMN_STEPS
        and not hasattr(part, "_sklearn_output_config")
        for part in _parts(estimator)
    )
    return np.result_type(*dtypes) if plain else None
