"""Processes that script/server started: each inherits a mark with its data folder."""

import os
from collections.abc import Iterator

import psutil
from django.conf import settings

MARK = "SUPERVISED_DATA_DIR"


def running_here() -> Iterator[psutil.Process]:
    """Those of a server on this `DATA_DIR`, a supervisor that was killed and left them behind included."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(settings.DATA_DIR) and process.pid != os.getpid():
                yield process
        except psutil.Error:
            continue  # ended meanwhile, or somebody else's: not one that this user started
