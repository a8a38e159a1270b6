"""The OpenAPI schema of the whole site: which paths are in it, and what is added to what the views tell."""

from typing import Any

from core.api.schema_examples import Examples
from core.api.schema_health import HEALTH_PATHS
from core.api.schema_parts import COMPONENTS
from mlops_site.openapi_words import WORDS
from serving.api.schema import INVOCATION_COMPONENTS, INVOCATION_PATHS


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's last step: adds plain views, shared components, and examples where there are none."""
    result["paths"] = dict(sorted({**result["paths"], **INVOCATION_PATHS, **HEALTH_PATHS}.items()))
    for additions in (COMPONENTS, INVOCATION_COMPONENTS):
        for kind, parts in additions.items():
            result["components"].setdefault(kind, {}).update(parts)
    Examples(result["components"], WORDS).fill(result["paths"])
    return result


def without_trailing_slash(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """drf-spectacular's first step: the API's own paths, as they are linked."""
    return [(path.rstrip("/"), *rest) for path, *rest in endpoints if path.startswith("/api/v1")]
