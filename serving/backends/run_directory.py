"""Where model processes keep their sockets, records and logs.

<run_dir>/.owner.lock            held by the one backend that reconciles
<run_dir>/.fork.sock .fork.lock  the fork server
<run_dir>/.checks/<id>/          one throw-away check
<run_dir>/<target>/<replica>/    process.json, s (socket), log, exit.json
"""

import hashlib
import json
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from serving.backends.untrusted import LONGEST_TEXT, open_regular, parse, read_object, read_sentence

logger = logging.getLogger(__name__)

# sun_path holds 108 bytes on Linux, 104 on macOS and the BSDs, with a closing zero.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
LONGEST_TARGET = 32
REPLICA_ID_LENGTH = 8
TARGET = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_-]{{0,{LONGEST_TARGET - 1}}}")

CHECKS_NAME = ".checks"
OLD_CHECK_SECONDS = 3600.0
REMOVE_ATTEMPTS = 3

RECORD_BYTES = 2**20
# What processes end with: signals as negative numbers.
EXIT_CODES = range(-64, 256)

LOG_BYTES = 4 * 2**20
LOG_TAIL_BYTES = 16 * 2**10


def short_run_directory(data_dir: Path) -> Path:
    """`<data_dir>/run`, or a private directory under the temporary one when sockets would not fit there.

    The fallback's name is derived from `data_dir`, so that every process of one installation finds the same
    one. Raises PermissionError if somebody else owns it.
    """
    preferred = data_dir.resolve() / "run"
    longest_socket = len(os.fsencode(preferred)) + len(f"/{'t' * LONGEST_TARGET}/{'r' * REPLICA_ID_LENGTH}/s")
    if longest_socket <= SOCKET_PATH_BYTES:
        return private_directory(preferred)
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    return private_directory(Path(tempfile.gettempdir()).resolve() / f"mlops-{digest}")


def private_directory(path: Path) -> Path:
    """Create `path` for its owner only, or make sure that it is so. Raises PermissionError if it is not ours.

    Whoever may write here could answer predictions or have the fork server start a process.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise PermissionError(
            f"{path} is not a directory of this user. Remove it or choose another data directory."
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def check_target(target: str) -> str:
    """The target, if it may be the name of a directory. Raises ValueError otherwise."""
    if not TARGET.fullmatch(target):
        raise ValueError(
            f"{target!r} cannot name what is served: use up to {LONGEST_TARGET} letters, digits, - and _."
        )
    return target


def new_id() -> str:
    return uuid.uuid4().hex[:REPLICA_ID_LENGTH]


def replica_directories(run_dir: Path) -> list[Path]:
    """Every `<target>/<replica>` directory that is there."""
    targets = [path for path in run_dir.iterdir() if TARGET.fullmatch(path.name) and path.is_dir()]
    return [path for target in targets for path in target.iterdir() if path.is_dir()]


def check_directory(run_dir: Path) -> Path:
    """A new directory for one throw-away check."""
    directory = run_dir / CHECKS_NAME / new_id()
    directory.mkdir(mode=0o700, parents=True)
    return directory


def remove_old_checks(run_dir: Path) -> None:
    """Remove what a check left behind whose caller was killed. A process still in there leaves by itself."""
    for directory in (run_dir / CHECKS_NAME).glob("*"):
        if time.time() - directory.stat().st_mtime > OLD_CHECK_SECONDS:
            remove_tree(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory, again if the fork server notes an exit code in it meanwhile."""
    for _ in range(REMOVE_ATTEMPTS):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
    logger.warning("%s could not be removed", directory)


def remove_replica_directory(directory: Path) -> None:
    """Remove it, and its target's when it was the last."""
    remove_tree(directory)
    try:
        directory.parent.rmdir()
    except OSError:
        return  # other replicas of the target are there


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if it is not there, or a model process wrote something else."""
    try:
        return read_object(path, RECORD_BYTES)
    except (OSError, ValueError):
        return None


def read_exit_code(directory: Path, pid: int | None = None) -> int | None:
    """How the process ended, as the fork server noted it; with `pid`, only a note about that process.

    None if there is no note, or a model process wrote something else there.
    """
    note = read_json(directory / "exit.json") or {}
    code = note.get("exit_code")
    about = pid in (None, note.get("pid"))
    return code if about and type(code) is int and code in EXIT_CODES else None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, replacing what is there."""
    temporary = _temporary(path, content)
    os.replace(temporary, path)


def write_json_once(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all.

    Raises FileExistsError if another process was first, FileNotFoundError without directory.
    """
    temporary = _temporary(path, content)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink()


def _temporary(path: Path, content: dict[str, Any]) -> Path:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(content))
    return temporary


def last_lines(log: Path, count: int) -> list[str]:
    """The last `count` lines with text in them, of the last 16 KiB of a log; overlong ones are cut."""
    return [line[:LONGEST_TEXT] for line in _lines(log)[-count:]]


def last_error(log: Path) -> str:
    """The last line of a log; of {"error": source}, which a model server closes with, the sentence."""
    last = "".join(_lines(log)[-1:]).strip()
    try:
        return read_sentence(parse(last)["error"])
    except (ValueError, KeyError, TypeError):
        return last[:LONGEST_TEXT]


def cap_log(log: Path) -> None:
    """Move a log that outgrew 4 MiB aside and empty it.

    Its writer appends (O_APPEND), so it goes on from the start.
    """
    try:
        with open_regular(log, writable=True) as file:
            if file.seek(0, os.SEEK_END) <= LOG_BYTES:
                return
            _replace(log.with_name(f"{log.name}.1"), _tail(file, LOG_BYTES))
            file.truncate(0)
    except FileNotFoundError:
        return  # no process has written yet, or its directory has just been removed
    except OSError as error:
        logger.warning("the log %s could not be emptied: %s", log, error)


def _replace(path: Path, content: bytes) -> None:
    """Write a new file. What is there is removed, not opened: a model process may have put a pipe there."""
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(content)


def _lines(log: Path) -> list[str]:
    try:
        with open_regular(log) as file:
            text = _tail(file, LOG_TAIL_BYTES).decode(errors="replace")
    except OSError:
        return []  # no process has written yet, or the model put something else in the log's place
    return [line for line in text.splitlines() if line.strip()]


def _tail(file: BinaryIO, size: int) -> bytes:
    file.seek(max(0, file.seek(0, os.SEEK_END) - size))
    return file.read(size)
