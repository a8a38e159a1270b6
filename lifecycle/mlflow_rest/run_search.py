"""runs/search: MLflow's filters and orders as one query over what runs logged."""

from typing import Any

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
from django.db.models.functions import Cast, Concat, NullIf

from core.models import User
from core.translation import gettext as _
from lifecycle.lookups import TagText
from lifecycle.mlflow_rest import experiments, run_messages, search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import LARGEST_INTEGER, integer, one_of, optional, repeated, text
from lifecycle.mlflow_rest.run_messages import COLUMNS_OF_TAGS, STATUSES
from lifecycle.models import DatasetInput, Run, RunMetric, RunParameter, RunTag

VIEWS = {"ACTIVE_ONLY": Q(deleted_at=None), "DELETED_ONLY": Q(deleted_at__isnull=False), "ALL": Q()}
TIMES = {"start_time": "started_at", "end_time": "completed_at"}
TEXTS = {
    "run_id": F("run_id"),
    "run_name": F("name"),
    "user_id": F("mlflow_user"),
    "status": Case(
        *(When(status=status, then=Value(name)) for name, status in STATUSES.items()),
        output_field=CharField(),
    ),
    "artifact_uri": Concat(
        Value("mlflow-artifacts:/"),
        Cast("experiment_id", CharField()),
        Value("/"),
        "run_id",
        Value("/artifacts"),
        output_field=TextField(),
    ),
}
ALIASES = {"created": "start_time", "Created": "start_time"} | dict.fromkeys(
    ("run name", "Run name", "Run Name"), "run_name"
)
PAIRS = {"parameter": RunParameter, "tag": RunTag}
MOST_EXPERIMENTS = 20_000  # with the longest filter, as many as fit a query of SQLite
MOST_DIGITS = 20  # of a number of 64 bits, with its sign
CONTEXT_TAG = "mlflow.data.context"
LATEST_FIRST = ("-step", "-timestamp", "-value")


def search_runs(
    actor: User,
    *,
    experiment_ids: list[str],
    filter: str,
    run_view_type: Q,
    max_results: int,
    order_by: list[str],
    page_token: str,
) -> dict[str, Any]:
    search.check_size(filter, order_by)
    with search.refusing_what_mlflow_refuses():
        parser = search.grammar().SearchUtils
        conditions = parser.parse_search_filter(filter)
        terms = [parser.parse_order_by_for_search_runs(term) for term in order_by]
    search.check_terms(conditions, terms)
    rows = Run.objects.visible_to(actor).filter(run_view_type, experiment__in=numbers(experiment_ids))
    rows = rows.only(*run_messages.RUN_COLUMNS)
    for place, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, alias=f"condition_{place}")
    found, token = search.page(_ordered(rows, terms), max_results=max_results, page_token=page_token)
    return {"runs": run_messages.shown(found)} | ({"next_page_token": token} if token else {})


def numbers(experiment_ids: list[str]) -> list[int]:
    """The keys of these experiments, without those that none can have. Raises InvalidParameter for what is no id."""
    if len(experiment_ids) > MOST_EXPERIMENTS:
        raise InvalidParameter(_("A search has at most %(most)s experiments.") % {"most": MOST_EXPERIMENTS})
    for one in experiment_ids:
        experiments.check_id(one)
    numbers = [int(one) for one in experiment_ids if len(one.strip()) <= MOST_DIGITS]
    return [number for number in numbers if abs(number) <= LARGEST_INTEGER]


def _narrowed(rows: QuerySet[Run], condition: search.Condition, *, alias: str) -> QuerySet[Run]:
    kind, key = condition["type"], ALIASES.get(condition["key"], condition["key"])
    comparator, value = condition["comparator"].upper(), condition["value"]
    if kind == "attribute" and key in TIMES:
        return rows.filter(search.time_condition(TIMES[key], comparator, value))
    if kind == "attribute" or (kind == "tag" and key in COLUMNS_OF_TAGS):
        expression = TEXTS[key] if kind == "attribute" else F(COLUMNS_OF_TAGS[key])
        rows = rows.alias(**{alias: expression if key == "user_id" else _not_empty(expression)})
        return rows.filter(_there(alias, comparator) or search.text_condition(alias, comparator, value))
    if kind == "metric":
        return _with_metric(rows, key, comparator, value, alias=alias)
    if kind == "dataset":
        logged = _datasets(key, comparator, value)
    else:
        logged = PAIRS[kind].objects.filter(name=key)
        if comparator == "IS NULL":
            return rows.exclude(pk__in=logged.values("run"))
        if comparator != "IS NOT NULL":
            logged = logged.filter(search.text_condition("value", comparator, value))
    return rows.filter(pk__in=logged.values("run"))


def _not_empty(expression: Any) -> NullIf:
    """A column that is a tag in MLflow: there is no such tag where it is empty."""
    return NullIf(expression, Value(""), output_field=TextField())


def _there(alias: str, comparator: str) -> Q | None:
    if comparator not in ("IS NULL", "IS NOT NULL"):
        return None
    return Q(**{f"{alias}__isnull": comparator == "IS NULL"})


def _with_metric(rows: QuerySet[Run], name: str, comparator: str, value: str, *, alias: str) -> QuerySet[Run]:
    """Runs whose latest value it is; the index finds those that have such a value on any data set."""
    some = RunMetric.objects.filter(search.metric_condition("value", "is_nan", comparator, value), name=name)
    rows = _latest_metric(rows.filter(pk__in=some.values("run")), name, alias=alias)
    return rows.filter(search.metric_condition(alias, f"{alias}_is_nan", comparator, value))


def _datasets(key: str, comparator: str, value: Any) -> QuerySet[DatasetInput]:
    column = TagText("tags", CONTEXT_TAG) if key == "context" else F(key)
    rows = DatasetInput.objects.alias(compared=column).filter(compared__isnull=False)
    return rows.filter(search.text_condition("compared", comparator, value))


def _ordered(rows: QuerySet[Run], terms: list[tuple[str, str, bool]]) -> QuerySet[Run]:
    """What has no value comes last either way, and NaN before it; then the run that started last."""
    order: list[Any] = []
    seen: set[tuple[str, str]] = set()
    for place, (kind, named, ascending) in enumerate(terms):
        key = ALIASES.get(named, named)
        if (kind, key) in seen:
            raise InvalidParameter(_("“order_by” names “%(field)s” twice.") % {"field": key})
        seen.add((kind, key))
        if kind == "metric":
            rows, rank, value = _metric_order(rows, key, alias=f"order_{place}")
            order += [rank, OrderBy(value, descending=not ascending)]
        else:
            order.append(OrderBy(_text_order(kind, key), descending=not ascending, nulls_last=True))
    if ("attribute", "start_time") not in seen:
        order.append(F("started_at").desc(nulls_last=True))
    return rows.order_by(*order, "run_id")


def _metric_order(rows: QuerySet[Run], name: str, *, alias: str) -> tuple[QuerySet[Run], Any, Any]:
    is_nan = f"{alias}_is_nan"
    rank = Case(When(**{is_nan: True}, then=1), When(**{f"{is_nan}__isnull": True}, then=2), default=0)
    return _latest_metric(rows, name, alias=alias), rank, F(alias)


def _latest_metric(rows: QuerySet[Run], name: str, *, alias: str) -> QuerySet[Run]:
    """`rows` with `alias`, the value that was logged last on any data set, and whether it is NaN."""
    latest = RunMetric.objects.filter(run=OuterRef("pk"), name=name).order_by(*LATEST_FIRST)
    values = {alias: "value", f"{alias}_is_nan": "is_nan"}
    return rows.alias(**{as_: Subquery(latest.values(column)[:1]) for as_, column in values.items()})


def _text_order(kind: str, key: str) -> Any:
    if kind == "attribute":
        return F(TIMES[key]) if key in TIMES else TEXTS[key]
    if kind == "tag" and key in COLUMNS_OF_TAGS:
        return _not_empty(F(COLUMNS_OF_TAGS[key]))
    if kind not in PAIRS:
        raise InvalidParameter(_("Runs cannot be ordered by “%(kind)s”.") % {"kind": kind})
    return Subquery(PAIRS[kind].objects.filter(run=OuterRef("pk"), name=key).values("value")[:1])


CALLS = {
    "runs/search": {
        "POST": Call(
            search_runs,
            {
                "experiment_ids": repeated(text),
                "filter": optional(text),
                "run_view_type": optional(one_of(VIEWS), VIEWS["ACTIVE_ONLY"]),
                "max_results": optional(integer, 1000),
                "order_by": repeated(text),
                "page_token": optional(text),
            },
        )
    }
}
