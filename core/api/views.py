"""The base of every viewset: strict lists, exports, idempotent POSTs."""

import inspect
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from core.api.export import export
from core.api.filters import Filters, KnownParameters, Ordering, Search
from core.api.idempotency import IdempotentPosts
from core.api.schema_parts import ID
from core.api.serializers import StrictSerializer
from core.bodies import hold_body
from core.models import User
from core.roles import Domain, Right, require

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

EXPORT_BATCH = 1000


class Resource(IdempotentPosts, viewsets.GenericViewSet):
    """Parse, call one operation, render. Subclasses set `queryset` through `get_queryset` with `visible_to`.

    What a viewset takes and gives is told by action in `inputs`, `queries` and `answers`; parsing, the OpenAPI
    schema and the browsable API go by it.
    """

    domain: Domain | None = Domain.CORE  # None: rows of several domains, which `visible_to` tells apart
    noun: "StrOrPromise"  # what one of them is called, and several
    plural: "StrOrPromise"
    tag: str  # the group of operations in the API documents
    inputs: dict[str, type[StrictSerializer]] = {}  # bodies
    queries: dict[str, type[StrictSerializer]] = {}  # query strings that are not a list's filters
    answers: dict[str, Any] = {}  # serializers, or {status: serializer}; `serializer_class` for the others
    refusals: dict[str, tuple[int, ...]] = {}  # statuses that the schema cannot know of
    below: dict[Any, str] = {}  # lists of what one of them has, by name, as the browsable API links them
    uploads_to = ""  # the name of the address that takes files, where the browsable API offers to upload some
    path_parameters: dict[str, dict[str, Any]] = {"id": ID}
    filter_backends = [KnownParameters, Filters, Search, Ordering]
    ordering_fields: tuple[str, ...] = ()
    search_fields: tuple[str, ...] = ()
    extra_parameters: tuple[str, ...] = ()
    extra_parameter_prefixes: tuple[str, ...] = ()
    reads_raw_body = False  # piece by piece, with `core.bodies`

    @property
    def actor(self) -> User:
        """Who asks: `SignedIn` has let in nobody who is not a user."""
        return cast(User, self.request.user)

    def check_permissions(self, request: Request) -> None:
        """A token limited to another domain may not even read here, nor be told again what was answered.

        Only who may come in gets a body held in memory.
        """
        super().check_permissions(request)
        if self.domain:
            require(self.actor, Right.READ, domain=self.domain)
        if not self.reads_raw_body:
            hold_body(request._request)

    def get_view_name(self) -> str:
        """What a page of the browsable API is called."""
        if self.detail is False and self.suffix == "List":
            name = self.plural
        elif self.name:  # an extra action
            name = f"{self.noun if self.detail else self.plural}: {self.name.lower()}"
        else:
            name = self.noun
        return str(name)[:1].upper() + str(name)[1:]

    def get_view_description(self, html: bool = False) -> str:
        return inspect.cleandoc(self.description or type(self).__doc__ or "")

    def entries(self, data: Any) -> Iterator[tuple[str, str]]:
        """Of an answer, the label and the address of each entry that is shown by itself."""
        for row in data.get("results", ()) if self.action == "list" else ():
            if url := self.row_url(row):
                yield self.row_label(row), url

    def row_url(self, row: dict[str, Any]) -> str | None:
        """Where an entry of the list is shown by itself; None where it is not."""
        key = row.get("id" if self.lookup_field == "pk" else self.lookup_field)
        try:
            return reverse(f"{self.basename}-detail", kwargs={**self.kwargs, self.lookup_field: key})
        except NoReverseMatch:
            return None

    def row_label(self, row: dict[str, Any]) -> str:
        return str(row.get("id" if self.lookup_field == "pk" else self.lookup_field))

    def input_class(self) -> type[StrictSerializer] | None:
        """What parses the body of this action, if it takes one."""
        return self.inputs.get(self.action)

    def parse(self) -> dict[str, Any]:
        """The request's body through this action's input; raises what is wrong with it."""
        return self._valid(self.inputs[self.action], self.request.data)

    def parameters(self) -> dict[str, Any]:
        """The query string through this action's query, which refuses parameters it does not know."""
        return self._valid(self.queries[self.action], self.request.query_params.dict())

    def _valid(self, serializer_class: type[StrictSerializer], data: Any) -> dict[str, Any]:
        serializer = serializer_class(data=data, context=self.get_serializer_context())
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
