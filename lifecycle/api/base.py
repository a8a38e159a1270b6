"""What the lifecycle's viewsets share."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from core.api.schema_parts import ID
from core.api.serializers import StrictSerializer
from core.api.views import Resource
from core.roles import Domain
from lifecycle.lookups import TagText
from lifecycle.models import Run
from lifecycle.operations.runs import find_run

PATH_PARAMETERS: dict[str, dict[str, Any]] = {
    "name": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The experiment's name, URL-encoded, or its id. A name that holds “/” answers by id only.",
        "example": "diabetes",
    },
    "run_id": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The run's id, as it was answered when the run was made.",
        "example": "5f0c3d7c9a1e4b6f8d2a7c1e9b3f5d70",
    },
    "path": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The file's path inside the run. Its “/” may be sent as they are.",
        "example": "model/MLmodel",
    },
    "model_name": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The model's name, URL-encoded.",
        "example": "diabetes",
    },
    "version": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The version's number, its label, or an alias as “@champion”.",
        "example": "3",
    },
    "alias": {
        "schema": {"type": "string", "minLength": 1},
        "description": "The alias, without “@”.",
        "example": "champion",
    },
    "item_id": {**ID, "description": "The id of an item of the checklist."},
}


class LifecycleResource(Resource):
    """A viewset of the lifecycle."""

    domain = Domain.LIFECYCLE
    path_parameters = {**Resource.path_parameters, **PATH_PARAMETERS}


class OfRun(LifecycleResource):
    """A viewset of what belongs to the run named in the path. Its lists take parameters of their own, not
    filters.
    """

    filter_backends = []

    @property
    def run(self) -> Run:
        return find_run(self.request.user, self.kwargs["run_id"])


class Parameters(StrictSerializer):
    """A query string; `format` is the browsable API's."""

    format = serializers.CharField(required=False)


class Paged(Parameters):
    """A query string of a paged list; the paginator checks the two."""

    limit = serializers.CharField(required=False)
    offset = serializers.CharField(required=False)


def with_tag(queryset: QuerySet, tag: str, *, column: str = "tags") -> QuerySet:
    """Rows that carry a tag, given as `name`, or as `name=value`."""
    name, equals, value = tag.partition("=")
    text = TagText(column, name)
    rows = queryset.alias(tag_text=text)
    return rows.filter(tag_text=value) if equals else rows.filter(tag_text__isnull=False)
