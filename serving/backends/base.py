"""What a serving backend is asked for, and what it answers.

The agent, the gateway and the deployment tasks speak only these types, so that model processes on this
machine and replicas of a cluster are used in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class ReplicaSpec:
    """What one replica of a target is to serve, and the bounds it runs within."""

    target: str  # stable name of what is served, such as a deployment's id as text; safe for a path
    generation: int  # raised when the spec changes; a replica of an older generation is replaced
    model_path: str  # local directory holding an MLflow model, already verified, read-only
    allow_code: bool  # an admin allowed formats that execute code on load (pickle, cloudpickle)
    cpu: int  # threads
    memory_bytes: int
    timeout_seconds: float  # one predict call
    max_rows: int  # in a request
    max_body_bytes: int
    queue_size: int  # waiting requests; beyond it 503 and Retry-After


@dataclass(frozen=True)
class ReplicaStatus:
    """One replica as the backend last saw it."""

    replica: str  # unique id
    state: str  # "starting" | "ready" | "draining" | "backoff" | "failed"
    generation: int
    pid: int | None
    process_created: float | None  # seconds since the epoch, as psutil's create_time
    address: str  # "unix:///…/s" or "http://host:port/prefix"
    memory_bytes: int
    queue_depth: float  # requests waiting, the mean over about the last second
    in_flight: int
    requests: int
    errors: int
    restarts: int
    message: str  # why it is in backoff or failed: a sentence for people (core.sentences)
    started_at: float
    ready_at: float | None


@dataclass(frozen=True)
class CheckReport:
    """What a throw-away process found out about a model."""

    ok: bool
    error: str = ""  # a sentence for people (core.sentences): what is wrong and what to do
    flavor: str = ""  # "sklearn", "onnx", ...
    format: str = ""  # "skops", "onnx", "cloudpickle", ...
    executes_code: bool = False  # the format can run code on load
    signature: dict[str, Any] | None = None  # {"inputs": [...], "outputs": [...], "params": ...}, decoded
    missing_packages: list[str] = field(default_factory=list)
    prediction: Any = None  # JSON-able smoke prediction (first rows)
    load_seconds: float = 0.0
    predict_ms: float = 0.0
    memory_bytes: int = 0
    log: list[str] = field(default_factory=list)  # lines for the deployment log, sentences among them


class Backend(Protocol):
    """Runs replicas. Nothing here blocks except `check` and `shutdown`."""

    def ensure(self, spec: ReplicaSpec, replicas: int) -> None:
        """Take one step towards `replicas` ready replicas of `spec`; called every tick (0.2 s)."""

    def status(self, target: str) -> list[ReplicaStatus]:
        """The replicas of a target, those on their way in or out included."""
        ...

    def targets(self) -> set[str]:
        """Every target known here, adopted ones included."""
        ...

    def endpoint(self, target: str) -> list[str]:
        """Addresses that may get traffic now."""
        ...

    def stop(self, target: str, *, drain_seconds: float) -> None:
        """Take traffic from a target's replicas; end them when idle or after `drain_seconds`."""

    def check(self, spec: ReplicaSpec, *, time_limit_seconds: float) -> CheckReport:
        """Load the model once in a throw-away process and predict on its example."""
        ...

    def shutdown(self, *, keep_replicas: bool) -> None:
        """Let go of everything; with `keep_replicas` the processes live on for the next backend to adopt."""
