"""The probes in the OpenAPI schema, by hand: they are plain views, for callers who have no account."""

from typing import Any

from core.api.schema_parts import reference

Schema = dict[str, Any]
CHECKS = ("database", "broker", "disk", "worker", "agent")


def _answered(description: str, schema: Schema, example: Schema) -> Schema:
    return {
        "description": description,
        "headers": {"X-Request-Id": reference("headers", "X-Request-Id")},
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _readiness(*states: str) -> Schema:
    outcome = {"enum": ["ok", "failed"]}
    return {
        "type": "object",
        "properties": {
            "status": {"enum": list(states)},
            "checks": {
                "type": "object",
                "properties": dict.fromkeys(CHECKS, outcome),
                "required": list(CHECKS),
            },
        },
        "required": ["status", "checks"],
    }


FIT: Schema = dict.fromkeys(CHECKS, "ok")

HEALTH_PATHS: Schema = {
    "/healthz": {
        "get": {
            "operationId": "check_alive",
            "summary": "Does this process answer?",
            "description": "Asks nothing else of it. For the probe that restarts a process.",
            "tags": ["Health"],
            "security": [{}],
            "responses": {
                "200": _answered(
                    "It does.",
                    {"type": "object", "properties": {"status": {"enum": ["ok"]}}, "required": ["status"]},
                    {"status": "ok"},
                )
            },
        }
    },
    "/readyz": {
        "get": {
            "operationId": "check_ready",
            "summary": "Could a prediction be served now?",
            "description": "Asks the database, the broker, the disk, the worker and the serving agent. For the "
            "probe that sends traffic elsewhere.",
            "tags": ["Health"],
            "security": [{}],
            "responses": {
                "200": _answered("Yes.", _readiness("ready"), {"status": "ready", "checks": FIT}),
                "503": _answered(
                    "No: one of the checks failed.",
                    _readiness("not ready"),
                    {"status": "not ready", "checks": {**FIT, "worker": "failed"}},
                ),
            },
        }
    },
}
