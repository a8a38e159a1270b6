"""limit and offset, as the contract has them."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request

LARGEST_OFFSET = 2**31


class Pagination(LimitOffsetPagination):
    """`?limit=` (default 50, at most 1,000) and `?offset=`; a number outside is refused, not bent."""

    default_limit = 50
    max_limit = 1000

    def get_limit(self, request: Request) -> int | None:
        return self._number(
            request, self.limit_query_param, self.default_limit, smallest=1, largest=self.max_limit
        )

    def get_offset(self, request: Request) -> int:
        return self._number(request, self.offset_query_param, 0, smallest=0, largest=LARGEST_OFFSET)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        address = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "properties": {
                "count": {"type": "integer", "description": "How many there are in all."},
                "next": address,
                "previous": address,
                "results": schema,
            },
            "required": ["count", "next", "previous", "results"],
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": self.max_limit, "default": self.default_limit}
        offset = {"type": "integer", "minimum": 0, "maximum": LARGEST_OFFSET, "default": 0}
        return [
            {"name": "limit", "in": "query", "schema": limit, "description": "How many to answer at most."},
            {"name": "offset", "in": "query", "schema": offset, "description": "How many to pass over."},
        ]

    def _number(self, request: Any, name: str, default: int, *, smallest: int, largest: int) -> int:
        text = request.query_params.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and smallest <= int(text) <= largest):
            raise ValidationError({name: f"Use a whole number from {smallest} to {largest}."})
        return int(text)
