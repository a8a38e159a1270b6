"""Micro-batching without waiting: one thread predicts on everything that queued during its last predict.

A lone request is predicted at once; under load the batches grow by themselves. Waiting for more requests was
measured to halve the throughput of one client and to gain nothing for many.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.model_server import limits, logs, predictions
from serving.model_server.errors import Busy, ModelFailed, Refused
from serving.model_server.inputs import Inputs, join
from serving.model_server.loaders import Predictor

MAX_BATCH_ROWS = 4096
MAX_BATCH_REQUESTS = 256
# A batch may take this share of the time one predict may take, by the pace of the batches before it; so
# joining requests can never make a model seem to hang that answers each of them in time.
BATCH_TIME_SHARE = 0.25
PACE_SMOOTHING = 0.3

Answer = bytes | Refused


@dataclass(eq=False)
class Job:
    """One request on its way through the queue."""

    inputs: Inputs
    params: dict[str, Any]
    request_id: str
    answer: asyncio.Future[bytes] = field(repr=False)


class Batcher:
    """A bounded queue, and the one thread that predicts.

    `submit`, `abandon` and the counters belong to the event loop's thread; `on_out_of_memory` is called there
    too.
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        joinable: bool,
        queue_size: int,
        timeout_seconds: float,
        cpu: int,
        on_out_of_memory: Callable[[], None],
    ) -> None:
        self._predictor = predictor
        self._joinable = joinable and predictor.rowwise
        self._queue_size = queue_size
        self._timeout_seconds = timeout_seconds
        self._cpu = cpu
        self._on_out_of_memory = on_out_of_memory
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Job] = deque()
        self._wake = threading.Condition()
        self._seconds_per_row: float | None = None
        self._memory_ran_out = False
        self._waited_seconds = 0.0
        self._waited_until = time.monotonic()
        self.current: list[Job] = []
        self.current_since: float | None = None  # time.monotonic() at which the running predict began
        self.batches = 0
        self.rows = 0
        threading.Thread(target=self._work, name="predict", daemon=True).start()

    @property
    def queue_depth(self) -> int:
        return len(self._waiting)

    @property
    def waited_seconds(self) -> float:
        """What all requests have waited so far, together: the integral of the queue's depth over time.

        Its growth within a span of time, divided by that span, is the mean depth of the queue. The depth at one
        moment says little, since batching empties the queue and fills it again with every predict.
        """
        with self._wake:
            self._note_waiting()
            return self._waited_seconds

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._queue_size

    def submit(self, inputs: Inputs, params: dict[str, Any], request_id: str = "") -> asyncio.Future[bytes]:
        """Queue a request; the future gets the body of the answer. Raises Busy when the queue is full."""
        if self.full:
            raise Busy(f"{self._queue_size} requests are waiting already; try again shortly.")
        job = Job(inputs, params, request_id, self._loop.create_future())
        with self._wake:
            self._note_waiting()
            self._waiting.append(job)
            self._wake.notify()
        return job.answer

    def overdue(self) -> bool:
        """Whether the running predict has taken longer than it may."""
        since = self.current_since
        return since is not None and time.monotonic() - since > self._timeout_seconds

    def abandon(self, current: Refused, waiting: Refused) -> None:
        """Answer everybody because the process is about to leave."""
        with self._wake:
            self._note_waiting()
            jobs, queued = list(self.current), list(self._waiting)
            self._waiting.clear()
        answers: list[tuple[Job, Answer]] = [(job, current) for job in jobs]
        self._deliver(answers + [(job, waiting) for job in queued])

    def _work(self) -> None:
        self._threads = limits.Threads(self._cpu)
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                self._note_waiting()
                self.current = self._take()
            answers = self._answers(self.current)
            self._loop.call_soon_threadsafe(self._deliver, answers)
            if self._memory_ran_out:
                self._loop.call_soon_threadsafe(self._on_out_of_memory)

    def _note_waiting(self) -> None:
        """Before the queue changes, with the lock held: count the time for which it was as long as it is."""
        now = time.monotonic()
        self._waited_seconds += len(self._waiting) * (now - self._waited_until)
        self._waited_until = now

    def _take(self) -> list[Job]:
        """The next request, and as many behind it as may share its batch."""
        batch = [self._waiting.popleft()]
        rows, most = batch[0].inputs.rows, self._most_rows()
        while self._joinable and self._waiting and len(batch) < MAX_BATCH_REQUESTS:
            following = self._waiting[0]
            if rows + following.inputs.rows > most or following.params != batch[0].params:
                break
            rows += following.inputs.rows
            batch.append(self._waiting.popleft())
        return batch

    def _most_rows(self) -> int:
        if not self._seconds_per_row:
            return 1
        return min(MAX_BATCH_ROWS, int(self._timeout_seconds * BATCH_TIME_SHARE / self._seconds_per_row))

    def _answers(self, batch: list[Job]) -> list[tuple[Job, Answer]]:
        """An answer for each request of a batch; when a batch of several fails, each is tried alone."""
        try:
            return self._together(batch)
        except MemoryError:
            return self._out_of_memory(batch)
        except BaseException as error:  # whatever a model raises, the server lives on
            if len(batch) == 1:
                return [(batch[0], self._failed(batch[0], error))]
        return [answer for job in batch for answer in self._answers([job])]

    def _together(self, batch: Sequence[Job]) -> list[tuple[Job, Answer]]:
        result = self._timed([job.inputs for job in batch], batch[0].params)
        if len(batch) == 1:
            return [(batch[0], predictions.body(result))]
        if predictions.row_count(result) != sum(job.inputs.rows for job in batch):
            self._joinable = False  # its answers cannot be told apart; from now on one request at a time
            raise ModelFailed("The model does not return one prediction per row.")
        answers: list[tuple[Job, Answer]] = []
        start = 0
        for job in batch:
            stop = start + job.inputs.rows
            answers.append((job, predictions.body(predictions.rows(result, start, stop))))
            start = stop
        return answers

    def _timed(self, many: list[Inputs], params: dict[str, Any]) -> Any:
        inputs = join(many)
        self._threads.give_for(inputs.rows)
        began = self.current_since = time.monotonic()
        try:
            return self._predictor.predict(inputs, params)
        finally:
            self.current_since = None
            self.batches += 1
            self.rows += inputs.rows
            pace = (time.monotonic() - began) / inputs.rows
            known = pace if self._seconds_per_row is None else self._seconds_per_row
            self._seconds_per_row = known + PACE_SMOOTHING * (pace - known)

    def _failed(self, job: Job, error: BaseException) -> Refused:
        if isinstance(error, Refused):
            refused = error
        else:
            said = str(error)[:400].encode(errors="replace").decode()  # half surrogate pairs are no UTF-8
            refused = ModelFailed(f"The model raised {type(error).__name__}: {said}")
        trace = traceback.format_exception(error)
        logs.line(
            level="error", request_id=job.request_id, message=refused.detail, trace="".join(trace)[-4000:]
        )
        return refused

    def _out_of_memory(self, batch: list[Job]) -> list[tuple[Job, Answer]]:
        """The heap may be in any state now: answer, and let the process be started anew."""
        self._memory_ran_out = True
        logs.line(level="error", request_id=batch[0].request_id, message="The model ran out of memory.")
        if len(batch) == 1:
            return [(batch[0], ModelFailed("The model ran out of memory on this request."))]
        return [(job, Busy("The model ran out of memory and restarts; try again.")) for job in batch]

    def _deliver(self, answers: list[tuple[Job, Answer]]) -> None:
        for job, answer in answers:
            if job.answer.done():
                continue
            if isinstance(answer, Refused):
                job.answer.set_exception(answer)
            else:
                job.answer.set_result(answer)
