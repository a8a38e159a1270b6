"""One loader per flavour; `load` picks it and turns everything that can go wrong into one sentence."""

from __future__ import annotations

from collections.abc import Callable

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad, described
from serving.model_server.loaders import boosted, onnx, pyfunc, sklearn
from serving.model_server.loaders.base import CODE_FORMATS, LoadRequest, Predictor, missing_package
from serving.model_server.mlmodel import MLModel

__all__ = ["CODE_FORMATS", "LoadRequest", "Predictor", "format_of", "load"]

LOADERS: dict[str, Callable[[LoadRequest], Predictor]] = {
    "sklearn": sklearn.load,
    "onnx": onnx.load,
    "xgboost": boosted.load_xgboost,
    "lightgbm": boosted.load_lightgbm,
    "python_function": pyfunc.load,
}


def format_of(model: MLModel) -> str:
    """The format the model's file is in; those in CODE_FORMATS run code on load."""
    flavor = model.flavors[model.flavor]
    match model.flavor:
        case "sklearn":
            return sklearn.saved_format(flavor)
        case "lightgbm":
            return boosted.lightgbm_format(flavor)
        case "xgboost":
            return str(flavor.get("model_format") or "ubj")
        case name:
            return name


def load(request: LoadRequest) -> Predictor:
    """Load a model by its flavour. Raises CannotLoad; whatever else a model file makes a library raise
    becomes one.
    """
    try:
        return LOADERS[request.model.flavor](request)
    except (CannotLoad, MemoryError):
        raise
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    except Exception as error:
        raise CannotLoad(_("The model could not be loaded: %s") % described(error)) from error
