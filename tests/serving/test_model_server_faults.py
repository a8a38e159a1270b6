"""Models that hang, leak, fail to load or run out of memory end their own process and nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.models import infer_signature

from core.sentences import source_of
from serving.backends.run_directory import last_error
from tests.serving.model_process import ModelProcess, split
from tests.serving.models import (
    diabetes,
    make_greedy_model,
    make_hanging_model,
    make_leaking_model,
    make_sklearn_model,
    make_slow_model,
    make_unloadable_model,
)

GOOD, BAD = split(["x"], [1.0]), split(["x"], [5000.0])


def test_a_hung_predict_is_answered_504_and_the_process_leaves_with_70(tmp_path: Path) -> None:
    with ModelProcess(make_hanging_model(tmp_path / "m"), allow_code=True, timeout_seconds=1.0) as process:
        process.ready()
        assert process.predict(GOOD) == (200, {"predictions": [2.0]})
        with ThreadPoolExecutor(4) as pool:
            began = time.monotonic()
            hung = pool.submit(process.predict, BAD)
            time.sleep(0.3)
            waiting = [pool.submit(process.predict, GOOD) for _ in range(3)]
            assert hung.result()[0] == 504
            assert [answer.result()[0] for answer in waiting] == [503] * 3
        assert 1.0 <= time.monotonic() - began < 2.5
        assert process.exit_code(3) == 70


def test_not_ready_is_never_hidden_by_a_running_predict_within_its_time(tmp_path: Path) -> None:
    with ModelProcess(make_slow_model(tmp_path / "m", 0.8), allow_code=True, timeout_seconds=2.0) as process:
        process.ready()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(process.predict, GOOD)
            time.sleep(0.2)
            assert process.request("GET", "/ready")[0] == 200
            assert asked.result()[0] == 200


def test_requests_that_are_each_in_time_are_not_joined_into_a_hang(tmp_path: Path) -> None:
    """A model that takes 0.3 s a row would take 4.8 s for 16 rows at once, against a limit of 1 s."""
    with ModelProcess(
        make_slow_per_row_model(tmp_path / "m"), allow_code=True, timeout_seconds=1.0
    ) as process:
        process.ready()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: process.predict(GOOD)[0], range(8)))
        assert answers == [200] * 8


def make_slow_per_row_model(path: Path) -> Path:
    import sys

    import cloudpickle
    import mlflow.sklearn
    import numpy as np
    import pandas as pd
    from sklearn.base import BaseEstimator

    class SlowPerRow(BaseEstimator):
        def predict(self, X):
            time.sleep(0.3 * len(X))
            return np.asarray(X)[:, 0]

    X = pd.DataFrame({"x": [1.0]})
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    mlflow.sklearn.save_model(
        SlowPerRow(),
        str(path),
        serialization_format="cloudpickle",
        signature=infer_signature(X, np.array([1.0])),
        pip_requirements=["scikit-learn"],
    )
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    return path


def test_a_predict_out_of_memory_is_answered_500_and_the_process_leaves_with_72(tmp_path: Path) -> None:
    with ModelProcess(make_greedy_model(tmp_path / "m"), allow_code=True, memory_bytes=400 << 20) as process:
        process.ready()
        status, answer = process.predict(BAD)
        assert (status, answer["code"]) == (500, "model_error")
        assert "out of memory" in answer["detail"]
        assert process.exit_code(3) == 72


def test_a_leaking_model_meets_the_limit_of_its_own_process(tmp_path: Path) -> None:
    with ModelProcess(
        make_leaking_model(tmp_path / "m", 50), allow_code=True, memory_bytes=300 << 20
    ) as process:
        process.ready()
        statuses = []
        for _ in range(40):
            statuses.append(process.predict(GOOD)[0])
            if statuses[-1] != 200:
                break
        assert statuses[-1] == 500
        assert statuses.count(200) > 3
        assert process.exit_code(3) == 72


@pytest.mark.parametrize(
    ("allow_code", "said"), [(True, "never meant to be opened"), (False, "runs code of its author")]
)
def test_a_model_that_cannot_load_leaves_with_71_and_says_why(
    allow_code: bool, said: str, tmp_path: Path
) -> None:
    with ModelProcess(make_unloadable_model(tmp_path / "m"), allow_code=allow_code) as process:
        assert process.exit_code(30) == 71
        error = last_error(Path(process.spec["log"]))
    assert said in error
    assert source_of(error)["values"]


def test_a_model_that_cannot_answer_its_own_example_is_never_ready(tmp_path: Path) -> None:
    X, y = diabetes()
    short = infer_signature(X[["age"]], y)
    path = make_sklearn_model(tmp_path / "m", signature=short, input_example=X[["age"]][:2])
    with ModelProcess(path) as process:
        assert process.exit_code(30) == 71
        error = last_error(Path(process.spec["log"]))
    assert "could not predict on the logged input example" in error
    assert [part["id"] for part in source_of(error)] == [
        "The model could not predict on %(example)s: %(why)s",
        "Log an input_example that the model can answer.",
    ]


def test_an_example_that_hangs_leaves_with_70_and_says_so(tmp_path: Path) -> None:
    with ModelProcess(make_slow_model(tmp_path / "m", 60), allow_code=True, timeout_seconds=0.5) as process:
        assert process.exit_code(30) == 70
        assert "did not answer within 0.5 s" in last_error(Path(process.spec["log"]))
