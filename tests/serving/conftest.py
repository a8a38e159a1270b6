"""Models of whole model processes, saved once a session, and processes that answer what a test says."""

import json
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from core.api import callers
from serving.api import invocations
from serving.recorder import recorder
from serving.routes import Routes
from tests.serving import models
from tests.serving.invocations import Process
from tests.serving.models_that_end_badly import make_crashing_model, make_slow_loading_model


class SavedModel(NamedTuple):
    """A model's directory, and a request that it answers (or that triggers what is wrong with it)."""

    path: Path
    body: bytes


def _rows(records: list[dict[str, Any]]) -> bytes:
    return json.dumps({"dataframe_records": records}).encode()


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> SavedModel:
    path = models.make_sklearn_model(tmp_path_factory.mktemp("good") / "model")
    return SavedModel(path, _rows(models.diabetes(1)[0].to_dict("records")))


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory) -> SavedModel:
    """Takes a second for each prediction."""
    return SavedModel(
        models.make_slow_model(tmp_path_factory.mktemp("slow") / "model", 1.0), _rows([{"x": 1.0}])
    )


@pytest.fixture(scope="session")
def hanging_model(tmp_path_factory) -> SavedModel:
    path = models.make_hanging_model(tmp_path_factory.mktemp("hanging") / "model")
    return SavedModel(path, _rows([{"x": models.TRIGGER + 1}]))


@pytest.fixture(scope="session")
def leaking_model(tmp_path_factory) -> SavedModel:
    path = models.make_leaking_model(tmp_path_factory.mktemp("leaking") / "model")
    return SavedModel(path, _rows([{"x": 1.0}]))


@pytest.fixture(scope="session")
def unloadable(tmp_path_factory) -> Path:
    return models.make_unloadable_model(tmp_path_factory.mktemp("unloadable") / "model")


@pytest.fixture(scope="session")
def crashing(tmp_path_factory) -> Path:
    return make_crashing_model(tmp_path_factory.mktemp("crashing") / "model")


@pytest.fixture(scope="session")
def slow_loading(tmp_path_factory) -> Path:
    return make_slow_loading_model(tmp_path_factory.mktemp("slow-loading") / "model")


@pytest.fixture
def start_process():
    started = []
    with tempfile.TemporaryDirectory(prefix="g-") as directory:

        def start():
            process = Process(str(Path(directory) / f"{len(started)}.sock"))
            threading.Thread(target=process.serve_forever, args=(0.02,), daemon=True).start()
            started.append(process)
            return process

        yield start
        for process in started:
            process.shutdown()
            process.server_close()


@pytest.fixture
def fresh_process(monkeypatch):
    """As in a web process that has just started: nothing remembered, nothing waiting."""
    monkeypatch.setattr(invocations, "routes", Routes())
    monkeypatch.setattr(callers, "tokens", callers.TokenMemory())
    yield
    recorder.close()
