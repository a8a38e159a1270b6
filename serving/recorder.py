"""Writes down what was asked of the models, without making any answer wait for the database.

Requests are put in memory and one thread per process writes them in batches: the single requests to
`RequestLog`, and their sums to `RequestSums`. While the database is away the sums are kept however long it
takes; single requests are kept up to a bound, and those beyond it are dropped, counted and logged.
"""

import atexit
import logging
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, close_old_connections, connections, transaction

from serving import histogram
from serving.models import RequestLog, RequestSums
from serving.states import Span

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
BATCH_SIZE = 500
MAX_WAITING = 10_000
# Sampled inputs and outputs that wait may not fill the memory either.
MAX_WAITING_CHARACTERS = 16 * 1024**2
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 10.0
SUMS_A_QUERY = 100


class PredictionRecord(NamedTuple):
    """One request that was answered; the fields are those of `RequestLog`."""

    request_id: str
    deployment_id: int
    at: datetime
    status: int
    latency_ms: float
    rows: int = 0
    retried: bool = False
    user_id: int | None = None
    input: str = ""
    output: str = ""


@dataclass(slots=True)
class Sums:
    """What `RequestSums` holds, of requests not yet written."""

    last_at: datetime
    count: int = 0
    errors: int = 0
    client_errors: int = 0
    rows: int = 0
    latency_sum_ms: float = 0.0
    histogram: dict[str, int] = field(default_factory=dict)

    def add(self, record: PredictionRecord) -> None:
        """Count one request: 5xx are errors, 4xx are the caller's; the rest have a latency worth knowing."""
        self.last_at = max(self.last_at, record.at)
        self.count += 1
        self.rows += record.rows
        if record.status >= 500:
            self.errors += 1
        elif record.status >= 400:
            self.client_errors += 1
        else:
            bucket = str(histogram.index(record.latency_ms))
            self.histogram[bucket] = self.histogram.get(bucket, 0) + 1
            self.latency_sum_ms += record.latency_ms

    def add_to(self, total: "Sums | RequestSums") -> None:
        """Add all of this to other sums, or to a row."""
        total.last_at = max(total.last_at, self.last_at)
        total.count += self.count
        total.errors += self.errors
        total.client_errors += self.client_errors
        total.rows += self.rows
        total.latency_sum_ms += self.latency_sum_ms
        total.histogram = histogram.merge([total.histogram, self.histogram])


Minutes = dict[tuple[int, datetime], Sums]
Spans = dict[tuple[int, str, datetime], Sums]


class Recorder:
    """The requests that wait to be written, and the thread that writes them. One per process."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start empty, as a forked child must: what waits is the parent's, and its thread stayed there."""
        self._changed = threading.Condition()
        self._waiting: list[PredictionRecord] = []
        self._characters = 0
        self._dropped = 0
        self._minutes: Minutes = {}
        self._thread: threading.Thread | None = None
        self._closing = False

    def record(self, record: PredictionRecord) -> None:
        """Take one request in. Costs microseconds; the first one starts the thread."""
        with self._changed:
            self._keep(record)
            key = record.deployment_id, record.at.replace(second=0, microsecond=0)
            sums = self._minutes.get(key)
            if sums is None:
                sums = self._minutes[key] = Sums(last_at=record.at)
            sums.add(record)
            if self._thread is None or not self._thread.is_alive():
                self._start()
            elif sums.count == 1 or len(self._waiting) >= BATCH_SIZE:
                self._changed.notify()

    def flush(self) -> bool:
        """Write what waits, now. False when the database would not take it; then it waits on."""
        records, minutes = self._take()
        if not minutes:
            return True
        try:
            _write(records, minutes)
        except (OperationalError, InterfaceError):
            logger.exception("The database is away; requests wait", extra={"waiting": len(records)})
            self._put_back(records, minutes)
            return False
        except Exception:
            # Not a question of time: these rows would be refused for ever, and hold up those behind them.
            logger.exception("The database refused these requests", extra={"dropped": len(records)})
            self._put_back([], minutes)
            return False
        return True

    def close(self) -> None:
        """Write what waits and end the thread. A later record starts another."""
        with self._changed:
            thread, self._closing = self._thread, True
            self._changed.notify()
        if thread:
            thread.join(CLOSE_SECONDS)
        with self._changed:
            self._thread, self._closing = None, False
            if self._minutes:
                logger.error("Requests were left unrecorded", extra={"left": len(self._waiting)})

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="request-recorder", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                close_old_connections()
                if not self.flush() and self._pause():
                    return
        finally:
            connections.close_all()

    def _wait_for_work(self) -> bool:
        """Sleep until something waits, then a moment more so that many requests share one write."""
        with self._changed:
            self._changed.wait_for(lambda: self._minutes or self._closing)
            self._changed.wait_for(
                lambda: self._closing or len(self._waiting) >= BATCH_SIZE, timeout=FLUSH_SECONDS
            )
            return bool(self._minutes)

    def _pause(self) -> bool:
        """Give the database time; True when there is no time left."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closing, timeout=RETRY_SECONDS)

    def _keep(self, record: PredictionRecord) -> None:
        characters = len(record.input) + len(record.output)
        if len(self._waiting) >= MAX_WAITING or self._characters + characters > MAX_WAITING_CHARACTERS:
            self._dropped += 1
            return
        self._waiting.append(record)
        self._characters += characters

    def _take(self) -> tuple[list[PredictionRecord], Minutes]:
        with self._changed:
            records, minutes, dropped = self._waiting, self._minutes, self._dropped
            self._waiting, self._minutes, self._characters, self._dropped = [], {}, 0, 0
        if dropped:
            logger.error("Single requests were dropped; their sums are kept", extra={"dropped": dropped})
        return records, minutes

    def _put_back(self, records: list[PredictionRecord], minutes: Minutes) -> None:
        """Before what came meanwhile, which is dropped where both are too many."""
        with self._changed:
            newer, self._waiting, self._characters = self._waiting, [], 0
            for record in [*records, *newer]:
                self._keep(record)
            for key, sums in minutes.items():
                if key in self._minutes:
                    sums.add_to(self._minutes[key])
                else:
                    self._minutes[key] = sums


@transaction.atomic
def _write(records: list[PredictionRecord], minutes: Minutes) -> None:
    logs = [RequestLog(**record._asdict()) for record in records]
    RequestLog.objects.bulk_create(logs, batch_size=BATCH_SIZE)
    spans = _by_span(minutes)
    # Everybody takes the rows in this order, so that two processes never wait for each other in a circle.
    keys = iter(sorted(spans))
    while some := list(islice(keys, SUMS_A_QUERY)):
        _add_sums({key: spans[key] for key in some})


def _by_span(minutes: Minutes) -> Spans:
    """The minutes, and the hours they amount to."""
    spans: Spans = {}
    for (deployment_id, minute), sums in minutes.items():
        spans[deployment_id, Span.MINUTE.value, minute] = sums
        hour = spans.setdefault(
            (deployment_id, Span.HOUR.value, minute.replace(minute=0)), Sums(sums.last_at)
        )
        sums.add_to(hour)
    return spans


def _add_sums(spans: Spans) -> None:
    """Add sums to their rows, making the missing ones; the rows stay locked until the transaction ends."""
    RequestSums.objects.bulk_create(
        [
            RequestSums(deployment_id=deployment_id, span=span, start=start, last_at=sums.last_at)
            for (deployment_id, span, start), sums in spans.items()
        ],
        ignore_conflicts=True,
    )
    deployments, _spans, starts = zip(*spans, strict=True)
    near = RequestSums.objects.filter(deployment_id__in=set(deployments), start__in=set(starts))
    locked = near.select_for_update().order_by("deployment_id", "span", "start")
    changed = [row for row in locked if (row.deployment_id, row.span, row.start) in spans]
    for row in changed:
        spans[row.deployment_id, row.span, row.start].add_to(row)
    RequestSums.objects.bulk_update(
        changed, ["last_at", "count", "errors", "client_errors", "rows", "latency_sum_ms", "histogram"]
    )


recorder = Recorder()
os.register_at_fork(after_in_child=recorder.forget)
atexit.register(recorder.close)
