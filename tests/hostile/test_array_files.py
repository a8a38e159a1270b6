"""Arrays as NumPy writes them (npy, npz): nothing outside a model process opens one, and in there no pickle is run."""

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lifecycle.operations.registry import register_version
from tests.factories import make_client, make_file, make_model_run, make_user
from tests.hostile.test_model_files import Deployed, Payload, Spoil

GIANT = (10**9, 10**3)


def objects(payload: Payload) -> bytes:
    return written(np.array([payload], dtype=object))


def written(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def giant(payload: Payload) -> bytes:
    """A header that announces terabytes, and 80 bytes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": GIANT})
    return file.getvalue() + b"\x00" * 80


def cut_short(payload: Payload) -> bytes:
    return written(np.zeros(1000))[:500]


def packed(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", content)
    return file.getvalue()


FILES: dict[str, Callable[[Payload], bytes]] = {
    "objects.npy": objects,
    "objects.npz": lambda payload: packed(objects(payload)),
    "giant.npy": giant,
    "giant.npz": lambda payload: packed(giant(payload)),
    "bomb.npz": lambda payload: packed(b"\x00" * 50_000_000),
    "short.npy": cut_short,
    "short.npz": lambda payload: packed(cut_short(payload))[:-30],
    "pickle.npy": pickle.dumps,
}


@pytest.fixture
def payload(tmp_path) -> Iterator[Payload]:
    payload = Payload(tmp_path / "was-run")
    yield payload
    assert not payload.witness.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("media_type", ["application/x-npy", "application/x-npz", "application/octet-stream"])
def test_no_array_is_taken_for_a_prediction(payload, name, media_type):
    response = make_client("operator").generic(
        "POST",
        "/api/v1/ml/lifecycle/serve/churn/production/invocations",
        FILES[name](payload),
        content_type=media_type,
    )
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.django_db
def test_an_array_among_the_files_of_a_run_and_a_model_is_kept_as_it_is_and_never_opened(
    payload, settings, tmp_path
):
    settings.ARTIFACT_ROOT = str(tmp_path / "artifacts")
    author = make_user("scientist")
    client, run = make_client(user=author), make_model_run(created_by=author)
    files = {name: make(payload) for name, make in FILES.items()}  # once: the zips among them hold the time
    for name, content in files.items():
        make_file(run, f"model/{name}", content)
    register_version(actor=author, model_name="churn", run_id=run.run_id, artifact_path="model")
    for name, content in files.items():
        response = client.get(f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts/model/{name}")
        assert b"".join(response.streaming_content) == content


def in_skops(make: Callable[[Payload], bytes]) -> Spoil:
    """Each array of a skops file, which is a zip of npy files, in another form."""

    def spoil(folder: Path, payload: Payload) -> None:
        file = folder / "model.skops"
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        assert any(name.endswith(".npy") for name in members)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, make(payload) if name.endswith(".npy") else content)

    return spoil


# What to put in, and a part of what the deployment fails with.
IN_MODELS: dict[str, tuple[Callable[[Payload], bytes], str]] = {
    "objects": (objects, "a pickle in the place of an array"),
    "giant": (giant, "does not fit into"),
    "cut short": (cut_short, "expected 8000 bytes"),
    "pickle": (pickle.dumps, "a pickle in the place of an array"),
}


@pytest.fixture(scope="module")
def deployed(platform, tmp_path_factory) -> Deployed:
    deployed = Deployed(platform, tmp_path_factory.mktemp("arrays"))
    for name, (make, _said) in IN_MODELS.items():
        deployed.start(name, in_skops(make))
    return deployed


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_MODELS)
def test_a_model_of_arrays_that_are_none_is_refused_with_a_reason(deployed, web, name):
    seen = deployed.outcome(name)
    assert (seen["status"], "Traceback" in seen["error_message"]) == ("failed", False), seen
    assert IN_MODELS[name][1] in seen["error_message"], seen
    assert not deployed.witness(name).exists()
