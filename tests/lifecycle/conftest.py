"""What the tests with real model processes share."""

import pytest

from serving.agent import Agent
from serving.backend_choice import serving_backend
from tests.serving.local_backends import wait_until
from tests.serving.models import make_sklearn_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A linear model of real data, saved by MLflow as plain data."""
    return make_sklearn_model(tmp_path_factory.mktemp("linear") / "model")


@pytest.fixture(scope="module")
def backend():
    """This process's backend, as its owner; nothing of it is left running."""
    backend = serving_backend()
    backend.own()
    yield backend
    backend.shutdown(keep_replicas=False)
    serving_backend.cache_clear()


@pytest.fixture
def agent(backend, settings):
    """The serving agent, ticked by the test. What the test leaves running is stopped."""
    settings.SERVING_DRAIN_SECONDS = 0.5
    yield Agent(backend)
    for target in backend.targets():
        backend.stop(target, drain_seconds=0)
    wait_until(lambda: not backend.targets())
