"""Model files made to harm who opens them, uploaded, registered and deployed on the whole platform.

What such a file wants to run writes down which process ran it.
"""

import base64
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import yaml
from onnx import TensorProto, helper
from sklearn.preprocessing import FunctionTransformer

from tests.hostile.conftest import WebProcesses
from tests.reliability.platform import Platform
from tests.serving.models import make_sklearn_model
from tests.stack import wait_until

pytestmark = pytest.mark.slow

Spoil = Callable[[Path, "Payload"], None]
SETTLED = ("failed", "active", "terminated")
MEBIBYTE = 2**20


class Payload:
    """Unpickling it appends the command line of the process that did to a file."""

    def __init__(self, witness: Path):
        self.witness = witness

    @property
    def code(self) -> str:
        return (
            f"open({str(self.witness)!r}, 'a').write("
            "open('/proc/self/cmdline').read().replace(chr(0), ' ') + chr(10))"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self.code,)


def describe(folder: Path, **flavors: dict[str, Any]) -> None:
    """Change what the MLmodel file says of each flavour."""
    file = folder / "MLmodel"
    content = yaml.safe_load(file.read_text())
    for name, changes in flavors.items():
        content["flavors"].setdefault(name, {}).update(changes)
    file.write_text(yaml.safe_dump(content))


def as_sklearn(written: str, dump: Callable[[Path, Payload], object]) -> Spoil:
    def spoil(folder: Path, payload: Payload) -> None:
        dump(folder / "model.pkl", payload)
        describe(folder, sklearn={"pickled_model": "model.pkl", "serialization_format": written})

    return spoil


def as_pickle_called_skops(folder: Path, payload: Payload) -> None:
    (folder / "model.skops").write_bytes(pickle.dumps(payload))


def as_function_in_skops(folder: Path, payload: Payload) -> None:
    skops.io.dump(FunctionTransformer(os.system), folder / "model.skops")


def as_zip_bomb(folder: Path, payload: Payload) -> None:
    with (
        zipfile.ZipFile(folder / "model.skops", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("schema.json", "w", force_zip64=True) as schema,
    ):
        for _each in range(1200):
            schema.write(b" " * MEBIBYTE)


def as_python_model(folder: Path, payload: Payload) -> None:
    (folder / "python_model.pkl").write_bytes(cloudpickle.dumps(payload))
    describe(
        folder,
        python_function={
            "loader_module": "mlflow.pyfunc.model",
            "python_model": "python_model.pkl",
            "cloudpickle_version": cloudpickle.__version__,
        },
    )


def as_loader_of_its_own(folder: Path, payload: Payload) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "own_loader.py").write_text(payload.code)
    describe(folder, python_function={"loader_module": "own_loader", "code": "code"})


def as_array_example(folder: Path, payload: Payload) -> None:
    np.save(folder / "example.npy", np.array([payload], dtype=object), allow_pickle=True)
    name_example(folder, artifact_path="example.npy", type="ndarray")


def as_pickled_example(folder: Path, payload: Payload) -> None:
    (folder / "serving_input_example.json").write_bytes(pickle.dumps(payload))
    name_example(folder, serving_input_path="serving_input_example.json")


def name_example(folder: Path, **info: str) -> None:
    file = folder / "MLmodel"
    content = yaml.safe_load(file.read_text())
    content["saved_input_example_info"] = info
    file.write_text(yaml.safe_dump(content))


def as_environment(folder: Path, payload: Payload) -> None:
    tag = f"!!python/object/apply:builtins.exec [{json.dumps(payload.code)}]"
    (folder / "conda.yaml").write_text(f"dependencies: {tag}\n")
    (folder / "python_env.yaml").write_text(f"build_dependencies: {tag}\n")
    (folder / "setup.py").write_text(payload.code)
    (folder / "sitecustomize.py").write_text(payload.code)
    (folder / "requirements.txt").write_text("scikit-learn\nhttp://127.0.0.1:9/evil.zip\n-e .\n")


def as_onnx_reading_outside(folder: Path, payload: Payload) -> None:
    secret = payload.witness.with_name("secret")
    secret.write_bytes(np.ones(10, dtype=np.float32).tobytes())
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[10, 1])
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", os.path.relpath(secret, folder)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    as_flavor("onnx", "mlflow.onnx", "model.onnx")(folder, payload)


def as_flavor(name: str, loader: str, file: str, content: bytes = b"") -> Spoil:
    def spoil(folder: Path, payload: Payload) -> None:
        if content or not (folder / file).exists():
            (folder / file).write_bytes(content or pickle.dumps(payload))
        describe(folder, python_function={"loader_module": loader, "data": file}, **{name: {"data": file}})

    return spoil


def pointing_at(path: str) -> Spoil:
    def spoil(folder: Path, payload: Payload) -> None:
        describe(folder, sklearn={"pickled_model": path})

    return spoil


NEEDS_CODE: dict[str, Spoil] = {
    "pickle": as_sklearn("pickle", lambda file, payload: file.write_bytes(pickle.dumps(payload))),
    "cloudpickle": as_sklearn(
        "cloudpickle", lambda file, payload: file.write_bytes(cloudpickle.dumps(payload))
    ),
    "compressed joblib": as_sklearn("joblib", lambda file, payload: joblib.dump(payload, file, compress=9)),
    "python model": as_python_model,
    "loader of its own": as_loader_of_its_own,
}
# What to upload, and a part of what its deployment fails with.
REFUSED: dict[str, tuple[Spoil, str]] = {
    **{name: (spoil, "have an admin allow") for name, spoil in NEEDS_CODE.items()},
    "pickle called skops": (as_pickle_called_skops, "damaged"),
    "function in skops": (as_function_in_skops, "not reviewed"),
    "zip bomb": (as_zip_bomb, "memory"),
    "object array as example": (as_array_example, "not valid JSON"),
    "pickle as example": (as_pickled_example, "not valid JSON"),
    "ONNX that reads outside": (as_onnx_reading_outside, "onnxruntime"),
    "pickle called ONNX": (as_flavor("onnx", "mlflow.onnx", "evil.onnx"), "onnxruntime"),
    "pickle called XGBoost": (as_flavor("xgboost", "mlflow.xgboost", "evil.ubj"), "could not be loaded"),
    "pickle called LightGBM": (as_flavor("lightgbm", "mlflow.lightgbm", "evil.lgb"), "lightgbm"),
    "absolute path": (pointing_at("/etc/passwd"), "leads out of the model directory"),
    "path upwards": (pointing_at("../../../../secret_key"), "leads out of the model directory"),
    "backslashes": (pointing_at("..\\..\\secret_key"), "leads out of the model directory"),
    "NUL": (pointing_at("model.skops\x00/../../x"), "leads out of the model directory"),
    "Windows drive": (pointing_at("C:/Windows/win.ini"), "is missing"),
    "URL": (pointing_at("https://127.0.0.1:9/model.pkl"), "is missing"),
}


class Deployed:
    """Every harmful model, deployed; each outcome is looked at by one test."""

    def __init__(self, platform: Platform, folder: Path):
        self._platform, self._folder = platform, folder
        self._good = make_sklearn_model(folder / "good")
        for name in ("conda.yaml", "python_env.yaml", "input_example.json"):
            (self._good / name).unlink()
        self._ids: dict[str, int] = {}

    def witness(self, name: str) -> Path:
        return self._folder / f"{name} was run".replace(" ", "-")

    def register(self, name: str, spoil: Spoil, **options: Any) -> dict[str, Any]:
        path = self._folder / name.replace(" ", "-")
        shutil.copytree(self._good, path)
        spoil(path, Payload(self.witness(name)))
        return self._platform.register(path, **options)

    def start(self, name: str, spoil: Spoil, **options: Any) -> None:
        version = self.register(name, spoil, **options)
        self._ids[name] = self._platform.start_deployment(version)

    def outcome(self, name: str) -> dict[str, Any]:
        def settled() -> dict[str, Any] | None:
            seen = self._platform.deployment(self._ids[name])
            return seen if seen["status"] in SETTLED else None

        return wait_until(settled, seconds=120, what=f"“{name}” is active or failed", poll=0.5)


@pytest.fixture(scope="module")
def deployed(platform, tmp_path_factory) -> Iterator[Deployed]:
    deployed = Deployed(platform, tmp_path_factory.mktemp("harmful"))
    workers = WebProcesses(platform.stack.processes["worker"].pid)
    pids = workers.pids
    for name, (spoil, _said) in REFUSED.items():
        deployed.start(name, spoil)
    yield deployed
    assert workers.pids == pids
    assert platform.stack.is_ready()


@pytest.mark.parametrize("name", REFUSED)
def test_a_harmful_model_is_refused_with_a_reason_and_runs_nothing(platform, deployed, web, name):
    seen = deployed.outcome(name)
    assert (seen["status"], REFUSED[name][1] in seen["error_message"]) == ("failed", True), seen
    assert not deployed.witness(name).exists()
    assert "Traceback" not in seen["error_message"]


@pytest.mark.parametrize("name", NEEDS_CODE)
def test_code_that_was_allowed_runs_in_a_model_process_only(platform, deployed, web, name):
    allowed = f"allowed {name}"
    deployed.start(allowed, NEEDS_CODE[name], runs_code=True)
    deployed.outcome(allowed)
    ran = deployed.witness(allowed).read_text().splitlines()
    assert ran
    assert all("serving.backends.fork_server" in line for line in ran), ran


def test_files_that_describe_an_environment_are_never_run(platform, deployed, web):
    deployed.start("environment", as_environment)
    assert deployed.outcome("environment")["status"] == "active"
    assert not deployed.witness("environment").exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:builtins.exec [CODE]",
        "flavors: !!python/object/apply:builtins.exec [CODE]",
        "flavors: {sklearn: !!python/name:builtins.exec }",
        "a: &a [x]\n" + "".join(f"b{n}: &b{n} [{', '.join(['*a'] * 9)}]\n" for n in range(2000)),
        "flavors: " + "[" * 10_000,
        "\x00",
    ],
    ids=lambda text: text[:40],
)
def test_a_description_that_is_more_than_data_is_refused(platform, tmp_path, web, text):
    payload = Payload(tmp_path / "was-run")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(text.replace("CODE", json.dumps(payload.code)))
    run_id = platform.upload(folder)
    body = {
        "model_name": f"m-{base64.b16encode(os.urandom(4)).decode()}",
        "run_id": run_id,
        "artifact_path": "model",
    }
    refused = platform.admin.post("/models", body, expect=(400,))
    assert "MLmodel" in refused["detail"]
    assert not payload.witness.exists()
