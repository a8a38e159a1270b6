"""ONNX models through onnxruntime: a graph of known operators, no code of its author."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.model_server.inputs import Inputs, Table
from serving.model_server.loaders.base import LoadRequest, need, rejected


class OnnxPredictor:
    """An inference session; inputs and answers take the same form as in MLflow's own onnx flavour."""

    rowwise = True
    takes_params = False

    def __init__(self, session: Any) -> None:
        self._session = session
        self._types = {node.name: node.type for node in session.get_inputs()}
        self._outputs = [node.name for node in session.get_outputs()]

    def predict(self, inputs: Inputs, params: dict[str, Any]) -> Any:
        """A mapping of output names to arrays; with a column-based signature one object per row."""
        answers = self._session.run(self._outputs, self._feed(inputs))
        named = {name: np.asarray(answer) for name, answer in zip(self._outputs, answers, strict=True)}
        return _as_frame(named, inputs.rows) if isinstance(inputs, Table) else named

    def _feed(self, inputs: Inputs) -> dict[str, np.ndarray]:
        if isinstance(inputs, Table):
            frame = inputs.frame()
            single = len(self._types) == 1
            arrays = {name: frame.to_numpy() if single else frame[name].to_numpy() for name in self._types}
        else:
            arrays = {
                self._only_input() if name is None else name: array for name, array in inputs.arrays.items()
            }
        return {name: self._as_expected(name, array) for name, array in arrays.items()}

    def _only_input(self) -> str:
        return next(iter(self._types))

    def _as_expected(self, name: str, array: np.ndarray) -> np.ndarray:
        """float64 narrows to float32 where the graph wants that: requests in JSON only have doubles."""
        if self._types.get(name) == "tensor(float)" and array.dtype == np.float64:
            return array.astype(np.float32)
        return array


def load(request: LoadRequest) -> OnnxPredictor:
    """Load the onnx flavour on CPU with the replica's number of threads. Raises CannotLoad."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = request.cpu
    options.inter_op_num_threads = 1
    path = request.model.file(request.flavor, "data")
    try:
        session = runtime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime has no common base for its errors
        raise rejected("onnxruntime", error) from None
    return OnnxPredictor(session)


def _as_frame(named: dict[str, np.ndarray], rows: int) -> Any:
    import pandas as pd

    if all(array.size == rows for array in named.values()):
        return pd.DataFrame({name: array.reshape(-1) for name, array in named.items()})
    return named
