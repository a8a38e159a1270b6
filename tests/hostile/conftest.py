"""A real platform for the tests about sockets, memory and processes."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.reliability.platform import Platform, Served
from tests.serving import models
from tests.stack import Stack


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    # Not a folder of pytest's: its long name leaves no room for a socket's.
    data_dir = Path(tempfile.mkdtemp(prefix="hostile-"))
    # One process, as the smallest set-up has: whoever stops it stops everything.
    with Stack(data_dir, WEB_WORKERS="1") as stack:
        yield Platform(stack)
    shutil.rmtree(data_dir)


@pytest.fixture(scope="session")
def served(platform: Platform, tmp_path_factory) -> Served:
    """A linear model that answers predictions."""
    one = platform.serve(models.make_sklearn_model(tmp_path_factory.mktemp("linear") / "model"))
    one.row = models.diabetes(1)[0].to_dict("records")[0]
    return one


@pytest.fixture(scope="session")
def port(platform: Platform) -> int:
    return platform.stack.port


@pytest.fixture(scope="session")
def admin_token(platform: Platform) -> str:
    return platform.stack.token("adam", "admin")


class WebProcesses:
    """The web server's processes, seen from outside."""

    def __init__(self, pid: int):
        self._main = psutil.Process(pid)

    @property
    def pids(self) -> list[int]:
        return sorted(process.pid for process in self._all())

    @property
    def megabytes(self) -> float:
        return sum(process.memory_info().rss for process in self._all()) / 2**20

    @property
    def open_files(self) -> int:
        return sum(process.num_fds() for process in self._all())

    def _all(self) -> list[psutil.Process]:
        return [self._main, *self._main.children(recursive=True)]


@pytest.fixture
def web(platform: Platform) -> Iterator[WebProcesses]:
    """The web server; the test fails if a process of it dies meanwhile."""
    processes = WebProcesses(platform.stack.processes["web"].pid)
    before = processes.pids
    yield processes
    assert processes.pids == before
    assert platform.stack.is_ready()
