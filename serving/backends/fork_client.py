"""Asking the fork server of a run directory, starting it when there is none."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import serving
from core.sentences import Sentence, joined, said
from core.sentences import sentence as _
from serving.backends.fork_server import SOCKET_NAME
from serving.backends.process_handle import ProcessHandle
from serving.backends.run_directory import cap_log, last_lines, read_json

# Importing everything takes 1 to 2 s of CPU; a machine with forty models coming up can be slow to give it.
ANSWER_TIMEOUT_SECONDS = 60.0
START_TIMEOUT_SECONDS = 30.0
RECORD_TIMEOUT_SECONDS = 1.0
LEAVE_TIMEOUT_SECONDS = 5.0
ATTEMPTS = 3
LOG_NAME = "fork_server.log"

# All that a model process may inherit; database addresses and keys are in none of these.
KEPT_ENVIRONMENT = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
    "PYTHONPATH", "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip


class ForkServerError(RuntimeError):
    """No process could be started; `detail` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def why_not_started(error: Exception) -> str:
    """A sentence for people."""
    if isinstance(error, ForkServerError):
        return error.detail
    return _("No process could be started: %s.") % error


def launch(run_dir: Path, run: str, spec: dict[str, Any]) -> ProcessHandle:
    """Have the fork server fork a "replica" or a "check". Raises ForkServerError if it cannot.

    Raises ProcessLookupError if the process had ended before a hold on it could be taken.
    """
    answer: dict[str, Any] | None = None
    for _attempt in range(ATTEMPTS):
        try:
            answer = ask(run_dir, {"do": "fork", "run": run, "spec": spec})
        except ConnectionError:
            # The server died while it worked on this. The child, if there is one, writes its record at once.
            answer = _wait_for_record(Path(spec["directory"]) / "process.json")
        if answer is not None:
            break
    if answer is None:
        raise ForkServerError(joined([_("The fork server ends before it answers."), _last_words(run_dir)]))
    if "error" in answer:
        raise ForkServerError(said(answer["error"]))
    return ProcessHandle(answer["pid"], answer["process_created"])


def leave(run_dir: Path) -> None:
    """Ask the fork server to leave, if there is one, and wait until it has. Model processes stay."""
    try:
        with _connect(run_dir) as connection:
            leaving = _exchange(connection, {"do": "leave"})
        process = ProcessHandle(leaving["pid"], leaving["process_created"])
    except (FileNotFoundError, ConnectionError, ProcessLookupError):
        return  # there is none, or it left before it could say so
    if not process.wait(LEAVE_TIMEOUT_SECONDS):
        raise ForkServerError(_("The fork server %d does not leave.") % process.pid)


def ask(run_dir: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request and return the answer.

    Raises ConnectionError if the server dies before it has answered.
    """
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while True:
        try:
            connection = _connect(run_dir)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise _does_not_come_up(run_dir) from None
            _start(run_dir)
            continue
        with connection:
            return _exchange(connection, request)


def _connect(run_dir: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_TIMEOUT_SECONDS)
        connection.connect(os.fspath(run_dir / SOCKET_NAME))
    except BaseException:
        connection.close()
        raise
    return connection


def _exchange(connection: socket.socket, request: dict[str, Any]) -> dict[str, Any]:
    connection.sendall(json.dumps(request).encode() + b"\n")
    with connection.makefile("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("The fork server closed the connection.")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _start(run_dir: Path) -> None:
    """Start it and return when it listens; nothing happens if another one is alive or being started."""
    if not run_dir.is_dir():
        raise ForkServerError(_("The run directory %s is gone.") % run_dir)
    cap_log(run_dir / LOG_NAME)
    package_root = Path(serving.__file__).resolve().parent.parent
    try:
        with (run_dir / LOG_NAME).open("ab") as log:
            subprocess.run(
                [sys.executable, "-m", "serving.backends.fork_server", os.fspath(run_dir)],
                cwd=package_root,
                env=scrubbed_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=START_TIMEOUT_SECONDS,
                check=False,  # whether it listens is seen by connecting
            )
    except subprocess.TimeoutExpired as error:
        raise _does_not_come_up(run_dir) from error
    time.sleep(0.02)


def scrubbed_environment() -> dict[str, str]:
    """What the fork server starts with. One BLAS thread: a process that has started threads must not fork."""
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _wait_for_record(path: Path) -> dict[str, Any] | None:
    deadline = time.monotonic() + RECORD_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if (record := read_json(path)) is not None:
            return record
        time.sleep(0.02)
    return None


def _does_not_come_up(run_dir: Path) -> ForkServerError:
    return ForkServerError(joined([_("The fork server does not come up."), _last_words(run_dir)]))


def _last_words(run_dir: Path) -> Sentence:
    lines = last_lines(run_dir / LOG_NAME, 1)
    return _("Its last line was: %s") % lines[0] if lines else _("It wrote no log.")
