"""Taking over the model processes that an earlier backend started."""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any, get_type_hints

from serving.backends.base import ReplicaSpec
from serving.backends.probe import probe
from serving.backends.process_handle import ProcessHandle
from serving.backends.replica import Replica
from serving.backends.run_directory import read_json, remove_replica_directory, replica_directories
from serving.backends.untrusted import number

logger = logging.getLogger(__name__)

FIELDS = get_type_hints(ReplicaSpec)


def adopt_all(run_dir: Path) -> list[Replica]:
    """The replicas whose processes run, those that answer already in state ready.

    Removes what is left of others.
    """
    found = [(directory, _adopt(directory)) for directory in replica_directories(run_dir)]
    for directory, replica in found:
        if replica is None:
            # A process that may still be in there ends itself when its record is gone.
            remove_replica_directory(directory)
    adopted = [replica for _, replica in found if replica is not None]
    asyncio.run(_look_at(adopted))
    return adopted


def _adopt(directory: Path) -> Replica | None:
    record = read_json(directory / "process.json")
    if record is None:
        return None
    try:
        handle = ProcessHandle(record["pid"], record["process_created"])
    except ProcessLookupError:
        return None
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        # A model process may have written anything there; it must not keep the agent from starting.
        logger.warning(
            "%s is not a record of a process (%s) and is removed", directory / "process.json", error
        )
        return None
    return _replica(directory, record, handle)


def _replica(directory: Path, record: dict[str, Any], handle: ProcessHandle) -> Replica | None:
    try:
        spec = ReplicaSpec(**{name: _value(record[name], kind) for name, kind in FIELDS.items()})
        restarts = _value(record["restarts"], int)
    except (KeyError, ValueError) as error:
        logger.warning(
            "process %s in %s was started by another release (%r): ended", handle.pid, directory, error
        )
        handle.kill()
        return None
    replica = Replica(replica=directory.name, spec=spec, directory=directory, restarts=restarts)
    replica.attach(handle)
    return replica


def _value(value: Any, kind: type) -> Any:
    """The value, if it can be that of a field of this type. Raises ValueError otherwise."""
    if kind is float:
        return float(number(value))
    if type(value) is not kind:
        raise ValueError(f"a field that is no {kind.__name__}")
    return number(value) if kind is int else value


async def _look_at(replicas: list[Replica]) -> None:
    """Probe all of them at once: one that serves must not lose its traffic for a restart of the agent."""
    seen = await asyncio.gather(*(probe(replica.socket) for replica in replicas))
    for replica, observation in zip(replicas, seen, strict=True):
        replica.saw(observation, time.monotonic())
