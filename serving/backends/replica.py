"""One replica of a local backend: its process, what probes saw of it, and when it is next looked at."""

import dataclasses
import signal
import time
from pathlib import Path
from typing import Any

from core.sentences import joined
from core.sentences import sentence as _
from serving.backends.backoff import GOOD_SERVICE_SECONDS, Backoff
from serving.backends.base import ReplicaSpec, ReplicaStatus
from serving.backends.probe import Observation
from serving.backends.process_handle import ProcessHandle, signal_name
from serving.backends.run_directory import cap_log, last_error, read_exit_code

STARTING, READY, DRAINING, BACKOFF, FAILED = "starting", "ready", "draining", "backoff", "failed"

START_SECONDS = 120.0
HUNG_SLACK_SECONDS = 5.0
# Gateways may use a route for a second after it was withdrawn.
SHORTEST_DRAIN_SECONDS = 2.0
TERM_TO_KILL_SECONDS = 5.0
PROBE_INTERVAL_SECONDS = {STARTING: 0.1, READY: 1.0, DRAINING: 0.25}
# The fork server notes an exit code within milliseconds, unless it is dead itself.
EXIT_CODE_WAIT_SECONDS = 0.1

EXIT_CODES = {
    0: _("The model process left although nobody asked it to."),
    70: _("A prediction ran longer than its time limit, so the model process was replaced."),
    72: _("The model ran out of its memory limit and its process was replaced."),
}


class Replica:
    """A place in a target that one process after the other may fill.

    All times are monotonic unless said otherwise.
    """

    def __init__(self, *, replica: str, spec: ReplicaSpec, directory: Path, restarts: int = 0) -> None:
        self.replica = replica
        self.spec = spec
        self.directory = directory
        self.socket = directory / "s"
        self.log = directory / "log"
        self.state = STARTING
        self.launching = False
        self.handle: ProcessHandle | None = None
        self.retry_at = 0.0
        self.message = ""
        self.restarts = restarts
        self.backoff = Backoff()
        # One that has served is worth restarting while its successor of a newer generation is not ready.
        self.has_served = False
        self._drain_from = self._drain_until = 0.0
        self._terminated_at: float | None = None
        self.created_at = time.time()  # of its process once it has one
        self._killed_because = ""
        self._reset(time.monotonic())

    def _reset(self, now: float) -> None:
        self.stats: dict[str, int] = {}
        self.stats_at = 0.0
        self._waited_seconds = 0.0
        self._queue_depth = 0.0
        self.rss = 0
        self.probing = False
        self.next_probe = 0.0
        self.ended_at: float | None = None
        self._ready_since: float | None = None
        self._ready_wall: float | None = None
        self._last_ready = now

    # -- its process -----------------------------------------------------------------------------------------

    def launch_spec(self) -> dict[str, Any]:
        """Make the directory fit for a new process and return what the process is to be told."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("process.json", "exit.json", "s"):
            (self.directory / name).unlink(missing_ok=True)
        cap_log(self.log)
        own = {"replica": self.replica, "directory": str(self.directory), "restarts": self.restarts}
        return dataclasses.asdict(self.spec) | own | {"socket": str(self.socket), "log": str(self.log)}

    def attach(self, handle: ProcessHandle) -> None:
        """`handle` is its process from now on."""
        self.launching = False
        self.handle = handle
        self.created_at = handle.created
        self._killed_because = ""
        self._reset(time.monotonic())
        if self.state != DRAINING:
            self.state = STARTING

    def alive(self) -> bool:
        return self.handle is not None and self.handle.alive()

    def kill(self, because: str) -> None:
        self._killed_because = because
        if self.handle:
            self.handle.kill()

    def end_is_explained(self, now: float) -> bool:
        """Whether its exit code is there, or it is no use to wait for one."""
        if self.ended_at is None:
            self.ended_at = now
        return now - self.ended_at > EXIT_CODE_WAIT_SECONDS or self._exit_code() is not None

    def why_it_ended(self) -> str:
        """A sentence for people."""
        if self._killed_because:
            return self._killed_because
        code = self._exit_code()
        if code in EXIT_CODES:
            return EXIT_CODES[code]
        last = last_error(self.log)
        if code is not None and code < 0:
            hint = _("Did the machine run out of memory?") if code == -signal.SIGKILL else ""
            return joined([_("The model process was ended by %s.") % signal_name(-code), hint, last])
        if last or code is None:
            return last or _("The model process ended and wrote nothing to its log.")
        return _("The model process ended with exit code %d and wrote nothing to its log.") % code

    def ended(self, now: float) -> None:
        """Its process is gone: choose when the next one starts."""
        if self.handle:
            self.handle.kill_group()
            self.handle.close()
        self.launch_failed(self.why_it_ended(), now)

    def launch_failed(self, message: str, now: float) -> None:
        ready_seconds = None if self._ready_since is None else (self.ended_at or now) - self._ready_since
        self.handle = None
        self.launching = False
        self.message = message
        self.retry_at = now + self.backoff.ended(ready_seconds=ready_seconds)
        if self.state != DRAINING:
            self.state = FAILED if self.backoff.given_up else BACKOFF

    def _exit_code(self) -> int | None:
        return read_exit_code(self.directory, self.handle.pid) if self.handle else None

    # -- what probes see -------------------------------------------------------------------------------------

    def saw(self, seen: Observation, now: float) -> None:
        """Take in a probe of the present process."""
        self.probing = False
        self.next_probe = now + PROBE_INTERVAL_SECONDS.get(self.state, 1.0)
        if seen.ready:
            self._saw_ready(seen, now)
        elif seen.answered and self.state == READY:
            self.state = STARTING  # it says itself that it cannot predict now: no traffic, but it may recover

    def _saw_ready(self, seen: Observation, now: float) -> None:
        if self.stats_at:
            self._queue_depth = max(0.0, seen.waited_seconds - self._waited_seconds) / (now - self.stats_at)
        self._waited_seconds = seen.waited_seconds
        self.stats, self.stats_at, self._last_ready = seen.stats, now, now
        if self._ready_since is None:
            self._ready_since, self._ready_wall, self.has_served = now, time.time(), True
        if self.state == STARTING:
            self.state = READY
            self.next_probe = now + PROBE_INTERVAL_SECONDS[READY]
        if now - self._ready_since > GOOD_SERVICE_SECONDS:
            self.message = ""

    def problem(self, now: float) -> str:
        """Why its process must be killed, "" if it need not."""
        self.rss = self.handle.rss() if self.handle else 0
        if self.rss > self.spec.memory_bytes:
            return _(
                "The model process used %(used)d MiB, more than its limit of %(limit)d MiB, and was replaced."
            ) % {"used": self.rss >> 20, "limit": self.spec.memory_bytes >> 20}
        silent = now - self._last_ready
        if self._ready_since is None and silent > START_SECONDS:
            return _("The model process was not ready after %d s and was replaced.") % int(START_SECONDS)
        if self._ready_since is not None and silent > self.spec.timeout_seconds + HUNG_SLACK_SECONDS:
            return _("The model process did not answer for %d s and was replaced.") % round(silent)
        return ""

    # -- its end ---------------------------------------------------------------------------------------------

    def drain(self, seconds: float, now: float) -> None:
        """No traffic from now on; `advance_drain` ends the process.

        Asking again can only shorten the time.
        """
        if self.state == DRAINING:
            self._drain_until = min(self._drain_until, now + seconds)
            return
        self._drain_from = now
        self._drain_until = now + (seconds if self.state == READY else 0.0)
        self.state = DRAINING
        self.next_probe = now + SHORTEST_DRAIN_SECONDS

    def advance_drain(self, now: float) -> None:
        """SIGTERM when idle or out of time, SIGKILL 5 s later."""
        assert self.handle is not None
        if self._terminated_at is not None:
            if now - self._terminated_at > TERM_TO_KILL_SECONDS:
                self.handle.kill()
        elif now >= self._drain_until or self._idle():
            self._terminated_at = now
            self.handle.terminate()

    def _idle(self) -> bool:
        fresh = self.stats_at >= self._drain_from + SHORTEST_DRAIN_SECONDS
        return fresh and self.stats["in_flight"] + self.stats["queue_depth"] == 0

    # -- what others see -------------------------------------------------------------------------------------

    def status(self) -> ReplicaStatus:
        return ReplicaStatus(
            replica=self.replica,
            state=self.state,
            generation=self.spec.generation,
            pid=self.handle.pid if self.handle else None,
            process_created=self.handle.created if self.handle else None,
            address=self.address,
            memory_bytes=self.rss,
            queue_depth=self._queue_depth,
            in_flight=self.stats.get("in_flight", 0),
            requests=self.stats.get("requests", 0),
            errors=self.stats.get("errors", 0),
            restarts=self.restarts,
            message=self.message,
            started_at=self.created_at,
            ready_at=self._ready_wall,
        )

    @property
    def address(self) -> str:
        return f"unix://{self.socket}"
