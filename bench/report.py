"""From single measurements to what is reported: medians, ratios, tables."""

import statistics
from dataclasses import dataclass

from bench.closed_loop import Findings
from bench.sides import OURS, PEER, Memory, Side


@dataclass(frozen=True)
class Measurement:
    """One side in one cell, once. `other_cores` is what the machine was busy with beside side and client."""

    cell: str
    side: str
    found: Findings
    cpu_ms: dict[str, float]
    other_cores: float


@dataclass(frozen=True)
class Summary:
    """One side in one cell: medians over its repeats, but sums of `answered` and `errors`.

    `ratios` is ours to the peer's requests/s, pair by pair in the order they ran; empty without a peer.
    """

    cell: str
    side: str
    answered: int
    errors: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: dict[str, float]
    client_cores: float
    other_cores: float
    ratios: list[float]


@dataclass(frozen=True)
class Costs:
    """What the processes of a side took: memory after the load, and time to start."""

    model: str
    side: str
    starts: int
    first_prediction_seconds: float
    memory: dict[str, Memory]


def summarise(measured: list[Measurement]) -> list[Summary]:
    """One summary for each cell and side, in the order they were measured."""
    groups: dict[tuple[str, str], list[Measurement]] = {}
    for item in measured:
        groups.setdefault((item.cell, item.side), []).append(item)
    return [
        _summary(group, groups.get((cell, PEER), []) if side == OURS else [])
        for (cell, side), group in groups.items()
    ]


def costs(model: str, side: Side, memory: dict[str, Memory]) -> Costs:
    starts = side.first_prediction_seconds
    return Costs(model, side.name, len(starts), statistics.median(starts), memory)


def tables(summaries: list[Summary], processes: list[Costs]) -> str:
    """The figures in Markdown."""
    figures = _table(
        "model/connections/rows, side, requests/s, p50 ms, p99 ms, answered, errors, "
        "× peer (lowest–highest), CPU ms a request, client cores, other cores",
        [_figures(item) for item in summaries],
    )
    starts = _table(
        "model, side, process start to first prediction, memory after the load: resident (own) MiB",
        [_starts(item) for item in processes],
    )
    return f"{figures}\n\n{starts}"


def _summary(group: list[Measurement], peers: list[Measurement]) -> Summary:
    def median(name: str) -> float:
        return statistics.median(getattr(item.found, name) for item in group)

    pairs = [
        (item.found.requests_per_second, other.found.requests_per_second)
        for item, other in zip(group, peers, strict=bool(peers))
    ]
    return Summary(
        cell=group[0].cell,
        side=group[0].side,
        answered=sum(item.found.answered for item in group),
        errors=sum(item.found.errors for item in group),
        requests_per_second=median("requests_per_second"),
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        cpu_ms={part: statistics.median(item.cpu_ms[part] for item in group) for part in group[0].cpu_ms},
        client_cores=median("client_cores"),
        other_cores=statistics.median(item.other_cores for item in group),
        ratios=[mine / theirs if theirs else float("inf") for mine, theirs in pairs],
    )


def _figures(item: Summary) -> list[str]:
    return [
        item.cell,
        item.side,
        f"{item.requests_per_second:.1f}",
        f"{item.p50_ms:.2f}",
        f"{item.p99_ms:.2f}",
        str(item.answered),
        str(item.errors),
        _ratio(item.ratios),
        ", ".join(f"{part} {value:.2f}" for part, value in item.cpu_ms.items()),
        f"{item.client_cores:.2f}",
        f"{item.other_cores:.2f}",
    ]


def _ratio(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f})" if ratios else ""


def _starts(item: Costs) -> list[str]:
    memory = (f"{part} {one.resident_mib:.0f} ({one.own_mib:.0f})" for part, one in item.memory.items())
    took = f"{item.first_prediction_seconds:.2f} s (starts: {item.starts})"
    return [item.model, item.side, took, ", ".join(memory)]


def _table(head: str, rows: list[list[str]]) -> str:
    columns = head.split(", ")
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, ["---"] * len(columns), *rows])
