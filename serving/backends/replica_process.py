"""What a child of the fork server does before it is a model process."""

import importlib
import logging
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

import psutil

from serving.backends.run_directory import read_json, write_json_once

MODULES = {"replica": "serving.model_server.process", "check": "serving.model_server.check"}

LEFT_BEHIND_POLL_SECONDS = 2.0
LEFT_BEHIND_GRACE_SECONDS = 5.0
# Linux ends the process with the highest score first when memory runs out: a model before the platform.
OUT_OF_MEMORY_SCORE = "500"


def become(run: str, spec: dict[str, Any]) -> NoReturn:
    """Turn this fresh fork into a model process and never return.

    `spec` holds ReplicaSpec's fields and `directory`, `log`, `socket` or `report`, and for a check
    `end_after_seconds`.
    """
    exit_code = 1
    try:
        cut_ties(Path(spec["log"]))
        directory = Path(spec["directory"])
        os.chdir(directory)
        record(directory / "process.json", spec)
        if "end_after_seconds" in spec:
            # Kept by the kernel, so it holds even if whoever waits for the check is killed.
            signal.setitimer(signal.ITIMER_REAL, spec["end_after_seconds"])
        leave_when_removed(directory / "process.json")
        importlib.import_module(MODULES[run]).run(spec)
        exit_code = 0
    except SystemExit as end:
        exit_code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # Not sys.exit: the stack above this frame belongs to the fork server.
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(exit_code)


def cut_ties(log: Path) -> None:
    """Share nothing with the fork server: session, files, signal handlers, logging, random state."""
    os.setsid()
    _redirect_to(log)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _reset_signals()
    _reset_logging()
    _reseed()
    _prefer_for_out_of_memory()


def record(path: Path, spec: dict[str, Any]) -> None:
    """Write down who this is, so that a backend started later can adopt it.

    A second child started by mistake for the same directory fails here, as does one whose directory was
    removed.
    """
    who = {"pid": os.getpid(), "process_created": psutil.Process().create_time()}
    write_json_once(path, who | spec)


def leave_when_removed(path: Path) -> None:
    """End this process when its record is gone or another's: nobody could find it any more."""
    own = os.getpid()

    def watch() -> None:
        while (read_json(path) or {}).get("pid") == own:
            time.sleep(LEFT_BEHIND_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LEFT_BEHIND_GRACE_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="left-behind", daemon=True).start()


def _redirect_to(log: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reset_logging() -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)


def _reseed() -> None:
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _prefer_for_out_of_memory() -> None:
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text(OUT_OF_MEMORY_SCORE)
