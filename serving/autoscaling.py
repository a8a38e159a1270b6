"""How many replicas a target should have, judged by what waits in its queues. Pure."""

from dataclasses import dataclass

# With more requests waiting for a replica than this, on average, it cannot keep up: micro-batching empties
# short queues.
BUSY_QUEUE_DEPTH = 4.0
# With fewer than this hardly any request waits for another.
IDLE_QUEUE_DEPTH = 0.1
BUSY_SECONDS = 3.0
IDLE_SECONDS = 60.0


@dataclass
class Autoscaler:
    """Remembers since when a target has been busy or idle. One per target, kept by the agent."""

    busy_since: float | None = None
    idle_since: float | None = None

    def wanted(
        self, *, now: float, current: int, minimum: int, maximum: int, ready: int, waiting: float
    ) -> int:
        """The number of replicas to have, between `minimum` and `maximum`.

        `now` is a monotonic time in seconds, `waiting` the requests queued over all `ready` replicas, as a
        mean over the last second: a count at one moment meets a batch's beginning or its end by chance. One
        more after `BUSY_SECONDS` of full queues, one less after `IDLE_SECONDS` of empty ones; each step
        starts the clock anew. Nothing is added while the last one still loads;
        what is not ready has no queue to be judged by.
        """
        busy = ready >= current and waiting > BUSY_QUEUE_DEPTH * ready
        self.busy_since = (self.busy_since or now) if busy else None
        idle = ready and waiting < IDLE_QUEUE_DEPTH * ready
        self.idle_since = (self.idle_since or now) if idle else None
        change = 0
        if self.busy_since is not None and now - self.busy_since >= BUSY_SECONDS:
            change, self.busy_since = 1, None
        elif self.idle_since is not None and now - self.idle_since >= IDLE_SECONDS:
            change, self.idle_since = -1, now
        return min(max(current + change, minimum), maximum)
