"""A hold on a process that somebody else started."""

import contextlib
import os
import select
import signal
import sys
import time
import weakref

import psutil

from core.sentences import sentence as _

# psutil computes a creation time from the boot time, which moves by up to a second when the clock is
# corrected.
CREATED_TOLERANCE_SECONDS = 2.0
WAIT_INTERVAL_SECONDS = 0.01


class ProcessHandle:
    """One process, known by pid and creation time so that a recycled pid is never taken for it.

    On Linux a pidfd tells the exit at once and for the price of one poll; elsewhere psutil is asked.
    Raises ProcessLookupError if no such process lives.
    """

    def __init__(self, pid: int, created: float) -> None:
        self.pid = pid
        self.created = created
        self._pidfd = _open_pidfd(pid)
        self.close = weakref.finalize(self, _close, self._pidfd)
        # After opening the pidfd: if the times agree now, the pidfd cannot belong to a later process.
        self._process = _matching_process(pid, created)

    def alive(self) -> bool:
        if self._pidfd is not None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            return not poll.poll(0)
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within so many seconds."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(WAIT_INTERVAL_SECONDS)
        return True

    def rss(self) -> int:
        """Resident memory in bytes, 0 once it has ended."""
        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return 0

    def terminate(self) -> None:
        """Ask it to leave (SIGTERM)."""
        try:
            self._process.terminate()
        except psutil.NoSuchProcess:
            return  # it has left already, which is what was asked

    def kill(self) -> None:
        """SIGKILL it and everything in its process group (a model may have started workers of its own)."""
        if self.alive():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.kill()  # by itself too: it may be too young to lead a group
        self.kill_group()

    def kill_group(self) -> None:
        """SIGKILL what is left of its group. Only right after its end: the number may be used again later."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return  # nobody is left, or (macOS) only a zombie


def signal_name(number: int) -> str:
    """What people call a signal; real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return _("signal %d") % number


def _open_pidfd(pid: int) -> int | None:
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    return os.pidfd_open(pid)


def _close(pidfd: int | None) -> None:
    if pidfd is not None:
        os.close(pidfd)


def _matching_process(pid: int, created: float) -> psutil.Process:
    try:
        process = psutil.Process(pid)
        found = process.create_time()
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(f"No process {pid} is running.") from error
    if abs(found - created) > CREATED_TOLERANCE_SECONDS:
        raise ProcessLookupError(f"Process {pid} is another one than the one started at {created}.")
    return process
