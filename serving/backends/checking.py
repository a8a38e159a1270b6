"""Trying a model in a throw-away process before anything is deployed."""

import dataclasses
import math
import signal
import time
from pathlib import Path

from core.sentences import sentence as _
from serving.backends.base import CheckReport, ReplicaSpec
from serving.backends.check_report import read_report
from serving.backends.fork_client import launch
from serving.backends.process_handle import ProcessHandle, signal_name
from serving.backends.run_directory import check_directory, last_lines, read_exit_code, remove_tree

POLL_SECONDS = 0.02
LOG_LINES = 20
# The process ends itself this long after its time limit if whoever waits for it was killed.
ORPHAN_SLACK_SECONDS = 5.0
EXIT_CODE_WAIT_SECONDS = 0.2
UNREADABLE = _(
    "The process that tried the model wrote a report that cannot be read. "
    "Look at what the model's code does when it is loaded."
)


def check(run_dir: Path, spec: ReplicaSpec, *, time_limit_seconds: float) -> CheckReport:
    """What a throw-away process finds out about a model; a process that dies is a report that says so.

    Raises ForkServerError or OSError when no process could be started, which says nothing about the model.
    """
    directory = check_directory(run_dir)
    try:
        return _check_in(directory, run_dir, spec, time_limit_seconds)
    finally:
        remove_tree(directory)


def _check_in(directory: Path, run_dir: Path, spec: ReplicaSpec, time_limit_seconds: float) -> CheckReport:
    report, log = directory / "report.json", directory / "log"
    paths = {"directory": str(directory), "report": str(report), "log": str(log)}
    limit = {
        "time_limit_seconds": math.ceil(time_limit_seconds),
        "end_after_seconds": time_limit_seconds + ORPHAN_SLACK_SECONDS,
    }
    try:
        handle = launch(run_dir, "check", dataclasses.asdict(spec) | paths | limit)
    except ProcessLookupError:
        killed_because = ""  # it was over before we could look
    else:
        killed_because = _wait(handle, spec, time_limit_seconds)
    exit_code = _exit_code(directory)
    try:
        found = None if killed_because else read_report(report)
    except ValueError:
        return _died(UNREADABLE, log)
    return found or _died(killed_because or _why_it_died(exit_code), log)


def _wait(handle: ProcessHandle, spec: ReplicaSpec, time_limit_seconds: float) -> str:
    """Wait for the end of the process, or bring it about.

    Returns why it had to be killed, "" if it had not.
    """
    deadline = time.monotonic() + time_limit_seconds
    try:
        while handle.alive():
            if (rss := handle.rss()) > spec.memory_bytes:
                return _(
                    "Loading the model takes more memory than its limit of %(limit)d MiB (%(used)d MiB)."
                ) % {"limit": spec.memory_bytes >> 20, "used": rss >> 20}
            if time.monotonic() > deadline:
                seconds = f"{time_limit_seconds:g}"
                return _("The check of the model was not done after %s s and was stopped.") % seconds
            time.sleep(POLL_SECONDS)
        return ""
    finally:
        handle.kill()
        handle.close()


def _exit_code(directory: Path) -> int | None:
    """What the fork server noted; None if it does not within a moment, because it was killed itself."""
    deadline = time.monotonic() + EXIT_CODE_WAIT_SECONDS
    while (code := read_exit_code(directory)) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return code


def _why_it_died(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return _(
            "The process that tried the model was killed, most likely because the machine ran out of memory."
        )
    if code is None:
        return _("The process that tried the model ended without a report; its log says why.")
    if code < 0:
        return _(
            "The process that tried the model crashed (%s). Use the versions it was logged with."
        ) % signal_name(-code)
    return (
        _("The process that tried the model ended without a report (exit code %d); its log says why.") % code
    )


def _died(error: str, log: Path) -> CheckReport:
    return CheckReport(ok=False, error=error, log=[*last_lines(log, LOG_LINES), error])
