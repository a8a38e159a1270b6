"""Trying a model in a throw-away process before anything is deployed."""

import dataclasses
import math
import signal
import time
from pathlib import Path

from serving.backends.base import CheckReport, ReplicaSpec
from serving.backends.fork_client import launch
from serving.backends.process_handle import ProcessHandle, signal_name
from serving.backends.run_directory import check_directory, last_lines, read_json, remove_tree

POLL_SECONDS = 0.02
LOG_LINES = 20
# The process ends itself this long after its time limit if whoever waits for it was killed.
ORPHAN_SLACK_SECONDS = 5.0
EXIT_CODE_WAIT_SECONDS = 0.2


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
    found = read_json(report)
    if found is not None and not killed_because:
        return CheckReport(**found)
    return _died(killed_because or _why_it_died(exit_code), last_lines(log, LOG_LINES))


def _wait(handle: ProcessHandle, spec: ReplicaSpec, time_limit_seconds: float) -> str:
    """Wait for the end of the process, or bring it about.

    Returns why it had to be killed, "" if it had not.
    """
    deadline = time.monotonic() + time_limit_seconds
    try:
        while handle.alive():
            if (rss := handle.rss()) > spec.memory_bytes:
                limit, used = spec.memory_bytes >> 20, rss >> 20
                return f"Loading the model takes more memory than its limit of {limit} MiB ({used} MiB)."
            if time.monotonic() > deadline:
                return f"The check of the model was not done after {time_limit_seconds:g} s and was stopped."
            time.sleep(POLL_SECONDS)
        return ""
    finally:
        handle.kill()
        handle.close()


def _exit_code(directory: Path) -> int | None:
    """What the fork server noted; None if it does not within a moment, because it was killed itself."""
    deadline = time.monotonic() + EXIT_CODE_WAIT_SECONDS
    while (ended := read_json(directory / "exit.json")) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return int(ended["exit_code"]) if ended else None


def _why_it_died(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return (
            "The process that tried the model was killed, most likely because the machine ran out of memory."
        )
    if code is not None and code < 0:
        name = signal_name(-code)
        return f"The process that tried the model crashed ({name}). Use the versions it was logged with."
    return f"The process that tried the model ended without a report (exit code {code}); its log says why."


def _died(error: str, log: list[str]) -> CheckReport:
    return CheckReport(ok=False, error=error, log=[*log, error])
