"""The skops format: objects rebuilt from a description, of reviewed types only."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from core.sentences import Sentence
from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad
from serving.model_server.loaders.base import missing_package
from serving.model_server.reviewed_types import REVIEWED_TYPES
from serving.model_server.tree_bounds import check_trees

MOST_NAMED = 10


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
            _("The skops file is damaged (%s); log the model again.") % type(error).__name__
        ) from None
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        # NumPy's own words advise to load it unsafely.
        raise CannotLoad(
            _(
                "The skops file holds a pickle in the place of an array, which is not loaded; log the model again."
            )
        ) from None
    check_trees(model)
    return model


def _refusal(unknown: list[str]) -> Sentence:
    named = ", ".join(name[:100] for name in unknown[:MOST_NAMED])
    return _(
        "The skops file holds types that were not reviewed as safe to load: %s. "
        "Log the model as ONNX, replace the step that needs them, or have an admin allow this model to run "
        'code and log it with serialization_format="cloudpickle".'
    ) % (f"{named}, …" if len(unknown) > MOST_NAMED else named)
