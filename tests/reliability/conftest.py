"""One real platform for the whole session: its processes are killed and started again, its data stays."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.platform import Platform, Served
from tests.serving import models
from tests.stack import Stack

GIBIBYTE = 2**30
# "tight" lets what goes wrong be seen soon.
INSTANCE_TYPES = {
    "small": {"cpu": 1, "memory_bytes": GIBIBYTE, "timeout_seconds": 10},
    "tight": {"cpu": 1, "memory_bytes": GIBIBYTE // 2, "timeout_seconds": 1},
}


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    # Not a folder of pytest's: its long name leaves no room for a socket's.
    data_dir = Path(tempfile.mkdtemp(prefix="stack-"))
    with Stack(data_dir, INSTANCE_TYPES=json.dumps(INSTANCE_TYPES)) as stack:
        yield Platform(stack)
    shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def linear_model(tmp_path_factory) -> Path:
    """A good model: small, and with a real signature."""
    return models.make_sklearn_model(tmp_path_factory.mktemp("linear") / "model")


@pytest.fixture(scope="session")
def linear_row() -> dict[str, float]:
    return models.diabetes(1)[0].to_dict("records")[0]


@pytest.fixture
def serve(platform, linear_model, linear_row) -> Iterator[Callable[..., Served]]:
    """Deploys a saved model, or the linear one; whatever serves under its name ends with the test."""
    served: list[Served] = []

    def start(path: Path | None = None, **options: Any) -> Served:
        new = platform.serve(path or linear_model, runs_code=path is not None, **options)
        if path is None:
            new.row = linear_row
        served.append(new)
        return new

    yield start
    for one in served:
        found = platform.admin.get(f"/deployments?model_name={one.model_name}&status=active")["results"]
        for deployment in found:
            platform.terminate(deployment["id"])


@pytest.fixture
def neighbour(serve, platform) -> Iterator[Served]:
    """A good deployment with traffic; the test fails if a request of it does, or if its process changes."""
    served = serve()
    pids = served.pids
    with platform.traffic(served, clients=2, pause_seconds=0.02) as traffic:
        yield served
        traffic.wait_for(50)
    assert traffic.failures == []
    assert served.pids == pids
