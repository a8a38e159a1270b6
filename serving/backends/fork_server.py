"""A warm process that has imported the heavy libraries and forks a model process on request.

Importing scikit-learn, pandas and the rest costs more than a second of CPU; a fork of a process that has
done so costs milliseconds, which is what lets a killed replica be back within two seconds and forty
deployments come up together.

It loads no model and holds no secret: it is started by exec with a scrubbed environment and no inherited
file. There is one per run directory, whoever needs it first starts it (`fork_client`), and it outlives its
starter. It leaves when it is asked to, or when its run directory or its socket is gone. Model processes
survive it.

Protocol on `<run_dir>/.fork.sock` (only this user can reach it): one JSON line, one JSON line back.
    {"do": "fork", "run": "replica" | "check", "spec": {...}}  ->  the child, or {"error": a sentence's source}
    {"do": "leave"}                                            ->  itself
where a process is {"pid": 1234, "process_created": 1795252516.8}.
"""

import fcntl
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import psutil

from core.sentences import sentence as _
from core.sentences import source_of
from serving.backends import replica_process
from serving.backends.run_directory import write_json

logger = logging.getLogger(__name__)

SOCKET_NAME = ".fork.sock"
LOCK_NAME = ".fork.lock"
BACKLOG = 128
# A client that connects and then says nothing holds up the others for this long.
LINE_TIMEOUT_SECONDS = 2.0
LONGEST_LINE = 1_000_000
STILL_REACHABLE_INTERVAL_MS = 1000


class ForkServer:
    """Answers one request after the other, and collects the children that end."""

    def __init__(self, listener: socket.socket, socket_path: Path) -> None:
        self._listener = listener
        self._socket_path = socket_path
        self._inode = socket_path.stat().st_ino
        self._children: dict[int, Path] = {}
        self._asked_to_leave = False
        self._child_ended = _readable_when_a_child_ends()
        self._poll = select.poll()
        for descriptor in (listener.fileno(), self._child_ended):
            self._poll.register(descriptor, select.POLLIN)

    def run(self) -> None:
        while not self._asked_to_leave and self._still_reachable():
            readable = {descriptor for descriptor, _ in self._poll.poll(STILL_REACHABLE_INTERVAL_MS)}
            if self._child_ended in readable:
                os.read(self._child_ended, 4096)
            self._collect_ended()
            if self._listener.fileno() in readable:
                self._answer_next()
        self._collect_ended()

    def _still_reachable(self) -> bool:
        """False once the run directory was removed or another server has taken over the socket's name."""
        try:
            return self._socket_path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def _collect_ended(self) -> None:
        """Leave no zombie, and note how a child ended, which only its parent gets to know."""
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            directory = self._children.pop(pid)
            try:
                write_json(
                    directory / "exit.json", {"pid": pid, "exit_code": os.waitstatus_to_exitcode(status)}
                )
            except FileNotFoundError:
                continue  # its directory is gone: nobody wants to know
            except OSError as error:
                # A full disk: whoever waits for the exit code waits a moment and goes on without it.
                logger.warning("the exit code of %s was not noted: %s", pid, error)

    def _answer_next(self) -> None:
        connection, _address = self._listener.accept()
        with connection:
            connection.settimeout(LINE_TIMEOUT_SECONDS)
            try:
                answer = self._answer(json.loads(connection.makefile("rb").readline(LONGEST_LINE)))
                connection.sendall(json.dumps(answer).encode() + b"\n")
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("a client of the fork server went away or sent no request: %s", error)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "leave":
            self._asked_to_leave = True
            self._socket_path.unlink(missing_ok=True)
            return _who(os.getpid())
        try:
            pid = os.fork()
        except OSError as error:
            return {"error": source_of(_("No process could be started: %s.") % error)}
        if pid == 0:
            replica_process.become(request["run"], request["spec"])
        self._children[pid] = Path(request["spec"]["directory"])
        # It cannot be gone: even if it has ended, it stays a zombie until it is collected.
        return _who(pid)


def _who(pid: int) -> dict[str, Any]:
    return {"pid": pid, "process_created": psutil.Process(pid).create_time()}


def _readable_when_a_child_ends() -> int:
    """The descriptor of a pipe that a SIGCHLD writes to."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    # Any Python handler will do: without one the signal is ignored and the descriptor never written.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read_end


def take_lock(run_dir: Path) -> int | None:
    """The lock that makes it the only one, kept for life; None if another fork server lives."""
    lock = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def listen(socket_path: Path) -> socket.socket:
    socket_path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(socket_path))
    listener.listen(BACKLOG)
    return listener


def leave_the_starter() -> None:
    """Become a daemon, so that the starter has no child to wait for and its end does not end this."""
    if os.fork():
        os._exit(0)
    os.setsid()


def warm_up() -> None:
    """Import what model processes need.

    Here and not at the top: clients may queue on the socket meanwhile.
    """
    importlib.import_module("serving.model_server.preload").preload()
    # Objects from before the fork are never collected, so their pages stay shared between the children.
    gc.collect()
    gc.freeze()


def main(run_dir: Path) -> NoReturn:
    """Serve the run directory until asked to leave. Returns to the starter as soon as clients can connect."""
    os.umask(0o077)
    if take_lock(run_dir) is None:
        sys.exit(0)
    socket_path = run_dir / SOCKET_NAME
    listener = listen(socket_path)
    leave_the_starter()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    warm_up()
    logger.info("fork server ready in %s", run_dir)
    ForkServer(listener, socket_path).run()
    sys.exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
