"""XGBoost and LightGBM models saved in their own plain-data formats."""

from __future__ import annotations

from typing import Any

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad
from serving.model_server.inputs import Inputs
from serving.model_server.loaders.base import LoadRequest, need, rejected
from serving.model_server.loaders.pickled import load_pickled
from serving.model_server.loaders.skops_file import load_skops

XGBOOST_CLASSES = {
    f"xgboost.sklearn.{name}": name
    for name in ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBRFClassifier", "XGBRFRegressor")
} | {"xgboost.core.Booster": "Booster"}
LIGHTGBM_BOOSTER = "lightgbm.basic.Booster"


class XGBoostBooster:
    rowwise, takes_params = True, False

    def __init__(self, xgboost: Any, booster: Any) -> None:
        self._xgboost, self._booster = xgboost, booster

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """Raw scores or transformed ones, as the booster's objective says."""
        return self._booster.predict(self._xgboost.DMatrix(inputs.data))


class CallsPredict:
    """A model whose own predict takes a DataFrame or an array."""

    rowwise, takes_params = True, False

    def __init__(self, model: Any, **arguments: Any) -> None:
        self._model, self._arguments = model, arguments

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """One prediction per row."""
        return self._model.predict(inputs.data, **self._arguments)


def load_xgboost(request: LoadRequest) -> XGBoostBooster | CallsPredict:
    """Load the xgboost flavour, whose file is always plain data (UBJSON, JSON). Raises CannotLoad."""
    xgboost = need("xgboost")
    written = str(request.flavor.get("model_class") or "xgboost.core.Booster")
    if written not in XGBOOST_CLASSES:
        raise CannotLoad(
            _('The model class "%(written)s" is not one of %(known)s.')
            % {"written": written[:100], "known": ", ".join(XGBOOST_CLASSES)}
        )
    model = getattr(xgboost, XGBOOST_CLASSES[written])()
    try:
        model.load_model(str(request.model.file(request.flavor, "data")))
    except xgboost.core.XGBoostError as error:
        raise rejected("xgboost", error) from None
    if written == "xgboost.core.Booster":
        model.set_param({"nthread": request.cpu})
        return XGBoostBooster(xgboost, model)
    model.set_params(n_jobs=request.cpu)
    return CallsPredict(model)


def load_lightgbm(request: LoadRequest) -> CallsPredict:
    """Load the lightgbm flavour: a booster is text, its scikit-learn wrappers are pickles."""
    lightgbm = need("lightgbm")
    path = request.model.file(request.flavor, "data")
    name = lightgbm_format(request.flavor)
    if name == "skops":
        return CallsPredict(load_skops(path), num_threads=request.cpu)
    if name != "text":
        return CallsPredict(load_pickled(request, path, name), num_threads=request.cpu)
    try:
        booster = lightgbm.Booster(model_file=str(path))
    except lightgbm.basic.LightGBMError as error:
        raise rejected("lightgbm", error) from None
    return CallsPredict(booster, num_threads=request.cpu)


def lightgbm_format(flavor: dict[str, Any]) -> str:
    """Text for a booster, else how the scikit-learn wrapper was pickled."""
    if (flavor.get("model_class") or LIGHTGBM_BOOSTER) == LIGHTGBM_BOOSTER:
        return "text"
    return str(flavor.get("serialization_format") or "cloudpickle")
