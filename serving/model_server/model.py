"""A model directory made ready to answer: the steps that serving and checking share."""

from __future__ import annotations

from typing import Any

from core.sentences import sentence as _
from serving.model_server.errors import CannotLoad
from serving.model_server.example import Example
from serving.model_server.loaders import LoadRequest, Predictor, load
from serving.model_server.mlmodel import MLModel
from serving.model_server.scoring import Scoring
from serving.model_server.signature import Signature


class ServedModel:
    """A loaded model with its signature and the example it is tried on. Raises CannotLoad."""

    def __init__(self, spec: dict[str, Any], model: MLModel) -> None:
        self.signature = Signature(model.signature)
        request = LoadRequest(
            model, self.signature, allow_code=bool(spec["allow_code"]), cpu=int(spec["cpu"])
        )
        try:
            self.predictor: Predictor = load(request)
        except MemoryError:
            mebibytes = int(spec["memory_bytes"]) >> 20
            raise CannotLoad(
                _("The model does not fit into %d MiB; give it more memory.") % mebibytes
            ) from None
        self.scoring = Scoring(self.signature, int(spec["max_rows"]), self.predictor.takes_params)
        self.example = Example(model, self.scoring)
