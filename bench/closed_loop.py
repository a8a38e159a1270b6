"""The client of the benchmarks: keeps a number of connections busy and tells what came back, and how fast.

A process of its own (`python -m bench.closed_loop`, plan on stdin, findings on stdout, both JSON), so that its CPU
is told apart from the servers'. A closed loop: each connection asks again as soon as it has its answer.
"""

import dataclasses
import http.client
import itertools
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Plan:
    """What to ask for; `bodies` are sent in turn. Only what ends after the warm-up is measured."""

    url: str
    headers: dict[str, str]
    bodies: list[str]
    connections: int
    seconds: float
    warm_up_seconds: float


@dataclass(frozen=True)
class Findings:
    """What came back in the measured time; `asked` and the errors count what came before and after it too.

    `client_cores` is how many cores this client kept busy. Near one it is the client that is measured: its
    threads share one interpreter.
    """

    answered: int
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    asked: int
    errors: int
    first_error: str
    client_cores: float


class Answer(NamedTuple):
    ended_at: float
    seconds: float
    error: str


@dataclass
class Connection:
    """One kept connection, in a thread of its own."""

    plan: Plan
    bodies: Iterator[bytes]
    until: float
    answers: list[Answer] = field(default_factory=list)

    def run(self) -> None:
        address = urlsplit(self.plan.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=TIMEOUT_SECONDS)
        while (began := time.perf_counter()) < self.until:
            error = self._ask(connection, address.path, next(self.bodies))
            ended = time.perf_counter()
            self.answers.append(Answer(ended, ended - began, error))
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> str:
        """What went wrong, "" when a prediction came back."""
        try:
            connection.request("POST", path, body, self.plan.headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{type(error).__name__}: {error}"
        return "" if response.status == 200 else f"{response.status}: {content[:300]!r}"


def generate(plan: Plan) -> Findings:
    """Put the load on, in this process."""
    began = time.perf_counter() + plan.warm_up_seconds
    until = began + plan.seconds
    connections = _connections(plan, until)
    threads = [threading.Thread(target=connection.run) for connection in connections]
    for thread in threads:
        thread.start()
    time.sleep(max(0.0, began - time.perf_counter()))
    cpu = time.process_time()
    time.sleep(max(0.0, until - time.perf_counter()))
    cpu = time.process_time() - cpu
    for thread in threads:
        thread.join()
    answers = [answer for connection in connections for answer in connection.answers]
    return _judge(answers, began=began, until=until, client_cores=cpu / plan.seconds)


def _connections(plan: Plan, until: float) -> list[Connection]:
    """Each starts at another body."""
    bodies = [body.encode() for body in plan.bodies]
    starts = [number * len(bodies) // plan.connections for number in range(plan.connections)]
    return [Connection(plan, itertools.cycle(bodies[start:] + bodies[:start]), until) for start in starts]


def _judge(answers: list[Answer], *, began: float, until: float, client_cores: float) -> Findings:
    errors = [answer.error for answer in answers if answer.error]
    measured = [answer for answer in answers if not answer.error and began <= answer.ended_at <= until]
    took = sorted(answer.seconds * 1000 for answer in measured)
    return Findings(
        answered=len(took),
        requests_per_second=len(took) / (until - began),
        p50_ms=percentile(took, 0.50),
        p99_ms=percentile(took, 0.99),
        asked=len(answers),
        errors=len(errors),
        first_error=errors[0] if errors else "",
        client_cores=client_cores,
    )


def percentile(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; NaN of none."""
    if not ordered:
        return float("nan")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def generate_elsewhere(plan: Plan) -> Findings:
    """Put the load on, from a fresh process. Raises subprocess.CalledProcessError when that process fails."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.closed_loop"],
        cwd=ROOT,
        input=json.dumps(dataclasses.asdict(plan)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Findings(**json.loads(done.stdout))


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(generate(Plan(**json.load(sys.stdin))))))
