"""script/server itself: start, supervision, Ctrl-C, and the start after that."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.reliability.platform import Platform
from tests.stack import ROOT, Stack, wait_until

pytestmark = pytest.mark.slow

CHILDREN = {"web": "gunicorn", "worker": " worker ", "beat": " beat ", "agent": "serving_agent"}


class Server(Stack):
    """The same platform as a Stack, started by the script."""

    def run(self) -> float:
        """Start it from somewhere else than its folder; returns the seconds until it is ready."""
        began = time.monotonic()
        self.output = self.data_dir / "output.txt"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [ROOT / "script" / "server", "--no-demo"],
                cwd="/",
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_until(self.is_ready, seconds=60, what=f"the server is ready (see {self.output})", poll=0.05)
        return time.monotonic() - began

    def press_ctrl_c(self) -> int:
        """As a terminal does: to the whole foreground group. Returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)

    def child(self, name: str) -> psutil.Process | None:
        """The supervised process of that name."""
        for process in psutil.Process(self.process.pid).children():
            command = process.as_dict(["cmdline"])["cmdline"] or []  # none when it has just ended
            if CHILDREN[name] in " ".join(command) + " ":
                return process
        return None

    def everything(self) -> list[psutil.Process]:
        """Whatever runs for this server."""
        found = self.model_processes()
        for process in psutil.process_iter():
            try:
                if process.environ().get("SUPERVISED_DATA_DIR") == str(self.data_dir):
                    found.append(process)
            except psutil.Error:
                continue  # it ended meanwhile
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    data_dir = Path(tempfile.mkdtemp(prefix="server-"))
    server = Server(data_dir)
    try:
        server.run()
        yield server
        server.press_ctrl_c()
    finally:
        for process in server.everything():
            process.kill()
    shutil.rmtree(data_dir)


def test_with_no_demo_it_starts_empty_and_prints_a_link_for_an_admin(server):
    output = wait_until(lambda: _greeting(server), seconds=20, what="the server says where it is")

    assert f"Ready at {server.url}" in output
    assert output.count("/sign-in/") == 1
    users = server.manage(
        "shell", "--no-imports", "-c", "from core.models import User; print(User.objects.count())"
    )
    assert users.stdout.strip() == "1"


@pytest.mark.parametrize("name", CHILDREN)
def test_a_killed_child_is_started_again(server, name):
    killed = server.child(name)

    killed.kill()

    wait_until(lambda: server.child(name) not in (killed, None), seconds=20, what=f"there is another {name}")
    wait_until(server.is_ready, seconds=20, what="the server is ready")
    assert {server.child(other) is not None for other in CHILDREN} == {True}


def test_ctrl_c_ends_everything_and_the_next_start_is_ready_within_ten_seconds(
    server, linear_model, linear_row
):
    served = Platform(server).serve(linear_model)
    served.row = linear_row
    assert served.predict().status == 200
    (before,) = served.pids

    exit_code = server.press_ctrl_c()

    assert exit_code == 0
    assert server.everything() == []
    took = server.run()
    print(f"second start ready after {took:.1f} s")  # noqa: T201
    assert took <= 10
    assert served.predict().status == 200, "ready means that predictions are served"
    assert served.pids != {before}


def _greeting(server: Server) -> str:
    text = server.output.read_text()
    return text if "signs in once" in text and text.rstrip().endswith("─") else ""
