"""registered-models/search and model-versions/search."""

from typing import Any

from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Concat

from core.models import User
from core.translation import gettext as _
from lifecycle.lookups import TagText
from lifecycle.mlflow_rest import search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import integer, optional, repeated, text
from lifecycle.mlflow_rest.registered_models import PROMPT_TAG
from lifecycle.mlflow_rest.registry_messages import shown_models, version_message, with_origin
from lifecycle.models import ModelVersion, RegisteredModel

MOST_MODELS = 1000
MOST_VERSIONS = 200_000
TAG_COMPARATORS = ("=", "!=", "LIKE", "ILIKE")
MODEL_ORDERS = {"name": "name", "timestamp": "updated_at", "last_updated_timestamp": "updated_at"}
VERSION_ORDERS = {
    "name": "model__name",
    "version_number": "version",
    "creation_timestamp": "created_at",
    "last_updated_timestamp": "updated_at",
}
NEWEST_VERSIONS_FIRST = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
VERSION_TEXTS: dict[str, Any] = {
    "name": F("model__name"),
    "run_id": Coalesce("run__run_id", Value("")),
    "source_path": Case(
        When(~Q(mlflow_source=""), then="mlflow_source"),
        When(logged_model__isnull=False, then=Concat(Value("models:/"), "logged_model__model_id")),
        default=Concat(Value("runs:/"), "run__run_id", Value("/"), "artifact_path"),
        output_field=TextField(),
    ),
}


def search_models(
    actor: User, *, filter: str, max_results: int, order_by: list[str], page_token: str
) -> dict[str, Any]:
    if max_results > MOST_MODELS:
        raise _too_many(MOST_MODELS)
    search.check_size(filter, order_by)
    with search.refusing_what_mlflow_refuses():
        conditions = search.grammar().SearchModelUtils.parse_search_filter(filter)
        parse = search.grammar().SearchUtils.parse_order_by_for_search_registered_models
        terms = [parse(term) for term in order_by]
    search.check_terms(conditions, terms)
    rows = RegisteredModel.objects.visible_to(actor).kept()
    for place, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, {"name": F("name")}, alias=f"condition_{place}")
    order = _order([(MODEL_ORDERS[key], ascending) for key, ascending in terms], [("name", True)])
    found, token = search.page(
        search.ordered(rows, order, "pk"), max_results=max_results, page_token=page_token
    )
    return _answer("registered_models", shown_models(found), token)


def search_versions(
    actor: User, *, filter: str, max_results: int, order_by: list[str], page_token: str
) -> dict[str, Any]:
    if max_results > MOST_VERSIONS:
        raise _too_many(MOST_VERSIONS)
    search.check_size(filter, order_by)
    with search.refusing_what_mlflow_refuses():
        parser = search.grammar().SearchModelVersionUtils
        conditions = parser.parse_search_filter(filter)
        terms = [
            parser.parse_order_by_for_search_model_versions(term)
            for term in order_by or NEWEST_VERSIONS_FIRST
        ]
    search.check_terms(conditions, terms)
    rows = with_origin(ModelVersion.objects.visible_to(actor).kept())
    for place, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, VERSION_TEXTS, alias=f"condition_{place}")
    wanted = [(VERSION_ORDERS[key], ascending) for _kind, key, ascending in terms]
    order = _order(wanted, [("model__name", True), ("version", False)])
    found, token = search.page(
        search.ordered(rows, order, "pk"),
        max_results=min(max_results, search.MOST_RESULTS),
        page_token=page_token,
    )
    return _answer(
        "model_versions", [version_message(version, with_aliases=False) for version in found], token
    )


def _too_many(most: int) -> InvalidParameter:
    return InvalidParameter(_("“max_results” is a number from 1 to %(most)s.") % {"most": most})


def _answer(name: str, rows: list[dict[str, Any]], token: str) -> dict[str, Any]:
    return ({name: rows} if rows else {}) | ({"next_page_token": token} if token else {})


def _narrowed(rows: QuerySet, condition: search.Condition, texts: dict[str, Any], *, alias: str) -> QuerySet:
    key, comparator, value = condition["key"], condition["comparator"].upper(), condition["value"]
    if condition["type"] == "tag":
        return _with_tag(rows, key, comparator, value, alias=alias)
    if key == "version_number":
        return rows.filter(_number_condition(comparator, value))
    if key not in texts:
        raise InvalidParameter(_("There is no searching by “%(name)s”.") % {"name": key})
    return rows.alias(**{alias: texts[key]}).filter(search.text_condition(alias, comparator, value))


def _with_tag(rows: QuerySet, name: str, comparator: str, value: str, *, alias: str) -> QuerySet:
    if comparator not in TAG_COMPARATORS:
        raise search.wrong_comparator("tag", comparator)
    if name == PROMPT_TAG:
        asks_for_prompts = (comparator, value.lower()) in (("=", "true"), ("!=", "false"))
        return rows.none() if asks_for_prompts else rows
    rows = rows.alias(**{alias: TagText("tags", name)}).filter(**{f"{alias}__isnull": False})
    return rows.filter(search.text_condition(alias, comparator, value))


def _number_condition(comparator: str, value: Any) -> Q:
    number = integer(value, name="version_number")
    if comparator == "!=":
        return ~Q(version=number)
    if comparator not in search.MOMENT_COMPARATORS:
        raise search.wrong_comparator("version_number", comparator)
    return Q(**{f"version__{search.NUMBER_LOOKUPS[comparator]}": number})


def _order(wanted: list[tuple[str, bool]], rest: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """`wanted`, and then those of `rest` that it does not name. Raises InvalidParameter for a field named twice."""
    fields = [field for field, _ascending in wanted]
    if len(set(fields)) < len(fields):
        raise InvalidParameter(_("“order_by” names a field twice."))
    return wanted + [term for term in rest if term[0] not in fields]


FIELDS = {"filter": optional(text), "order_by": repeated(text), "page_token": optional(text)}
CALLS = {
    "registered-models/search": {
        "GET": Call(search_models, FIELDS | {"max_results": optional(integer, 100)})
    },
    "model-versions/search": {
        "GET": Call(search_versions, FIELDS | {"max_results": optional(integer, MOST_VERSIONS)})
    },
}
