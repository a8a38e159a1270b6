"""logged-models/search: a grammar of its own, which MLflow's client does not bring along without SQLAlchemy."""

import ast
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models import (
    Case,
    CharField,
    F,
    OrderBy,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat
from sqlparse import parse
from sqlparse.exceptions import SQLParseError
from sqlparse.sql import Comparison, Token

from core.models import User
from core.translation import gettext as _
from lifecycle.lookups import TagText
from lifecycle.mlflow_rest import run_search, search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.logged_model_messages import STATUSES, shown
from lifecycle.mlflow_rest.messages import flag, integer, many, message, optional, repeated, required, text
from lifecycle.models import LoggedModel, LoggedModelMetric

DEFAULT_RESULTS = 100
MOST_MODELS = 1000  # each comes with its metrics
NAMED = re.compile(r"([a-z]+)\.(.+)")
IN_LIST = re.compile(r"\(.*\)", re.DOTALL)
TEXT_COMPARATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN")
TIMES = {"creation_timestamp_ms": "created_at", "last_updated_timestamp_ms": "updated_at"}
ALIASES = {
    "creation_time": "creation_timestamp_ms",
    "creation_timestamp": "creation_timestamp_ms",
    "last_updated_timestamp": "last_updated_timestamp_ms",
}
TEXTS: dict[str, Any] = {
    "model_id": F("model_id"),
    "name": F("name"),
    "model_type": F("model_type"),
    "experiment_id": Cast("experiment_id", TextField()),
    "source_run_id": Coalesce("source_run__run_id", Value("")),
    # By its number, as MLflow compares it.
    "status": Case(
        *(When(status=status, then=Value(str(number))) for number, status in enumerate(STATUSES.values(), 1)),
        output_field=CharField(),
    ),
    "artifact_location": Concat(
        Value("mlflow-artifacts:/"),
        Cast("experiment_id", CharField()),
        Value("/models/"),
        "model_id",
        Value("/artifacts"),
        output_field=TextField(),
    ),
}
JSON_COLUMNS = {"params": "parameters", "tags": "tags"}
LATEST_FIRST = ("-timestamp", "-step", "run__run_id")


class Condition(NamedTuple):
    """One comparison; `kind` is attributes, metrics, params or tags."""

    kind: str
    key: str
    comparator: str
    value: Any


def search_logged_models(
    actor: User,
    *,
    experiment_ids: list[str],
    filter: str,
    datasets: list[dict[str, str]],
    max_results: int,
    order_by: list[dict[str, Any]],
    page_token: str,
) -> dict[str, Any]:
    search.check_size(filter, [term["field_name"] for term in order_by])
    with search.refusing_what_mlflow_refuses():
        conditions = list(_conditions(filter))
    search.check_terms(conditions, order_by, datasets)
    rows = LoggedModel.objects.visible_to(actor).kept().select_related("source_run")
    rows = rows.filter(experiment__in=run_search.numbers(experiment_ids))
    measured = _on_datasets(datasets)
    for place, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, measured, alias=f"condition_{place}")
    if datasets and not any(condition.kind == "metrics" for condition in conditions):
        rows = rows.filter(pk__in=measured.values("logged_model"))
    found, token = search.page(
        _ordered(rows, order_by),
        max_results=min(max_results or DEFAULT_RESULTS, MOST_MODELS),
        page_token=page_token,
    )
    return {"models": shown(found)} | ({"next_page_token": token} if token else {})


def _on_datasets(datasets: list[dict[str, str]]) -> QuerySet[LoggedModelMetric]:
    """What was measured on one of these, if any are named. As in MLflow, a data set without a digest is that only."""
    wanted = Q()
    for dataset in datasets:
        wanted |= Q(dataset=dataset["dataset_name"], dataset_digest=dataset["dataset_digest"])
    return LoggedModelMetric.objects.filter(wanted)


def _conditions(filter: str) -> Iterator[Condition]:
    if not filter:
        return
    try:
        statements = parse(filter)
    except SQLParseError as error:
        raise InvalidParameter(_("The filter is nested too deep.")) from error
    if len(statements) != 1:
        raise InvalidParameter(_("A filter is comparisons joined by AND."))
    for token in search.grammar()._join_in_comparison_tokens(statements[0].tokens):
        if isinstance(token, Comparison):
            yield _condition(token)
        elif token.value.strip().upper() != "AND":
            raise InvalidParameter(_("A filter is comparisons joined by AND."))


def _condition(comparison: Comparison) -> Condition:
    parts: list[Token] = [token for token in comparison.tokens if not token.is_whitespace]
    if len(parts) != 3:
        raise InvalidParameter(
            _("“%(text)s” is no comparison of a name with a value.") % {"text": comparison}
        )
    kind, key = _named(str(parts[0]))
    comparator = str(parts[1]).upper()
    is_number = kind == "metrics" or key in TIMES and kind == "attributes"
    if comparator not in (search.MOMENT_COMPARATORS if is_number else TEXT_COMPARATORS):
        raise search.wrong_comparator(key, comparator)
    return Condition(kind, key, comparator, _number(str(parts[2])) if is_number else _text(str(parts[2])))


def _named(name: str) -> tuple[str, str]:
    """What is compared. Raises InvalidParameter for what logged models do not have."""
    kind, key = (
        match.groups() if (match := NAMED.fullmatch(name)) else ("attributes", ALIASES.get(name, name))
    )
    key = key.strip("`")
    if kind not in (*JSON_COLUMNS, "metrics") and (
        kind != "attributes" or key not in TIMES.keys() | TEXTS.keys()
    ):
        raise InvalidParameter(_("Logged models have no “%(name)s”.") % {"name": name})
    return kind, key


def _number(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise InvalidParameter(_("“%(value)s” is no number.") % {"value": value[:100]})
    return number


def _text(value: str) -> str | tuple[str, ...]:
    if not IN_LIST.fullmatch(value):
        return value.strip("'")
    try:
        listed = ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError) as error:
        raise InvalidParameter(_("“%(value)s” is no list of texts.") % {"value": value[:100]}) from error
    texts = listed if isinstance(listed, tuple) else (listed,)
    if not all(isinstance(one, str) for one in texts):
        raise InvalidParameter(_("“%(value)s” is no list of texts.") % {"value": value[:100]})
    return texts


def _narrowed(
    rows: QuerySet[LoggedModel],
    condition: Condition,
    measured: QuerySet[LoggedModelMetric],
    *,
    alias: str,
) -> QuerySet[LoggedModel]:
    kind, key, comparator, value = condition
    if kind == "metrics":
        wanted = search.metric_condition("value", "is_nan", comparator, value)
        return rows.filter(pk__in=measured.filter(wanted, name=key).values("logged_model"))
    if kind in JSON_COLUMNS:
        rows = rows.alias(**{alias: TagText(JSON_COLUMNS[kind], key)}).filter(**{f"{alias}__isnull": False})
        return rows.filter(search.text_condition(alias, comparator, value))
    if key in TIMES:
        return rows.filter(search.time_condition(TIMES[key], comparator, value))
    return rows.alias(**{alias: TEXTS[key]}).filter(search.text_condition(alias, comparator, value))


def _ordered(rows: QuerySet[LoggedModel], terms: list[dict[str, Any]]) -> QuerySet[LoggedModel]:
    """What has no value comes last either way, and NaN before it; then the newest."""
    order: list[Any] = []
    for place, term in enumerate(terms):
        descending = not term["ascending"]
        if "." in term["field_name"]:
            rows, rank = _with_latest(rows, term, alias=f"order_{place}")
            order += [rank, OrderBy(F(f"order_{place}"), descending=descending)]
        else:
            order.append(OrderBy(_column(term["field_name"]), descending=descending, nulls_last=True))
    return rows.order_by(*order, "-created_at", "model_id")


def _column(name: str) -> Any:
    key = ALIASES.get(name, name)
    if key not in TIMES and key not in TEXTS:
        raise InvalidParameter(_("Logged models cannot be ordered by “%(name)s”.") % {"name": name})
    return F(TIMES[key]) if key in TIMES else TEXTS[key]


def _with_latest(
    rows: QuerySet[LoggedModel], term: dict[str, Any], *, alias: str
) -> tuple[QuerySet[LoggedModel], Any]:
    """`rows` with the metric's latest value as `alias`, and how those that have none, or NaN, are ordered."""
    kind, _dot, name = term["field_name"].partition(".")
    if kind != "metrics":
        raise InvalidParameter(
            _("Logged models cannot be ordered by “%(name)s”.") % {"name": term["field_name"]}
        )
    dataset = {"dataset": term["dataset_name"], "dataset_digest": term["dataset_digest"]}
    told = {column: value for column, value in dataset.items() if value}
    latest = LoggedModelMetric.objects.filter(logged_model=OuterRef("pk"), name=name, **told).order_by(
        *LATEST_FIRST
    )
    is_nan = f"{alias}_is_nan"
    values = {alias: "value", is_nan: "is_nan"}
    rows = rows.alias(**{as_: Subquery(latest.values(column)[:1]) for as_, column in values.items()})
    return rows, Case(When(**{is_nan: True}, then=1), When(**{f"{is_nan}__isnull": True}, then=2), default=0)


CALLS = {
    "logged-models/search": {
        "POST": Call(
            search_logged_models,
            {
                "experiment_ids": required(many(text)),
                "filter": optional(text),
                "datasets": repeated(message(dataset_name=required(text), dataset_digest=optional(text))),
                "max_results": optional(integer, 0),
                "order_by": repeated(
                    message(
                        field_name=required(text),
                        ascending=optional(flag, True),
                        dataset_name=optional(text),
                        dataset_digest=optional(text),
                    )
                ),
                "page_token": optional(text),
            },
        )
    }
}
