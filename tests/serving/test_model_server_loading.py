"""Which model files are loaded, and which are refused with a sentence that says what to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.models import infer_signature
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from core.sentences import source_of
from serving.model_server.errors import CannotLoad
from serving.model_server.mlmodel import MLModel
from serving.model_server.model import ServedModel
from serving.model_server.reviewed_types import REVIEWED_TYPES
from serving.model_server.tree_bounds import check_trees
from tests.serving.model_process import make_spec
from tests.serving.models import diabetes, make_hanging_model, make_sklearn_model, make_unloadable_model


def load(path: Path, **changed: Any) -> ServedModel:
    return ServedModel(make_spec(path, path.parent, **changed), MLModel(path))


def predict_example(served: ServedModel) -> Any:
    return served.predictor.predict(*served.example.inputs())


def mixed_pipeline() -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = ColumnTransformer(
        [("n", numbers, ["age", "bmi"]), ("c", OneHotEncoder(), ["sex"])], remainder="drop"
    )
    return make_pipeline(columns, RandomForestRegressor(5, random_state=0))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(5, random_state=0),
        GradientBoostingRegressor(n_estimators=5),
        HistGradientBoostingRegressor(max_iter=5),
        DecisionTreeRegressor(),
        BaggingRegressor(n_estimators=3, max_features=0.5),
        IsolationForest(n_estimators=3),
        mixed_pipeline(),
        make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(3,), max_iter=5)),
        VotingRegressor([("tree", DecisionTreeRegressor()), ("line", LinearRegression())]),
        StackingRegressor([("tree", DecisionTreeRegressor()), ("line", LinearRegression())]),
        GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=2),
        GaussianProcessRegressor(RBF() + WhiteKernel()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_scikit_learn_models_load_from_skops_and_predict_as_they_did(estimator: Any, tmp_path: Path) -> None:
    served = load(make_sklearn_model(tmp_path / "m", estimator))
    assert predict_example(served) == pytest.approx(estimator.predict(diabetes(3)[0]), rel=1e-9)


def test_classifiers_load_and_may_answer_probabilities(tmp_path: Path) -> None:
    X, y = diabetes()
    for number, estimator in enumerate(
        [
            RandomForestClassifier(5),
            HistGradientBoostingClassifier(max_iter=3),
            CalibratedClassifierCV(LogisticRegression()),
        ]
    ):
        path = make_sklearn_model(
            tmp_path / str(number), estimator, X, (y > 150).astype(int), pyfunc_predict_fn="predict_proba"
        )
        assert predict_example(load(path)) == pytest.approx(estimator.predict_proba(X[:3]), rel=1e-9)


def test_every_reviewed_type_exists_and_says_why() -> None:
    from skops.io._utils import gettype

    for name, why in REVIEWED_TYPES.items():
        module, _, attribute = name.rpartition(".")
        assert gettype(module, attribute) is not None
        assert why.endswith(".")


def test_types_the_file_trusts_by_itself_are_not_believed(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m", KNeighborsRegressor())
    assert (
        "sklearn.neighbors._kd_tree.KDTree"
        in yaml.safe_load((path / "MLmodel").read_text())["flavors"]["sklearn"]["skops_trusted_types"]
    )
    with pytest.raises(CannotLoad, match=r"not reviewed.*KDTree.*ONNX"):
        load(path)


def own_step(X: Any) -> Any:
    return X


def test_a_function_of_the_author_in_a_skops_file_is_refused(tmp_path: Path) -> None:
    path = make_sklearn_model(
        tmp_path / "m", make_pipeline(FunctionTransformer(own_step), LinearRegression())
    )
    with pytest.raises(CannotLoad, match=r"not reviewed.*own_step"):
        load(path)


def test_pickles_load_only_where_code_was_allowed(tmp_path: Path) -> None:
    path = make_hanging_model(tmp_path / "m")
    with pytest.raises(CannotLoad, match="runs code of its author"):
        load(path)
    assert predict_example(load(path, allow_code=True)).tolist() == [2.0, 4.0]


def test_a_model_file_that_raises_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match="RuntimeError: this file was never meant to be opened"):
        load(make_unloadable_model(tmp_path / "m"), allow_code=True)


def test_a_damaged_skops_file_is_a_sentence(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    (path / "model.skops").write_bytes(b"PK\x05\x06 nonsense")
    with pytest.raises(CannotLoad):
        load(path)


@pytest.mark.parametrize(
    "estimator",
    [RandomForestRegressor(3), GradientBoostingRegressor(n_estimators=3), DecisionTreeRegressor()],
)
@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 10**6), ("left_child", 0), ("feature", 99), ("feature", -5)]
)
def test_a_tree_that_points_outside_itself_is_refused(estimator: Any, field: str, value: int) -> None:
    estimator.fit(*diabetes())
    check_trees(estimator)
    trees = np.ravel(getattr(estimator, "estimators_", [estimator]))
    tree = trees[-1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(CannotLoad, match="points outside itself"):
        check_trees(estimator)


@pytest.mark.parametrize(
    ("field", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 99), ("is_categorical", 1)]
)
def test_a_histogram_tree_that_points_outside_itself_is_refused(field: str, value: int) -> None:
    model = HistGradientBoostingRegressor(max_iter=3).fit(*diabetes())
    check_trees(model)
    model._predictors[1][0].nodes[field][0] = value
    with pytest.raises(CannotLoad, match="points outside itself"):
        check_trees(model)


def test_a_tree_hidden_where_no_estimator_checks_it_is_refused() -> None:
    model = LinearRegression().fit(*diabetes())
    model.extra_ = {"hidden": [DecisionTreeRegressor().fit(*diabetes()).tree_]}
    with pytest.raises(CannotLoad, match="points outside itself"):
        check_trees(model)


@pytest.mark.parametrize("written", ["/etc/passwd", "../other/model.skops", "a/../../x", "a\\b"])
@pytest.mark.parametrize(("flavor", "key"), [("sklearn", "pickled_model"), ("python_function", "data")])
def test_a_path_in_mlmodel_may_not_leave_the_directory(
    flavor: str, key: str, written: str, tmp_path: Path
) -> None:
    path = make_sklearn_model(tmp_path / "m")
    content = yaml.safe_load((path / "MLmodel").read_text())
    content["flavors"][flavor][key] = written
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(CannotLoad, match="leads out of the model directory"):
        MLModel(path)


def test_a_symbolic_link_may_not_leave_the_directory(tmp_path: Path) -> None:
    path = make_sklearn_model(tmp_path / "m")
    (tmp_path / "outside").write_text("x")
    (path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(CannotLoad, match="symbolic link"):
        MLModel(path)


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "flavors: 5", "!!python/object/apply:os.system ['true']", "flavors: {}"]
)
def test_a_malformed_mlmodel_file_is_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(CannotLoad, match="MLmodel"):
        _ = MLModel(tmp_path).flavor


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "x: " + "[" * 51 + "]" * 51,
        "- " * 60 + "x",
        "[" + "," * 20_000 + "]",
        "{a: 1, " * 10_001,
    ],
    ids=["unclosed", "deep", "deep blocks", "many", "both"],
)
def test_yaml_beyond_any_models_description_is_refused_before_it_is_built(text: str, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(CannotLoad, match="MLmodel file"):
        MLModel(tmp_path)


def test_an_impossible_date_in_mlmodel_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\nutc_time_created: 2024-99-99")
    with pytest.raises(CannotLoad, match="not valid YAML"):
        MLModel(tmp_path)


def test_a_refusal_carries_its_source(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad) as refused:
        MLModel(tmp_path)
    assert source_of(refused.value.detail) == {
        "id": "There is no MLmodel file; log the model in MLflow's format."
    }


def test_a_directory_without_mlmodel_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotLoad, match="no MLmodel file"):
        MLModel(tmp_path)


def test_a_missing_package_is_named_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_onnx_model(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CannotLoad, match="pip install onnxruntime"):
        load(path)


def test_numbers_reach_a_plain_estimator_as_an_array_with_the_same_answer(tmp_path: Path) -> None:
    served = load(make_sklearn_model(tmp_path / "m", RandomForestRegressor(5)))
    first, second = predict_example(served), predict_example(served)
    assert served.predictor._array_dtype == np.float64
    assert np.array_equal(first, second)


def test_an_estimator_that_selects_columns_by_name_gets_a_frame(tmp_path: Path) -> None:
    served = load(make_sklearn_model(tmp_path / "m", mixed_pipeline()))
    predict_example(served)
    assert served.predictor._array_dtype is None


def test_threads_asked_for_in_training_are_bounded_by_the_replica(tmp_path: Path) -> None:
    served = load(make_sklearn_model(tmp_path / "m", RandomForestRegressor(3, n_jobs=-1)), cpu=1)
    assert served.predictor._call.__self__.n_jobs == 1


def make_onnx_model(path: Path) -> Path:
    """Adds 1 to each of two numbers."""
    onnx = pytest.importorskip("onnx")
    mlflow_onnx = pytest.importorskip("mlflow.onnx")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    one = helper.make_tensor("one", floats, [1], [1.0])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["sum"])],
        "add",
        [helper.make_tensor_value_info("x", floats, [None, 2])],
        [helper.make_tensor_value_info("sum", floats, [None, 2])],
        [one],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    X = np.array([[1.0, 2.0]], dtype=np.float32)
    mlflow_onnx.save_model(model, str(path), signature=infer_signature(X), pip_requirements=["onnxruntime"])
    return path


def test_onnx_models_load_without_running_code_and_answer_by_output_name(tmp_path: Path) -> None:
    served = load(make_onnx_model(tmp_path / "m"))
    inputs, params = served.scoring.from_json(b'{"inputs": [[1, 2], [3, 4]]}')
    assert served.predictor.predict(inputs, params)["sum"].tolist() == [[2.0, 3.0], [4.0, 5.0]]


def test_xgboost_models_load_from_their_plain_data_format(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    import mlflow.xgboost

    X, y = diabetes()
    signature = infer_signature(X, y)
    model = xgboost.XGBRegressor(n_estimators=3).fit(X, y)
    for name, saved in [("wrapper", model), ("booster", model.get_booster())]:
        mlflow.xgboost.save_model(saved, str(tmp_path / name), signature=signature, input_example=X[:3])
        assert predict_example(load(tmp_path / name)) == pytest.approx(model.predict(X[:3]))


def test_lightgbm_boosters_load_from_text_and_pickled_wrappers_do_not(tmp_path: Path) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    import mlflow.lightgbm

    X, y = diabetes()
    model = lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(X, y)
    arguments = {"signature": infer_signature(X, y), "input_example": X[:3]}
    mlflow.lightgbm.save_model(model.booster_, str(tmp_path / "text"), **arguments)
    assert predict_example(load(tmp_path / "text")) == pytest.approx(model.predict(X[:3]))
    mlflow.lightgbm.save_model(
        model, str(tmp_path / "pickle"), serialization_format="cloudpickle", **arguments
    )
    with pytest.raises(CannotLoad, match="runs code of its author"):
        load(tmp_path / "pickle")


def test_other_flavours_load_through_python_function_only_where_code_was_allowed(tmp_path: Path) -> None:
    import cloudpickle
    import mlflow.pyfunc

    class Scaled(mlflow.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return (model_input["x"] * params["factor"]).tolist()

    X = pd.DataFrame({"x": [1.0, 2.0]})
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    mlflow.pyfunc.save_model(
        str(tmp_path / "m"),
        python_model=Scaled(),
        signature=infer_signature(X, [1.0], params={"factor": 2.0}),
        pip_requirements=["cloudpickle"],
    )
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    with pytest.raises(CannotLoad, match="runs code of its author"):
        load(tmp_path / "m")
    served = load(tmp_path / "m", allow_code=True)
    inputs, params = served.scoring.from_json(b'{"dataframe_records": [{"x": 3}], "params": {"factor": 5}}')
    assert served.predictor.predict(inputs, params) == [15.0]


def test_an_example_with_every_column_type_and_gaps_is_read_as_mlflow_wrote_it(tmp_path: Path) -> None:
    X = pd.DataFrame(
        {
            "gap": [1.0, None],
            "when": pd.to_datetime(["2024-01-01T00:00:00", "2024-01-02T03:04:05"]),
            "raw": [b"x", b"y"],
            "flag": [True, False],
            "text": [None, "x"],
            "list": [[1, 2], [3]],
            "thing": [{"p": 1}, {"p": 2}],
            "count": pd.array([1, None], dtype="Int64"),
        }
    )
    path = make_sklearn_model(tmp_path / "m", DummyRegressor(), X, [1.0, 3.0])
    served = load(path)
    inputs, _ = served.example.inputs()
    frame = inputs.data
    assert served.example.logged
    assert frame["raw"].tolist() == [b"x", b"y"]
    assert frame["when"].tolist() == X["when"].tolist()
    assert frame.isna().to_numpy().tolist() == X.isna().to_numpy().tolist()
    assert served.predictor.predict(inputs, {}).tolist() == [2.0, 2.0]
