"""What a request may hold: MLflow's scoring formats, read strictly by the signature."""

from __future__ import annotations

import datetime
import json
from typing import Any

import numpy as np
import pytest

from serving.model_server.errors import CannotLoad, Refused, TooLarge
from serving.model_server.scoring import Scoring
from serving.model_server.signature import Signature
from tests.serving.model_process import split


def make_scoring(
    *columns: Any, params: Any = None, max_rows: int = 100, takes_params: bool = True
) -> Scoring:
    """Scoring for columns written as ("name", "type") or ("name", "type", required), or as whole dicts."""
    inputs = [
        column
        if isinstance(column, dict)
        else {"name": column[0], "type": column[1], "required": column[2] if len(column) > 2 else True}
        for column in columns
    ]
    return Scoring(Signature({"inputs": inputs, "params": params}), max_rows, takes_params)


def make_tensor_scoring(dtype: str, shape: list[int], name: str | None = None) -> Scoring:
    spec: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return make_scoring(spec | ({"name": name} if name else {}))


def parse(scoring: Scoring, content: Any) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return scoring.parse(body, "application/json")[0]


def refusal(scoring: Scoring, content: Any, content_type: str = "application/json") -> Refused:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(Refused) as caught:
        scoring.parse(body, content_type)
    return caught.value


TWO = (("a", "double"), ("b", "long"))


@pytest.mark.parametrize(
    "content",
    [
        split(["a", "b"], [1.5, 2], [3, 4]),
        {"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1.5], [4, 3]], "index": [0, 1]}},
        {"dataframe_records": [{"a": 1.5, "b": 2}, {"b": 4, "a": 3}]},
        {"instances": [{"a": 1.5, "b": 2}, {"a": 3, "b": 4}]},
        {"inputs": {"a": [1.5, 3], "b": [2, 4]}},
    ],
)
def test_every_json_format_gives_the_same_rows(content: Any) -> None:
    frame = parse(make_scoring(*TWO), content).frame()
    assert frame.to_dict("list") == {"a": [1.5, 3.0], "b": [2, 4]}
    assert [str(dtype) for dtype in frame.dtypes] == ["float64", "int64"]


def test_csv_is_read_by_the_types_of_the_signature() -> None:
    scoring = make_scoring(("code", "string"), ("n", "long"), ("x", "double", False), ("ok", "boolean"))
    table, _ = scoring.parse(b'n,code,x,ok\r\n7,007,,true\r\n8,"a,b",2,False\r\n', "text/csv; charset=utf-8")
    frame = table.frame()
    assert frame["code"].tolist() == ["007", "a,b"]
    assert frame["n"].tolist() == [7, 8]
    assert np.isnan(frame["x"][0])
    assert frame["ok"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1.5,2.0\n", 'Column "b", row 1: "2.0" is not of type long'),
        ("a,b\nnan,2\n", 'Column "a", row 1: "nan" is not of type double'),
        ("a,b\n1_0,2\n", 'Column "a", row 1'),
        ("a,b\n1,2\n,2\n", 'Column "a", row 2: null is not allowed'),
        ("a,b\n1\n", "Row 1 has 1 cells where the header has 2"),
        ("a\n1\n", 'Missing column "b"'),
        ("", "The CSV is empty"),
        ("a,b\n", "holds no rows"),
        ('a,b\n"1,2\n', "not valid CSV"),
    ],
)
def test_csv_that_does_not_fit_is_refused(text: str, said: str) -> None:
    assert said in refusal(make_scoring(*TWO), text.encode(), "text/csv").detail


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("double", "5"),
        ("double", True),
        ("double", [1.0]),
        ("double", 2**53 + 1),
        ("float", 2**24 + 1),
        ("float", 1e39),
        ("long", 1.5),
        ("long", 1.0),
        ("long", True),
        ("long", "1"),
        ("long", 2**63),
        ("integer", 2**31),
        ("integer", -(2**31) - 1),
        ("boolean", 1),
        ("boolean", "true"),
        ("string", 5),
        ("string", True),
        ("binary", "not base64!"),
        ("binary", 5),
        ("datetime", "yesterday"),
        ("datetime", 1700000000),
        ("datetime", "9999-01-01T00:00:00"),
    ],
)
def test_a_value_of_another_type_is_refused_naming_column_and_row(kind: str, value: Any) -> None:
    good = {"double": 1.0, "float": 1.0, "long": 1, "integer": 1, "boolean": True}.get(kind, "2020-01-01")
    good = "eA==" if kind == "binary" else good
    refused = refusal(make_scoring(("age", kind)), split(["age"], [good], [value]))
    assert refused.status == 400
    assert refused.detail.startswith('Column "age", row 2: ')


@pytest.mark.parametrize(
    ("kind", "sent", "dtype", "value"),
    [
        ("double", 5, "float64", 5.0),
        ("double", 2**60, "float64", 2.0**60),
        ("float", 0.1, "float32", np.float32(0.1)),
        ("long", -(2**63), "int64", -(2**63)),
        ("integer", 2**31 - 1, "int32", 2**31 - 1),
        ("boolean", False, "bool", False),
        ("string", "", "str", ""),
        ("binary", "eHk=\n", "object", b"xy"),
        ("datetime", "2024-01-01T01:00:00+01:00", "datetime64[ns]", datetime.datetime(2024, 1, 1)),
    ],
)
def test_a_value_of_the_right_type_keeps_its_worth_and_gets_the_dtype(
    kind: str, sent: Any, dtype: str, value: Any
) -> None:
    column = parse(make_scoring(("c", kind)), split(["c"], [sent])).frame()["c"]
    assert str(column.dtype) == dtype
    assert column[0] == value


@pytest.mark.parametrize("content", [split(["a", "b"], [1.5, None]), {"inputs": {"a": [1.5], "b": [None]}}])
def test_null_in_a_required_column_is_refused(content: Any) -> None:
    assert refusal(make_scoring(*TWO), content).detail.startswith('Column "b", row 1: null is not allowed')


def test_an_optional_column_may_be_null_or_left_out() -> None:
    scoring = make_scoring(
        ("a", "double"), ("n", "long", False), ("s", "string", False), ("t", "boolean", False)
    )
    frame = parse(
        scoring, {"dataframe_records": [{"a": 1.0, "n": 5, "s": "x", "t": True}, {"a": 2.0}]}
    ).frame()
    assert frame["n"].tolist()[0] == 5.0
    assert frame.iloc[1].isna().tolist() == [False, True, True, True]
    assert parse(scoring, split(["a"], [1.0])).frame()["n"].isna().all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (split(["a"], [1.0]), 'Missing column "b"'),
        (split(["a", "b", "z"], [1.0, 2, 3]), 'Unknown column "z"'),
        (split(["a", "a"], [1.0, 2.0]), "given twice"),
        (split(["a", "b"], [1.0]), "Row 1 has 1 values where 2 columns"),
        (split(["a", "b"], {"a": 1}), "Row 1 has no array"),
        ({"dataframe_split": {"data": [[1.0, 2]]}}, "column names are missing"),
        ({"dataframe_split": {"columns": ["a", "b"]}}, "dataframe_split"),
        ({"dataframe_split": {"columns": ["a", {}], "data": [[1, 2]]}}, "array of column names"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2]], "index": [1, 2]}}, '"index"'),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 2]], "dtype": "x"}}, "dataframe_split"),
        ({"dataframe_records": [{"a": 1.0, "b": 2}, {"a": 1.0}]}, 'Row 2: Missing column "b"'),
        ({"dataframe_records": [5]}, "Row 1 is not an object"),
        ({"dataframe_records": {"a": 1}}, "array of objects"),
        ({"instances": [[1.0, 2]]}, "send each row as an object"),
        ({"inputs": {"a": [1.0], "b": [2, 3]}}, "different numbers of values"),
        ({"inputs": {"a": 1.0, "b": 2}}, 'Column "a" must be an array'),
        ({"inputs": 5}, '"inputs" must be'),
        ({"inputs": []}, "no rows"),
        ({}, "exactly one of"),
        ({"inputs": [], "instances": []}, "exactly one of"),
        ({"inputs": [], "extra": 1}, 'Unknown key "extra"'),
        ([1], "must be a JSON object"),
        (b'{"inputs": [NaN]}', "JSON has no NaN"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"", "not valid JSON"),
    ],
)
def test_a_malformed_request_is_refused_with_what_is_wrong(content: Any, said: str) -> None:
    refused = refusal(make_scoring(*TWO), content)
    assert (refused.status, refused.code) == (400, "invalid")
    assert said in refused.detail


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json; charset=euc-kr", "text/html"])
def test_another_media_type_is_415(content_type: str) -> None:
    assert refusal(make_scoring(*TWO), b"{}", content_type).status == 415


@pytest.mark.parametrize(
    "content", [{"inputs": {"a": [1.0] * 4, "b": [1] * 4}}, split(["a", "b"], *[[1.0, 1]] * 4)]
)
def test_too_many_rows_are_413(content: Any) -> None:
    with pytest.raises(TooLarge, match="at most 3"):
        parse(make_scoring(*TWO, max_rows=3), content)


def test_columns_without_names_go_by_position() -> None:
    scoring = make_scoring({"type": "double"}, {"type": "string"})
    assert parse(scoring, {"inputs": [[1.0, "x"]]}).frame().to_dict("list") == {0: [1.0], 1: ["x"]}
    assert "without names" in refusal(scoring, split(["a", "b"], [1.0, "x"])).detail
    assert parse(make_scoring({"type": "string"}), {"inputs": ["x", "y"]}).rows == 2


def test_arrays_objects_and_maps_are_checked_to_their_leaves() -> None:
    scoring = make_scoring(
        {"name": "l", "type": "array", "items": {"type": "long"}},
        {
            "name": "o",
            "type": "object",
            "properties": {"p": {"type": "string"}, "q": {"type": "long", "required": False}},
        },
        {"name": "m", "type": "map", "values": {"type": "double"}},
        {"name": "any", "type": "any"},
    )
    names = ["l", "o", "m", "any"]
    assert parse(scoring, split(names, [[1], {"p": "x"}, {"k": 1}, [None, {"deep": 1}]])).rows == 1
    for place, wrong in [
        (0, [1.5]),
        (0, [None]),
        (0, 5),
        (1, {}),
        (1, {"p": 5}),
        (1, {"p": "x", "z": 1}),
        (2, {"k": "v"}),
    ]:
        row: list[Any] = [[], {"p": "x"}, {}, 1]
        row[place] = wrong
        assert f'Column "{names[place]}", row 1' in refusal(scoring, split(names, row)).detail


def test_a_tensor_must_have_its_shape_and_type() -> None:
    scoring = make_tensor_scoring("float32", [-1, 2])
    array = parse(scoring, {"inputs": [[1, 2.5], [None, 4]]}).data
    assert array.dtype == np.float32
    assert np.isnan(array[1, 0])
    for wrong in (
        [[1.0]],
        [[1.0, 2.0, 3.0]],
        [1.0, 2.0],
        [[1.0, 2.0], [1.0]],
        [["1", 2]],
        [[[1.0], [2.0]]],
        [[], []],
    ):
        assert refusal(scoring, {"inputs": wrong}).status == 400


def test_integer_tensors_are_bounded_by_their_type() -> None:
    scoring = make_tensor_scoring("uint8", [-1, 2])
    assert parse(scoring, {"instances": [[0, 255]]}).data.dtype == np.uint8
    assert "row 2" in refusal(scoring, {"instances": [[0, 255], [256, 0]]}).detail
    assert refusal(scoring, {"instances": [[None, 1]]}).status == 400


def test_named_tensors_come_by_name_in_both_formats() -> None:
    scoring = make_tensor_scoring("float64", [-1, 1], name="x")
    for content in ({"inputs": {"x": [[1.0]]}}, {"instances": [{"x": [1.0]}]}, {"inputs": [[1.0]]}):
        assert parse(scoring, content).arrays["x"].tolist() == [[1.0]]
    assert 'Missing tensor "x"' in refusal(scoring, {"inputs": {"y": [[1.0]]}}).detail
    assert "send them under" in refusal(scoring, split(["x"], [1.0])).detail


PARAMS = [
    {"name": "k", "type": "long", "default": 3, "shape": None},
    {"name": "weights", "type": "double", "default": [1.0], "shape": [-1]},
]


def test_params_are_checked_and_filled_with_defaults() -> None:
    scoring = make_scoring(("a", "double"), params=PARAMS)
    body = json.dumps(split(["a"], [1.0]) | {"params": {"weights": [1, 2.5]}}).encode()
    assert scoring.parse(body, "application/json")[1] == {"k": 3, "weights": [1, 2.5]}


@pytest.mark.parametrize(
    "params", [{"k": "3"}, {"k": None}, {"weights": 1.0}, {"weights": ["x"]}, {"z": 1}, [1]]
)
def test_a_wrong_param_is_refused(params: Any) -> None:
    scoring = make_scoring(("a", "double"), params=PARAMS)
    assert "aram" in refusal(scoring, split(["a"], [1.0]) | {"params": params}).detail


def test_params_a_model_cannot_use_are_refused_instead_of_ignored() -> None:
    scoring = make_scoring(("a", "double"), params=PARAMS, takes_params=False)
    assert "takes no params" in refusal(scoring, split(["a"], [1.0]) | {"params": {"k": 1}}).detail


@pytest.mark.parametrize(
    "inputs",
    [
        [{"type": "double", "name": "a"}, {"type": "double", "name": "a"}],
        [{"type": "double", "name": "a"}, {"type": "double"}],
        [{"type": "quaternion", "name": "a"}],
        [{"type": "tensor", "tensor-spec": {"dtype": "complex128", "shape": [-1]}}],
        [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": []}}],
        [{"name": "a"}],
        ["a"],
    ],
)
def test_a_signature_that_cannot_be_enforced_is_not_served(inputs: Any) -> None:
    with pytest.raises(CannotLoad):
        Signature({"inputs": inputs})


def test_a_missing_signature_says_how_to_log_one() -> None:
    with pytest.raises(CannotLoad, match="infer_signature"):
        Signature(None)


def test_many_requests_join_in_order() -> None:
    scoring = make_scoring(("a", "double"), ("n", "long", False))
    tables = [parse(scoring, split(["a", "n"], [float(i), None if i else 1])) for i in range(3)]
    joined = tables[0].join(tables)
    assert joined.rows == 3
    assert joined.frame()["a"].tolist() == [0.0, 1.0, 2.0]
    assert joined.frame()["n"].isna().tolist() == [False, True, True]
