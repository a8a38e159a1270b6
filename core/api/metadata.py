"""What OPTIONS answers."""

from typing import Any

from rest_framework.metadata import SimpleMetadata
from rest_framework.request import Request


class Metadata(SimpleMetadata):
    """Name, description and media types. What each method takes is told by the OpenAPI schema, and only there."""

    def determine_actions(self, request: Request, view: Any) -> dict[str, Any]:
        return {}
