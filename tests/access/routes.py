"""Every address that the site answers to, as its URL configuration says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """One pattern: `address` is all of it, `methods` what a viewset answers to, or None where the view decides."""

    address: str
    name: str
    methods: frozenset[str] | None

    @property
    def is_admin(self) -> bool:
        return self.address.startswith("admin")

    @property
    def is_api(self) -> bool:
        return self.address.startswith(("api/v1/", "api/2.0/", "ajax-api/"))


def every_route() -> list[Route]:
    found = list(_walk(get_resolver().url_patterns))
    names = {pattern.callback: pattern.name for _address, pattern in found if pattern.name}
    # An address without a name is a twin of one that has: with a slash at its end, or without.
    return [
        Route(address, names.get(pattern.callback, pattern.lookup_str), _methods(pattern.callback))
        for address, pattern in found
    ]


def _methods(view: Any) -> frozenset[str] | None:
    actions = getattr(view, "actions", None) or getattr(view, "methods", None)
    return frozenset(map(str.upper, actions)) if actions else None


def _walk(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, address)
        else:
            yield address, pattern
