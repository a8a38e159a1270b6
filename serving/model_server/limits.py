"""Bounds on a model process: memory, files, threads, privileges, environment.

They limit the damage a model can do by accident and some of what it could do on purpose. They are not a
sandbox: the process still has its user's rights to files and network.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

from threadpoolctl import ThreadpoolController

# RLIMIT_DATA counts writable address space, touched or not: thread stacks (8 MiB each) and allocator arenas
# that are never used. Measured for an idle replica with scikit-learn: 300 MiB counted where 190 MiB are
# resident. The slack keeps the limit from striking before memory_bytes are really in use; the backend watches
# the resident size.
DATA_SLACK_BYTES = 512 << 20
OPEN_FILES = 1024
CHECK_NICENESS = 5
# Measured with HistGradientBoosting(100 trees) and two threads on two cores: no gain for one row, and answers
# of seconds instead of milliseconds when other processes want the cores too.
ROWS_WORTH_THREADS = 256
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def apply(*, memory_bytes: int, cpu: int, temp: Path, cpu_seconds: int | None = None) -> None:
    """Put this process under its limits for good; call before the model is loaded.

    `cpu_seconds` bounds a throw-away check; a serving process runs for as long as it is wanted.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_DATA, memory_bytes + DATA_SLACK_BYTES)
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, cpu_seconds)
    _refuse_new_privileges()
    scrub_environment(temp=temp, cpu=cpu)


def scrub_environment(*, temp: Path, cpu: int) -> None:
    """Leave only what a model needs: no credentials, no settings of the platform."""
    temp.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = os.environ.get("PATH", os.defpath)
    os.environ.clear()
    os.environ.update(PATH=path, LANG="C.UTF-8", HOME=str(temp), TMPDIR=str(temp))
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(cpu)))
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")


class Threads:
    """How many threads BLAS and OpenMP may use in calls from the thread that made this object.

    The environment variables above are read when a library is first loaded, which was before a fork; and
    OpenMP keeps its number per calling thread, so the thread that predicts must be the one to ask.
    """

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._controller = ThreadpoolController()
        self._given = 0

    def give_for(self, rows: int) -> None:
        """One thread for few rows, all for many: threads that meet after each small step only wait for each
        other.
        """
        wanted = self._cpu if rows >= ROWS_WORTH_THREADS else 1
        if wanted != self._given:
            self._controller.limit(limits=wanted)
            self._given = wanted


def _lower(kind: int, wanted: int) -> None:
    _, hard = resource.getrlimit(kind)
    bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (bound, bound))


def _refuse_new_privileges() -> None:
    """No set-uid program may raise the rights of this process or its children (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS) failed")
