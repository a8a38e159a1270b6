"""registered-models/search and model-versions/search."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Coalesce, Concat

from core.models import User
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.lookups import TagText
from lifecycle.mlflow_rest import prompt_messages, registry_messages, search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import integer, optional, repeated, text
from lifecycle.mlflow_rest.prompt_messages import SOURCE, TEXT
from lifecycle.mlflow_rest.prompts import REGISTRY
from lifecycle.mlflow_rest.registry_messages import IS_PROMPT, with_origin
from lifecycle.models import ModelVersion, RegisteredModel
from prompts.models import Prompt, PromptVersion

MOST_MODELS = 1000
MOST_VERSIONS = 200_000
TAG_COMPARATORS = ("=", "!=", "LIKE", "ILIKE")
NEWEST_VERSIONS_FIRST = ["last_updated_timestamp DESC", "name ASC", "version_number DESC"]
# How models and prompts, and versions of either, are named in orders.
ORDERS = {"name": "name", "timestamp": "updated_at", "last_updated_timestamp": "updated_at"}
VERSION_ORDERS = {
    "version_number": "version",
    "creation_timestamp": "created_at",
    "last_updated_timestamp": "updated_at",
}


@dataclass(frozen=True)
class Kind:
    """What is searched, and where it has what a search may name."""

    domain: Domain
    rows: Callable[[User], QuerySet]
    told: Callable[[Any], list[dict[str, Any]]]
    texts: dict[str, Any]
    name: str
    tags: dict[str, Any] = field(default_factory=dict)  # those that are no tags here
    most: int = search.MOST_RESULTS  # on a page


MODELS = Kind(
    domain=Domain.LIFECYCLE,
    rows=lambda actor: RegisteredModel.objects.visible_to(actor).kept(),
    told=registry_messages.shown_models,
    texts={"name": F("name")},
    name="name",
)
PROMPTS = Kind(
    domain=Domain.PROMPTS,
    rows=lambda actor: Prompt.objects.visible_to(actor).kept(),
    told=prompt_messages.shown_prompts,
    texts={"name": F("name")},
    name="name",
    tags={IS_PROMPT: Value("true")},
)
MODEL_VERSIONS = Kind(
    domain=Domain.LIFECYCLE,
    rows=lambda actor: with_origin(ModelVersion.objects.visible_to(actor).kept()),
    told=registry_messages.version_messages,
    texts={
        "name": F("model__name"),
        "run_id": Coalesce("run__run_id", Value("")),
        "source_path": Case(
            When(~Q(mlflow_source=""), then="mlflow_source"),
            When(logged_model__isnull=False, then=Concat(Value("models:/"), "logged_model__model_id")),
            default=Concat(Value("runs:/"), "run__run_id", Value("/"), "artifact_path"),
            output_field=TextField(),
        ),
    },
    name="model__name",
)
PROMPT_VERSIONS = Kind(
    domain=Domain.PROMPTS,
    rows=lambda actor: PromptVersion.objects.visible_to(actor).kept().select_related("prompt"),
    told=prompt_messages.version_messages,
    texts={"name": F("prompt__name"), "run_id": Value(""), "source_path": Value(SOURCE)},
    name="prompt__name",
    tags={IS_PROMPT: Value("true"), TEXT: F("content")},
    most=1000,  # each with its whole text
)


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
    kind = PROMPTS if _are_of_prompts(conditions) else MODELS
    order = _order([(ORDERS[key], ascending) for key, ascending in terms], [("name", True)])
    rows = search.ordered(_found(actor, kind, conditions), order, "pk")
    found, token = search.page(rows, max_results=max_results, page_token=page_token)
    return _answer("registered_models", kind.told(found), token)


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
    kind = PROMPT_VERSIONS if _are_of_prompts(conditions) else MODEL_VERSIONS
    orders = VERSION_ORDERS | {"name": kind.name}
    wanted = [(orders[key], ascending) for _type, key, ascending in terms]
    order = _order(wanted, [(kind.name, True), ("version", False)])
    found, token = search.page(
        search.ordered(_found(actor, kind, conditions), order, "pk"),
        max_results=min(max_results, kind.most),
        page_token=page_token,
    )
    return _answer("model_versions", kind.told(found), token)


def _are_of_prompts(conditions: list[search.Condition]) -> bool:
    """As in MLflow, a search finds prompts when the first that it says of their tag is that it is true, and models
    otherwise.
    """
    for condition in conditions:
        if condition["type"] == "tag" and condition["key"] == IS_PROMPT:
            return (condition["comparator"], condition["value"].lower()) in (("=", "true"), ("!=", "false"))
    return False


def _too_many(most: int) -> InvalidParameter:
    return InvalidParameter(_("“max_results” is a number from 1 to %(most)s.") % {"most": most})


def _answer(name: str, rows: list[dict[str, Any]], token: str) -> dict[str, Any]:
    return ({name: rows} if rows else {}) | ({"next_page_token": token} if token else {})


def _found(actor: User, kind: Kind, conditions: list[search.Condition]) -> QuerySet:
    require(actor, Right.READ, domain=kind.domain)
    rows = kind.rows(actor)
    for place, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, kind, alias=f"condition_{place}")
    return rows


def _narrowed(rows: QuerySet, condition: search.Condition, kind: Kind, *, alias: str) -> QuerySet:
    key, comparator, value = condition["key"], condition["comparator"].upper(), condition["value"]
    if condition["type"] == "tag":
        return _with_tag(rows, key, comparator, value, kind, alias=alias)
    if key == "version_number":
        return rows.filter(_number_condition(comparator, value))
    if key not in kind.texts:
        raise InvalidParameter(_("There is no searching by “%(name)s”.") % {"name": key})
    return rows.alias(**{alias: kind.texts[key]}).filter(search.text_condition(alias, comparator, value))


def _with_tag(rows: QuerySet, name: str, comparator: str, value: str, kind: Kind, *, alias: str) -> QuerySet:
    if comparator not in TAG_COMPARATORS:
        raise search.wrong_comparator("tag", comparator)
    if name == IS_PROMPT and name not in kind.tags:
        return rows  # it has said already that models are searched
    rows = rows.alias(**{alias: kind.tags.get(name, TagText("tags", name))})
    return rows.filter(search.text_condition(alias, comparator, value), **{f"{alias}__isnull": False})


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
        "GET": Call(search_models, FIELDS | {"max_results": optional(integer, 100)}, domains=REGISTRY)
    },
    "model-versions/search": {
        "GET": Call(
            search_versions, FIELDS | {"max_results": optional(integer, MOST_VERSIONS)}, domains=REGISTRY
        )
    },
}
