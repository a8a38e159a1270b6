"""Where a request for a model goes: what the database says, kept in each process for less than a second."""

import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass

from serving.models import Replica, Target
from serving.operations.targets import profile_of
from serving.states import WANTED, ReplicaState, TargetState

# A draining replica lives on for two seconds, so nobody may use a table older than half of that.
REFRESH_SECONDS = 0.5
STALE_SECONDS = 1.0
# A request may wait for one predict call before its own, each of which the model server ends in time.
PREDICT_CALLS = 2
ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RoutedTarget:
    """A deployment that takes traffic; `timeout_seconds` is how long its replicas may stay silent."""

    deployment_id: int
    model_version: int
    weight: int
    addresses: tuple[str, ...]
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Route:
    """What stands behind one endpoint; empty while its first deployment comes up."""

    targets: tuple[RoutedTarget, ...]

    def choose(self) -> RoutedTarget | None:
        """One target at random by weight, of those that have a ready replica as long as there is one."""
        targets = [target for target in self.targets if target.addresses] or self.targets
        if len(targets) < 2:
            return targets[0] if targets else None
        return random.choices(targets, weights=[target.weight for target in targets])[0]


class Routes:
    """All routes, loaded together. One per process."""

    def __init__(self) -> None:
        self._routes: dict[tuple[str, str], Route] = {}
        self._loaded_at = float("-inf")
        self._loading = threading.Lock()

    def find(self, model_name: str, environment: str, *, loaded_after: float | None = None) -> Route | None:
        """The route of an endpoint, or None when nothing is deployed there.

        `loaded_after` (a time of `time.monotonic`) asks for what the database said after that moment.
        Otherwise one thread at a time renews the table, and the others go on with it until it is too old.
        """
        now = time.monotonic()
        needed = now - STALE_SECONDS if loaded_after is None else loaded_after
        if self._loaded_at < max(needed, now - REFRESH_SECONDS):
            self._renew(needed)
        return self._routes.get((model_name, environment))

    def _renew(self, needed: float) -> None:
        if self._loading.acquire(blocking=self._loaded_at < needed):
            try:
                if self._loaded_at < max(needed, time.monotonic() - REFRESH_SECONDS):
                    started = time.monotonic()
                    self._routes = _load()
                    self._loaded_at = started
            finally:
                self._loading.release()


def _load() -> dict[tuple[str, str], Route]:
    # Replicas first: a target that takes over between the two queries had its replicas ready before.
    addresses = _ready_addresses()
    targets = Target.objects.filter(state__in=WANTED).select_related("endpoint").order_by("pk")
    routed: dict[tuple[str, str], list[RoutedTarget]] = defaultdict(list)
    for target in targets:
        place = routed[target.endpoint.model_name, target.endpoint.environment]
        if target.weight and target.state == TargetState.SERVING:
            place.append(_routed(target, tuple(addresses[target.pk])))
    return {place: Route(tuple(found)) for place, found in routed.items()}


def _ready_addresses() -> dict[int, list[str]]:
    addresses: dict[int, list[str]] = defaultdict(list)
    ready = Replica.objects.filter(state=ReplicaState.READY).order_by("pk")
    for target_id, address in ready.values_list("target_id", "address"):
        addresses[target_id].append(address)
    return addresses


def _routed(target: Target, addresses: tuple[str, ...]) -> RoutedTarget:
    return RoutedTarget(
        deployment_id=target.deployment_id,
        model_version=target.model_version,
        weight=target.weight,
        addresses=addresses,
        timeout_seconds=PREDICT_CALLS * profile_of(target.instance_type)["timeout_seconds"] + ANSWER_SECONDS,
    )


routes = Routes()
