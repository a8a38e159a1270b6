"""The skops format: objects rebuilt from a description, of reviewed types only."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from serving.model_server.errors import CannotLoad
from serving.model_server.loaders.base import missing_package
from serving.model_server.reviewed_types import REVIEWED_TYPES
from serving.model_server.tree_bounds import check_trees


def load_skops(path: Path) -> Any:
    """The object in a skops file.

    Raises CannotLoad when it holds types that are neither trusted by skops itself nor reviewed here; the list
    of types a model declares about itself is not believed.
    """
    import skops.io  # half a second that only skops models need; replicas have it preloaded

    try:
        unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - REVIEWED_TYPES.keys())
        if unknown:
            raise CannotLoad(_refusal(unknown))
        model = skops.io.load(path, trusted=list(REVIEWED_TYPES))
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    except (BadZipFile, KeyError) as error:
        raise CannotLoad(
            f"The skops file is damaged ({type(error).__name__}); log the model again."
        ) from None
    check_trees(model)
    return model


def _refusal(unknown: list[str]) -> str:
    return (
        f"The skops file holds types that were not reviewed as safe to load: {', '.join(unknown[:10])}"
        f"{f' and {len(unknown) - 10} more' if len(unknown) > 10 else ''}. "
        "Log the model as ONNX, replace the step that needs them, or have an admin allow this model to run "
        'code and log it with serialization_format="cloudpickle".'
    )
