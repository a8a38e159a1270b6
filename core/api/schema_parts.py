"""Parts of the OpenAPI schema that many operations share: each is a component, and operations refer to it."""

from typing import Any

from core.api.export import FORMATS
from core.api.idempotency import HEADER, MAX_KEY

Schema = dict[str, Any]


def reference(kind: str, name: str) -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


class Refusal:
    """A status that operations refuse with: what it means, and an example of it."""

    def __init__(
        self, meaning: str, code: str, detail: str, *, fields: dict[str, str] | None = None, **headers: str
    ):
        self.meaning = meaning
        self.example = {"code": code, "detail": detail, "fields": fields or {}}
        self.headers = [name.replace("_", "-") for name in headers]

    def as_response(self) -> Schema:
        return {
            "description": self.meaning,
            "headers": {name: reference("headers", name) for name in ("X-Request-Id", *self.headers)},
            "content": {
                "application/json": {"schema": reference("schemas", "Error"), "example": self.example}
            },
        }


MISSING = "This field is required."
REFUSALS = {
    400: Refusal(
        "The request is not valid. `fields` says what is wrong with which field or parameter.",
        "invalid",
        f"name: {MISSING}",
        fields={"name": MISSING},
    ),
    401: Refusal(
        "Nobody is signed in, or the token is unknown, revoked or expired.",
        "not_authenticated",
        "Sign in first: send “Authorization: Bearer <token>”, or use the sign-in page.",
        WWW_Authenticate="",
    ),
    403: Refusal(
        "The roles or the token do not allow it, or a session sent no CSRF token. `detail` names what is missing.",
        "not_allowed",
        "To create and edit you need one of these roles: scientist, admin.",
    ),
    404: Refusal(
        "It is not there, or not visible to you.", "not_found", "There is nothing here that you may see."
    ),
    405: Refusal(
        "This method is not offered here.", "method_not_allowed", "Predictions are asked for with POST."
    ),
    409: Refusal(
        "The state of things forbids it, it exists already, or somebody else was first. Look again, then decide.",
        "conflict",
        "There is an experiment “diabetes” already.",
    ),
    413: Refusal(
        "The body is over the size this server takes.",
        "too_large",
        "The request body is over the size this server takes.",
    ),
    415: Refusal(
        "The body's media type is not taken here.",
        "unsupported_media_type",
        'Unsupported media type "text/plain" in request.',
    ),
    429: Refusal(
        "Too many tokens from this address were unknown. A good one is not held up.",
        "too_many_attempts",
        "Too many attempts to sign in failed. Try again in 42 seconds.",
        Retry_After="",
    ),
    500: Refusal(
        "The model raised an error.",
        "model_error",
        "The model process answered 500 and did not say why.",
    ),
    502: Refusal(
        "The model process answered what is no answer.",
        "model_error",
        "The model process answered 302 and did not say why.",
    ),
    503: Refusal(
        "Something this depends on is down or full. The same request may succeed after `Retry-After` seconds.",
        "unavailable",
        "The database is away. Try again in a moment.",
        Retry_After="",
    ),
    504: Refusal(
        "The model took longer than its instance type allows.",
        "timeout",
        "The model did not answer within 10 seconds.",
    ),
}


def errors(*statuses: int) -> Schema:
    """The `responses` of these refusals."""
    return {str(status): reference("responses", f"Refused{status}") for status in sorted(statuses)}


def _header(description: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"description": description, "schema": schema, **({"required": True} if required else {})}


TEXT = {"type": "string"}
COMPONENTS: Schema = {
    "schemas": {
        "Error": {
            "type": "object",
            "description": "Every refusal, whatever its status.",
            "properties": {
                "code": {"type": "string", "description": "A stable word for programs."},
                "detail": {"type": "string", "description": "What is wrong and what to do, for people."},
                "fields": {
                    "type": "object",
                    "description": "By field or parameter, what is wrong with it.",
                    "additionalProperties": {"type": "string"},
                },
            },
            "required": ["code", "detail", "fields"],
        }
    },
    "responses": {f"Refused{status}": refusal.as_response() for status, refusal in REFUSALS.items()},
    "headers": {
        "X-Request-Id": _header(
            "The request's id, in the log and the audit trail; the caller's own if it sent a plain one.",
            TEXT,
            required=True,
        ),
        "Retry-After": _header(
            "Seconds to wait before the same request again.", {"type": "integer"}, required=True
        ),
        "WWW-Authenticate": _header("How to sign in.", TEXT, required=True),
        "Idempotent-Replay": _header(
            f"“true” when this is the first answer to this {HEADER}, given again.", {"enum": ["true"]}
        ),
        "Content-Disposition": _header("Names the file of an export or a download.", TEXT),
    },
    "parameters": {
        HEADER: {
            "name": HEADER,
            "in": "header",
            "description": "A key of your own. The same request with the same key is done once, and answered the same "
            "again; another request with it is refused with 409.",
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[!-~]+$"},
            "example": "3f1c8a52-nightly-training",
        },
        "export": {
            "name": "export",
            "in": "query",
            "description": "Stream the whole filtered list as a file. `limit` and `offset` do not matter then.",
            "schema": {"type": "string", "enum": list(FORMATS)},
        },
    },
}

# The largest id the paths take, by their regular expressions.
ID = {
    "schema": {"type": "integer", "minimum": 1, "maximum": 10**18 - 1},
    "description": "Its id.",
    "example": 17,
}
