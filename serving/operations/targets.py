"""Desired state: what should be served where. Written here, carried out by the agent.

These are the system's own steps: whoever calls them has asked for the actor's rights and audits the decision.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from serving.backends.base import ReplicaSpec
from serving.models import Endpoint, Replica, Target
from serving.states import WANTED, ReplicaState, TargetState

FULL_SHARE = 100


@dataclass(frozen=True)
class Scale:
    """How many replicas, each of which profile; `minimum` < `maximum` lets the agent choose between them."""

    instance_type: str
    minimum: int
    maximum: int
    initial: int


@dataclass(frozen=True)
class Progress:
    """How far a target has come up; `failure` is why a replica cannot start, empty when none failed."""

    wanted: int
    ready: int
    failure: str

    @property
    def complete(self) -> bool:
        return self.ready >= self.wanted


@transaction.atomic
def ensure_target(
    *,
    deployment_id: int,
    model_name: str,
    environment: str,
    model_version: int,
    model_path: Path,
    allow_code: bool,
    scale: Scale,
    wake_task: str,
) -> Target:
    """Ask for a model to be brought up, without traffic yet. Asking again changes nothing."""
    endpoint, _ = Endpoint.objects.get_or_create(model_name=model_name, environment=environment)
    target, _ = Target.objects.get_or_create(
        deployment_id=deployment_id,
        defaults={
            "endpoint": endpoint,
            "model_version": model_version,
            "model_path": str(model_path),
            "allow_code": allow_code,
            "instance_type": scale.instance_type,
            "min_instances": scale.minimum,
            "max_instances": scale.maximum,
            "instances": scale.initial,
            "wake_task": wake_task,
        },
    )
    return target


def progress(*, deployment_id: int) -> Progress:
    """How many of the wanted replicas are ready. Raises Target.DoesNotExist without a target."""
    target = Target.objects.get(deployment_id=deployment_id)
    replicas = list(target.replicas.filter(generation=target.generation))
    failures = [replica.message for replica in replicas if replica.state == ReplicaState.FAILED]
    ready = sum(replica.state == ReplicaState.READY for replica in replicas)
    return Progress(wanted=target.instances, ready=ready, failure=failures[0] if failures else "")


def ready_replicas(deployment_ids: list[int]) -> dict[int, int]:
    """Ready replicas by deployment, 0 for those without."""
    counts = dict.fromkeys(deployment_ids, 0)
    ready = Replica.objects.filter(target__deployment_id__in=deployment_ids, state=ReplicaState.READY)
    for deployment_id in ready.values_list("target__deployment_id", flat=True):
        counts[deployment_id] += 1
    return counts


def replicas_of(deployment_id: int) -> list[Replica]:
    """The replicas of a deployment, as the agent last saw them."""
    return list(Replica.objects.filter(target__deployment_id=deployment_id))


def wanted_replicas(deployment_id: int) -> int:
    """How many replicas a deployment should have now; 0 once it ends or before it is brought up."""
    wanted = Target.objects.filter(deployment_id=deployment_id, state__in=WANTED)
    return wanted.values_list("instances", flat=True).first() or 0


@transaction.atomic
def move_traffic(*, deployment_id: int) -> None:
    """Send the endpoint's whole traffic to this deployment; what served before drains and stops."""
    target = Target.objects.select_for_update().get(deployment_id=deployment_id)
    others = Target.objects.filter(endpoint=target.endpoint, state__in=WANTED).exclude(pk=target.pk)
    others.filter(weight__gt=0).update(weight=0, state=TargetState.DRAINING)
    Target.objects.filter(pk=target.pk).update(weight=FULL_SHARE, state=TargetState.SERVING)


def retire(*, deployment_id: int) -> None:
    """Take a deployment out of traffic, let it drain and stop it."""
    Target.objects.filter(deployment_id=deployment_id, state__in=WANTED).update(
        weight=0, state=TargetState.DRAINING
    )


@transaction.atomic
def rescale(*, deployment_id: int, scale: Scale) -> None:
    """Change count or profile while serving. A new profile replaces the replicas one generation by the next.

    A count that auto-scaling chose stays, as far as the new bounds let it: traffic still needs it.
    """
    wanted = Target.objects.select_for_update().filter(deployment_id=deployment_id, state__in=WANTED)
    for target in wanted:
        changes_profile = target.instance_type != scale.instance_type
        wanted.update(
            instance_type=scale.instance_type,
            min_instances=scale.minimum,
            max_instances=scale.maximum,
            instances=min(max(target.instances, scale.minimum), scale.maximum),
            generation=F("generation") + int(changes_profile),
        )


def wanted_deployments() -> set[int]:
    """The deployments that serve, or are about to."""
    return set(Target.objects.filter(state__in=WANTED).values_list("deployment_id", flat=True))


def relocate(*, deployment_id: int, model_path: Path) -> None:
    """Load a deployment's model from another directory, the next time one of its replicas starts."""
    Target.objects.filter(deployment_id=deployment_id).update(model_path=str(model_path))


@transaction.atomic
def forget_replicas() -> None:
    """None of the processes that the rows tell of are here: the platform has moved. What drained is done."""
    Replica.objects.all().delete()
    Target.objects.filter(state=TargetState.DRAINING).update(state=TargetState.STOPPED)


def live_model_paths() -> set[str]:
    """The model directories some target still needs."""
    return set(Target.objects.exclude(state=TargetState.STOPPED).values_list("model_path", flat=True))


def profile_of(instance_type: str) -> dict[str, Any]:
    """The resource profile of this name: `cpu` threads, `memory_bytes`, `timeout_seconds` of a predict call.

    A profile may be taken out of the settings while deployments use it. They go on with the roomiest that is
    left: what serves must not be ended because it has more memory than another profile allows.
    """
    profiles = settings.INSTANCE_TYPES
    return profiles.get(instance_type) or max(profiles.values(), key=lambda profile: profile["memory_bytes"])


def replica_spec(
    *, target: str, generation: int, model_path: str, allow_code: bool, instance_type: str
) -> ReplicaSpec:
    """What a replica of this model and profile runs with."""
    profile = profile_of(instance_type)
    return ReplicaSpec(
        target=target,
        generation=generation,
        model_path=model_path,
        allow_code=allow_code,
        cpu=profile["cpu"],
        memory_bytes=profile["memory_bytes"],
        timeout_seconds=profile["timeout_seconds"],
        max_rows=settings.SERVING_MAX_ROWS,
        max_body_bytes=settings.SERVING_MAX_BODY_BYTES,
        queue_size=settings.SERVING_QUEUE_SIZE,
    )
