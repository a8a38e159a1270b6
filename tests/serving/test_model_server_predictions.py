"""What models return, cut by rows and written as JSON."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.model_server.errors import ModelFailed
from serving.model_server.predictions import body, row_count, rows


@pytest.mark.parametrize(
    ("result", "written"),
    [
        (np.array([1.5, np.nan, np.inf]), [1.5, None, None]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([[1, 2], [3, 4]]).T, [[1, 3], [2, 4]]),
        (np.array([True, False]), [True, False]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array(["a", None, 1], dtype=object), ["a", None, 1]),
        (np.array([1], dtype=">f8"), [1.0]),
        ([np.float32(0.5), np.int64(3), np.bool_(True)], [0.5, 3, True]),
        (pd.DataFrame({"x": [1.0, np.nan], "y": ["a", "b"]}), [{"x": 1.0, "y": "a"}, {"x": None, "y": "b"}]),
        (pd.Series([1, 2]), [1, 2]),
        (
            pd.DataFrame({"t": [pd.Timestamp("2024-01-01"), pd.NaT]}),
            [{"t": "2024-01-01T00:00:00"}, {"t": None}],
        ),
        ({"out": np.array([[1.0]])}, {"out": [[1.0]]}),
        ([datetime.date(2024, 1, 1), b"xy"], ["2024-01-01", "eHk="]),
        ("text", "text"),
    ],
)
def test_predictions_become_plain_json(result: Any, written: Any) -> None:
    assert json.loads(body(result)) == {"predictions": written}


@pytest.mark.parametrize("result", [object(), [1j], {1, 2}])
def test_what_has_no_json_form_is_the_models_failure(result: Any) -> None:
    with pytest.raises(ModelFailed, match="cannot be written as JSON"):
        body(result)


@pytest.mark.parametrize(
    "result",
    [
        np.arange(4),
        np.arange(8).reshape(4, 2),
        pd.DataFrame({"x": range(4)}),
        pd.Series(range(4)),
        list(range(4)),
        {"a": np.arange(4), "b": np.arange(8).reshape(4, 2)},
        [np.arange(4), np.arange(4)],
    ],
)
def test_rows_of_a_batch_are_cut_apart(result: Any) -> None:
    assert row_count(result) == 4
    part = rows(result, 1, 3)
    assert row_count(part) == 2
    assert body(part) == body(rows(rows(result, 0, 3), 1, 3))


@pytest.mark.parametrize("result", [5, "text", None, {"a": np.arange(2), "b": np.arange(3)}, np.array(5.0)])
def test_what_has_no_rows_is_not_cut(result: Any) -> None:
    assert row_count(result) is None
