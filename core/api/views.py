"""The base of every viewset: strict lists, exports, idempotent POSTs."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

from django.db.models import QuerySet
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from core.api.bodies import hold_chunked_body
from core.api.export import export
from core.api.filters import Filters, KnownParameters, Ordering, Search
from core.api.idempotency import IdempotentPosts
from core.models import User
from core.roles import Domain, Right, require

EXPORT_BATCH = 1000


class Resource(IdempotentPosts, viewsets.GenericViewSet):
    """Parse, call one operation, render. Subclasses set `queryset` through `get_queryset` with `visible_to`."""

    domain: Domain | None = Domain.CORE  # None: rows of several domains, which `visible_to` tells apart
    filter_backends = [KnownParameters, Filters, Search, Ordering]
    ordering_fields: tuple[str, ...] = ()
    search_fields: tuple[str, ...] = ()
    extra_parameters: tuple[str, ...] = ()
    extra_parameter_prefixes: tuple[str, ...] = ()
    reads_raw_body = False  # piece by piece, with `core.api.bodies`

    @property
    def actor(self) -> User:
        """Who asks: `SignedIn` has let in nobody who is not a user."""
        return cast(User, self.request.user)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if not self.reads_raw_body:
            hold_chunked_body(request._request)
        super().initial(request, *args, **kwargs)

    def check_permissions(self, request: Request) -> None:
        """A token limited to another domain may not even read here, nor be told again what was answered."""
        super().check_permissions(request)
        if self.domain:
            require(self.actor, Right.READ, domain=self.domain)

    def parse(self, data: Any = None, *, serializer_class: type | None = None) -> dict[str, Any]:
        """The request's body (or `data`) through `serializer_class` or this action's; raises what is wrong with it."""
        make = serializer_class or self.get_serializer_class()
        serializer = make(
            data=self.request.data if data is None else data, context=self.get_serializer_context()
        )
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class Listed(mixins.ListModelMixin):
    """GET of a list, paged, or streamed whole as a file with `?export=`."""

    export_name = "export"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        if "export" not in request.query_params:
            return super().list(request, *args, **kwargs)
        queryset = self.filter_queryset(self.get_queryset())  # type: ignore[attr-defined]
        return export(self._rows(queryset), format=request.query_params["export"], name=self.export_name)

    def _rows(self, queryset: QuerySet) -> Iterator[dict[str, Any]]:
        items = queryset.iterator(chunk_size=EXPORT_BATCH)
        while batch := list(islice(items, EXPORT_BATCH)):
            yield from self.get_serializer(batch, many=True).data  # type: ignore[attr-defined]


class Router(SimpleRouter):
    """Answers `/path` and `/path/` alike."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


__all__ = ["Listed", "Resource", "Response", "Router"]
