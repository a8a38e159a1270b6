"""What Celery's beat sends on the clock, in seconds. Frequent tasks expire: a busy worker does not catch up on them."""

from typing import Any

SCHEDULE: dict[str, dict[str, Any]] = {
    "worker heartbeat": {"task": "core.note_worker_heartbeat", "schedule": 5.0, "options": {"expires": 10}},
    "seal the audit trail": {"task": "core.seal_audit", "schedule": 5.0, "options": {"expires": 5}},
    "sweep the broker folder": {"task": "core.sweep_broker", "schedule": 60.0, "options": {"expires": 60}},
    "forget old idempotency keys": {"task": "core.forget_idempotency_keys", "schedule": 3600.0},
    "forget ended sessions": {"task": "core.forget_sessions", "schedule": 3600.0},
    "wake stalled deployments": {
        "task": "lifecycle.wake_stalled_deployments",
        "schedule": 2.0,
        "options": {"expires": 4},
    },
    "refresh deployment health": {
        "task": "lifecycle.refresh_health",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "forget old requests": {"task": "serving.forget_old_requests", "schedule": 600.0},
    "clear unused model copies": {"task": "lifecycle.clear_model_copies", "schedule": 3600.0},
}
