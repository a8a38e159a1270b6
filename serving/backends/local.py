"""Replicas as processes of this machine."""

import asyncio
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.backends import fork_client
from serving.backends.adoption import adopt_all
from serving.backends.base import CheckReport, ReplicaSpec, ReplicaStatus
from serving.backends.checking import check
from serving.backends.probe import probe
from serving.backends.replica import DRAINING, READY, STARTING, TERM_TO_KILL_SECONDS, Replica
from serving.backends.run_directory import (
    check_target,
    new_id,
    private_directory,
    remove_old_checks,
    remove_replica_directory,
)

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
# How long a replica that is replaced or surplus may take to finish its requests.
REPLACED_DRAIN_SECONDS = 30.0


class AlreadyOwned(RuntimeError):
    """Another backend reconciles this run directory."""


class LocalBackend:
    """Keeps model processes as they are wanted: starts, probes, restarts with backoff, drains and ends them.

    The first call that needs it takes ownership of the run directory, adopts the processes found there, and
    starts one thread that watches them, so that a dead replica is back even while the caller is busy.
    `check` needs no ownership and may be called in any process. All methods may be called from any thread.
    """

    def __init__(self, run_dir: Path, *, replaced_drain_seconds: float = REPLACED_DRAIN_SECONDS) -> None:
        self.run_dir = private_directory(run_dir)
        self._replaced_drain_seconds = replaced_drain_seconds
        self._lock = threading.RLock()
        self._owner_lock: int | None = None
        self._wanted: dict[str, tuple[ReplicaSpec, int]] = {}
        self._replicas: dict[str, list[Replica]] = {}
        self._closing = threading.Event()
        self._launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replica-launch")
        self._watcher: threading.Thread | None = None
        self._probes: set[asyncio.Task[None]] = set()

    # -- the backend's interface -----------------------------------------------------------------------------

    def own(self) -> None:
        """Become the one that reconciles this run directory, and adopt what runs in it. Harmless when it is.

        A fork server of an earlier owner is asked to leave, so that an upgrade takes effect. Takes up to
        about two seconds when adopted processes are slow to answer. Raises AlreadyOwned if another owner
        lives.
        """
        with self._lock:
            if self._owner_lock is not None:
                return
            if self._closing.is_set():
                raise RuntimeError("This backend was shut down; make a new one.")
            lock = _take_owner_lock(self.run_dir)
            try:
                self._take_over()
            except BaseException:
                os.close(lock)
                raise
            self._owner_lock = lock
            self._watcher = threading.Thread(target=self._watch, name="replica-watch", daemon=True)
            self._watcher.start()

    def ensure(self, spec: ReplicaSpec, replicas: int) -> None:
        """Want `replicas` processes of `spec`, and take the first step. Never waits for a process."""
        check_target(spec.target)
        self.own()
        with self._lock:
            self._wanted[spec.target] = (spec, replicas)
            self._reconcile(spec.target)

    def status(self, target: str) -> list[ReplicaStatus]:
        """Every replica of the target, draining ones included."""
        self.own()
        with self._lock:
            return [replica.status() for replica in self._replicas.get(target, [])]

    def targets(self) -> set[str]:
        """All that have a replica or are wanted, adopted ones included."""
        self.own()
        with self._lock:
            return set(self._replicas) | set(self._wanted)

    def endpoint(self, target: str) -> list[str]:
        """The addresses that may get traffic now."""
        self.own()
        with self._lock:
            replicas = self._replicas.get(target, [])
            return [replica.address for replica in replicas if replica.state == READY and replica.alive()]

    def stop(self, target: str, *, drain_seconds: float) -> None:
        """Withdraw it from traffic; end its processes when idle, at the latest after `drain_seconds`."""
        self.own()
        with self._lock:
            self._wanted.pop(target, None)
            for replica in list(self._replicas.get(target, [])):
                self._drain(replica, drain_seconds)

    def check(self, spec: ReplicaSpec, *, time_limit_seconds: float) -> CheckReport:
        """Try the model in a throw-away process (see `checking.check`)."""
        return check(self.run_dir, spec, time_limit_seconds=time_limit_seconds)

    def shutdown(self, *, keep_replicas: bool) -> None:
        """Give up the run directory.

        Without `keep_replicas` first end every process in it and the fork server.
        """
        if not keep_replicas:
            self.own()
            self._end_all()
        self._closing.set()
        if self._watcher:
            self._watcher.join()
        self._launcher.shutdown(wait=True, cancel_futures=True)
        if not keep_replicas:
            fork_client.leave(self.run_dir)
        with self._lock:
            if self._owner_lock is not None:
                os.close(self._owner_lock)
                self._owner_lock = None

    def _take_over(self) -> None:
        fork_client.leave(self.run_dir)
        remove_old_checks(self.run_dir)
        for replica in adopt_all(self.run_dir):
            self._replicas.setdefault(replica.spec.target, []).append(replica)

    # -- towards what is wanted ------------------------------------------------------------------------------

    def _reconcile(self, target: str) -> None:
        spec, count = self._wanted[target]
        staying = [replica for replica in self._replicas.get(target, []) if replica.state != DRAINING]
        current = [replica for replica in staying if replica.spec.generation == spec.generation]
        others = [replica for replica in staying if replica.spec.generation != spec.generation]
        for replica in current:
            replica.spec = spec
        for replica in sorted(current, key=_worth_keeping)[: max(0, len(current) - count)]:
            self._drain(replica, self._replaced_drain_seconds)
        for _ in range(count - len(current)):
            self._add(spec)
        replaced = sum(replica.state == READY for replica in current) >= count
        for replica in others:
            if replaced or not replica.has_served:
                self._drain(replica, self._replaced_drain_seconds)

    def _add(self, spec: ReplicaSpec) -> None:
        name = new_id()
        replica = Replica(replica=name, spec=spec, directory=self.run_dir / spec.target / name)
        self._replicas.setdefault(spec.target, []).append(replica)
        self._launch(replica)

    def _launch(self, replica: Replica) -> None:
        replica.launching = True
        replica.state = STARTING
        self._launcher.submit(self._launch_now, replica)

    def _launch_now(self, replica: Replica) -> None:
        """In the launcher's thread: the fork server may have to be started first."""
        if replica.state == DRAINING:  # it was stopped while it waited for its turn
            replica.launching = False
            return
        try:
            handle = fork_client.launch(self.run_dir, "replica", replica.launch_spec())
        except ProcessLookupError:  # it ended at once
            with self._lock:
                replica.launch_failed(replica.why_it_ended(), time.monotonic())
        except Exception as error:  # whatever it is, the replica must not stay “starting” for ever
            logger.exception("replica %s of %s could not be started", replica.replica, replica.spec.target)
            with self._lock:
                replica.launch_failed(fork_client.why_not_started(error), time.monotonic())
        else:
            with self._lock:
                replica.attach(handle)

    def _drain(self, replica: Replica, seconds: float) -> None:
        replica.drain(seconds, time.monotonic())
        self._advance(replica, time.monotonic())

    def _forget(self, replica: Replica) -> None:
        target = replica.spec.target
        self._replicas[target].remove(replica)
        if not self._replicas[target]:
            del self._replicas[target]
        remove_replica_directory(replica.directory)

    # -- watching --------------------------------------------------------------------------------------------

    def _advance(self, replica: Replica, now: float) -> None:
        """The next step in the life of one replica, if it is time for one."""
        if replica.launching:
            return
        if replica.handle is None:
            self._advance_without_process(replica, now)
        elif not replica.handle.alive():
            if replica.end_is_explained(now):
                replica.ended(now)
                self._advance_without_process(replica, now)
        elif replica.state == DRAINING:
            replica.advance_drain(now)
        elif problem := replica.problem(now):
            logger.warning("replica %s of %s: %s", replica.replica, replica.spec.target, problem)
            replica.kill(problem)

    def _advance_without_process(self, replica: Replica, now: float) -> None:
        if replica.state == DRAINING:
            self._forget(replica)
        elif now >= replica.retry_at:
            replica.restarts += 1
            self._launch(replica)

    def _watch(self) -> None:
        asyncio.run(self._watch_until_closed())

    async def _watch_until_closed(self) -> None:
        while not self._closing.is_set():
            try:
                self._tick()
            except Exception:
                logger.exception("a step of the local backend failed")
            await asyncio.sleep(TICK_SECONDS)

    def _tick(self) -> None:
        now = time.monotonic()
        with self._lock:
            for replica in list(self._every_replica()):
                self._tend(replica, now)
            for target in list(self._wanted):
                self._reconcile(target)

    def _tend(self, replica: Replica, now: float) -> None:
        try:
            self._advance(replica, now)
        except Exception:
            # One replica's surprise must not end the watch over all of them.
            logger.exception("replica %s of %s could not be tended", replica.replica, replica.spec.target)
        if replica.handle and not replica.probing and now >= replica.next_probe:
            self._start_probe(replica)

    def _start_probe(self, replica: Replica) -> None:
        replica.probing = True
        task = asyncio.get_running_loop().create_task(self._probe(replica))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _probe(self, replica: Replica) -> None:
        handle = replica.handle
        seen = await probe(replica.socket)
        with self._lock:
            if replica.handle is handle:  # otherwise it is about a process that has ended since
                replica.saw(seen, time.monotonic())

    def _every_replica(self) -> Iterator[Replica]:
        for replicas in self._replicas.values():
            yield from replicas

    def _end_all(self) -> None:
        """SIGTERM to all, and wait until the watcher has seen the last one out."""
        with self._lock:
            self._wanted.clear()
            for replica in list(self._every_replica()):
                self._drain(replica, 0.0)
        deadline = time.monotonic() + TERM_TO_KILL_SECONDS * 2
        while self._replicas and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS / 2)


def _worth_keeping(replica: Replica) -> tuple[bool, float]:
    """Sort key: those that do not serve go first, then the newest."""
    return replica.state == READY, -replica.created_at


def is_owned(run_dir: Path) -> bool:
    """Whether a backend of this or another process reconciles the run directory now."""
    try:
        os.close(_take_owner_lock(run_dir))
    except AlreadyOwned:
        return True
    return False


def _take_owner_lock(run_dir: Path) -> int:
    lock = os.open(run_dir / ".owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise AlreadyOwned(
            f"Another serving agent looks after {run_dir}. Stop it, or give this one another data directory."
        ) from None
    return lock
