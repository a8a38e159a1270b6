"""What the agent believes of what a model process says about itself."""

import asyncio
import json
from pathlib import Path

import pytest

from serving.backends.base import ReplicaSpec
from serving.backends.probe import Observation, probe
from serving.backends.replica import Replica

STATS = {"queue_depth": 2, "in_flight": 1, "requests": 7, "errors": 0, "waited_seconds": 1.5}


def seen(tmp_path: Path, stats: str) -> Observation:
    """Probe a process that answers /ready with 200 and /stats with `stats`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(stats)}\r\n\r\n{stats}".encode())
        await writer.drain()
        writer.close()

    async def ask() -> Observation:
        async with await asyncio.start_unix_server(answer, tmp_path / "s"):
            return await probe(tmp_path / "s")

    return asyncio.run(ask())


def test_the_counters_of_a_ready_process_are_taken(tmp_path):
    found = seen(tmp_path, json.dumps(STATS | {"rows": 9}))

    assert (found.answered, found.ready) == (True, True)
    assert (found.stats["requests"], found.waited_seconds) == (7, 1.5)


@pytest.mark.parametrize(
    "stats",
    [
        "no JSON",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps(STATS | {"requests": "many"}),
        json.dumps(STATS | {"requests": float("inf")}),
        json.dumps(STATS | {"requests": -1}),
        json.dumps(STATS | {"errors": 10**400}),
        json.dumps(STATS | {"waited_seconds": float("nan")}),
        json.dumps(STATS | {"waited_seconds": 10**400}),
    ],
)
def test_counters_that_cannot_be_are_as_good_as_no_answer(tmp_path, stats):
    assert seen(tmp_path, stats) == Observation(answered=False)


def test_the_queue_of_a_replica_is_the_mean_between_two_probes(tmp_path):
    spec = ReplicaSpec("7", 1, "model", False, 1, 2**30, 10.0, 100, 2**20, 10)
    replica = Replica(replica="r", spec=spec, directory=tmp_path)

    replica.saw(Observation(True, True, {"queue_depth": 9}, waited_seconds=100.0), now=50.0)
    assert replica.status().queue_depth == 0
    replica.saw(Observation(True, True, {"queue_depth": 0}, waited_seconds=112.0), now=52.0)
    assert replica.status().queue_depth == 6
