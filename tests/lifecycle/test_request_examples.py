"""The request that a deployment's page shows as an example."""

import json

import pytest

from lifecycle.operations.examples import request_example


def tensor(*shape):
    return {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": list(shape)}}]}


def test_columns_get_a_row_of_plausible_values():
    signature = {"inputs": [{"name": "age", "type": "long"}, {"name": "city", "type": "string"}]}
    assert json.loads(request_example(signature)) == {
        "dataframe_split": {"columns": ["age", "city"], "data": [[1, "text"]]}
    }


def test_a_tensor_gets_zeros_of_its_shape():
    assert json.loads(request_example(tensor(-1, 2, 3))) == {"inputs": [[[0.0] * 3] * 2]}


@pytest.mark.parametrize("shape", [(-1, 100_000, 100_000), (-1, 1001), (10**30,), (-1, -5), (0, 3)])
def test_a_shape_that_nobody_could_read_or_send_gets_no_example(shape):
    assert request_example(tensor(*shape)) == ""


@pytest.mark.parametrize(
    "inputs", [["x"], [{"type": "tensor"}], tensor("a")["inputs"], [None], {"name": "x"}, 7]
)
def test_a_signature_that_is_not_understood_gets_no_example(inputs):
    assert request_example({"inputs": inputs}) == ""
