"""The serving agent: makes the replicas that run follow the targets that should.

It holds no truth of its own. What should run is in the database; what does run is with the backend, which
finds processes of an earlier agent again. So an agent may be killed at any time: predictions go on, and the
next one takes over where this one was.
"""

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)

from core.health import AGENT
from core.models import Heartbeat
from core.operations import audit
from core.queue import enqueue
from core.roles import Domain
from serving.autoscaling import Autoscaler
from serving.backends.base import Backend, ReplicaStatus
from serving.models import Replica, Target
from serving.operations.targets import replica_spec
from serving.states import ReplicaState, TargetState

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
HEARTBEAT_SECONDS = 2.0
# Between two tries to reach a database that is away: its log must stay readable.
AWAY_SECONDS = 1.0
REFRESH_SECONDS = 5.0
# A model that cannot start must not keep the whole platform from being called ready.
SETTLE_SECONDS = 60.0


@dataclass
class Watched:
    """What the agent remembers of one target: what it wrote last, when, and how busy the target was."""

    seen: list[tuple] | None = None
    refreshed: float = 0.0
    autoscaler: Autoscaler = field(default_factory=Autoscaler)


class Agent:
    def __init__(self, backend: Backend):
        self.backend = backend
        self.started = time.monotonic()
        self.settled = False
        self.last_heartbeat = 0.0
        self.watched: dict[int, Watched] = {}

    def run(self, stopping) -> None:
        """Reconcile until `stopping` (a threading.Event) is set. A database that is away is waited for."""
        while not stopping.is_set():
            began = time.monotonic()
            try:
                close_old_connections()
                self.tick()
            except (OperationalError, InterfaceError):
                logger.exception("The database did not answer; what runs goes on running")
                connection.close()
                stopping.wait(AWAY_SECONDS)
            except DatabaseError:
                logger.exception("A step of the agent failed and is tried again")
                stopping.wait(AWAY_SECONDS)
            stopping.wait(max(TICK_SECONDS - (time.monotonic() - began), 0.01))

    def tick(self) -> None:
        """One step towards the desired state."""
        targets = list(Target.objects.exclude(state=TargetState.STOPPED).select_related("endpoint"))
        self.watched = {target.pk: self.watched.get(target.pk) or Watched() for target in targets}
        for target in targets:
            self._try_to_reconcile(target)
        for stranger in self.backend.targets() - {str(target.deployment_id) for target in targets}:
            self.backend.stop(stranger, drain_seconds=0)
        self._beat(targets)

    def _try_to_reconcile(self, target: Target) -> None:
        """What is wrong with one target must not keep the others from being looked after."""
        try:
            self._reconcile(target)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:
            logger.exception("A target could not be reconciled", extra={"deployment": target.deployment_id})

    def _reconcile(self, target: Target) -> None:
        name = str(target.deployment_id)
        if target.state == TargetState.DRAINING:
            self.backend.stop(name, drain_seconds=settings.SERVING_DRAIN_SECONDS)
            statuses = self.backend.status(name)
            self._record(target, statuses)
            if not statuses:
                Target.objects.filter(pk=target.pk, state=TargetState.DRAINING).update(
                    state=TargetState.STOPPED
                )
            return
        self.backend.ensure(
            replica_spec(
                target=name,
                generation=target.generation,
                model_path=target.model_path,
                allow_code=target.allow_code,
                instance_type=target.instance_type,
            ),
            target.instances,
        )
        statuses = self.backend.status(name)
        self._record(target, statuses)
        self._scale(target, statuses)

    def _record(self, target: Target, statuses: list[ReplicaStatus]) -> None:
        """Write what changed at once, and figures that always change (memory, queues) every few seconds."""
        watched = self.watched[target.pk]
        before, now = watched.seen, [_essence(status) for status in statuses]
        due = time.monotonic() - watched.refreshed > REFRESH_SECONDS
        if before == now and not due:
            return
        with transaction.atomic():
            target.replicas.exclude(name__in=[status.replica for status in statuses]).delete()
            for status in statuses:
                Replica.objects.update_or_create(name=status.replica, defaults=_row(target, status))
            if target.wake_task and _readiness(before) != _readiness(now):
                enqueue(target.wake_task, target.deployment_id)
        watched.seen, watched.refreshed = now, time.monotonic()

    def _scale(self, target: Target, statuses: list[ReplicaStatus]) -> None:
        if target.min_instances == target.max_instances:
            return
        ready = [status for status in statuses if status.state == ReplicaState.READY]
        wanted = self.watched[target.pk].autoscaler.wanted(
            now=time.monotonic(),
            current=target.instances,
            minimum=target.min_instances,
            maximum=target.max_instances,
            ready=len(ready),
            waiting=sum(status.queue_depth for status in ready),
        )
        if wanted == target.instances:
            return
        with transaction.atomic():
            unchanged = Target.objects.filter(pk=target.pk, instances=target.instances)
            if unchanged.update(instances=wanted):
                audit.record(
                    actor=None,
                    action="target.scale",
                    target=target,
                    domain=Domain.SERVING,
                    changes={"instances": [target.instances, wanted]},
                )

    def _beat(self, targets: list[Target]) -> None:
        """Show a sign of life, for the first time once all that should serve has come up or failed."""
        self.settled = self.settled or self._has_settled(targets)
        now = time.monotonic()
        if self.settled and now - self.last_heartbeat > HEARTBEAT_SECONDS:
            Heartbeat.objects.beat(AGENT)
            self.last_heartbeat = now

    def _has_settled(self, targets: list[Target]) -> bool:
        if time.monotonic() - self.started > SETTLE_SECONDS:
            return True
        serving = [target for target in targets if target.state == TargetState.SERVING]
        statuses = [self.backend.status(str(target.deployment_id)) for target in serving]
        return all(
            found and all(status.state != ReplicaState.STARTING for status in found) for found in statuses
        )


def _essence(status: ReplicaStatus) -> tuple:
    return (
        status.replica,
        status.state,
        status.generation,
        status.address,
        status.pid,
        status.restarts,
        status.message,
    )


def _readiness(essences: list[tuple] | None) -> list[tuple]:
    return [
        (name, state)
        for name, state, *_ in essences or []
        if state in (ReplicaState.READY, ReplicaState.FAILED)
    ]


def _row(target: Target, status: ReplicaStatus) -> dict:
    return {
        "target": target,
        "state": status.state,
        "generation": status.generation,
        "address": status.address,
        "pid": status.pid,
        "memory_bytes": status.memory_bytes,
        "queue_depth": status.queue_depth,
        "requests": status.requests,
        "errors": status.errors,
        "restarts": status.restarts,
        "message": status.message,
        "started_at": datetime.fromtimestamp(status.started_at, UTC),
        "ready_at": datetime.fromtimestamp(status.ready_at, UTC) if status.ready_at else None,
    }
