"""MLflow's search grammar: parsed by MLflow's own parser, compiled to queries.

MLflow is imported with the first search: that takes a second and 60 MiB, which a server that nobody searches by this
protocol need not spend.
"""

import base64
import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

from django.db.models import F, Q, QuerySet

from core.milliseconds import MILLISECOND, moment_of
from core.translation import gettext as _
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import text

MOST_RESULTS = 50_000
# Bounds that MLflow does not have: beyond them its parser takes minutes, and SQLite refuses the query.
MOST_CHARACTERS = 10_000
MOST_TERMS = 100
LARGEST_OFFSET = 2**63 - 1 - MOST_RESULTS
TEXT_LOOKUPS = {"=": "exact", "LIKE": "like", "ILIKE": "ilike", "IN": "in"}
NUMBER_LOOKUPS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "IN": "in"}
MOMENT_COMPARATORS = ("=", "!=", "<", "<=", ">", ">=")
MILLISECONDS = re.compile(r"\s*[+-]?\d{1,30}\s*")

Condition = dict[str, Any]  # type, key, comparator and value, as MLflow's parser gives them


@cache
def grammar() -> Any:
    from mlflow.utils import search_utils

    return search_utils


def check_size(filter: str, order_by: Sequence[str]) -> None:
    """Raise InvalidParameter for a search that is too long to be parsed."""
    if len(filter) > MOST_CHARACTERS or sum(map(len, order_by)) > MOST_CHARACTERS:
        raise InvalidParameter(
            _("A filter or an order has at most %(most)s characters.") % {"most": MOST_CHARACTERS}
        )


def check_terms(*terms: Sequence[Any]) -> None:
    """Raise InvalidParameter for conditions, or fields to order by, that are too many for a query."""
    if max(map(len, terms)) > MOST_TERMS:
        raise InvalidParameter(
            _("A search has at most %(most)s conditions, and as many fields to order by.")
            % {"most": MOST_TERMS}
        )


@contextmanager
def refusing_what_mlflow_refuses() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise InvalidParameter(error.message) from error
    except RecursionError as error:
        raise InvalidParameter(_("The filter is nested too deep.")) from error
    except TypeError as error:  # of a list that holds what is no text
        raise InvalidParameter(_("The filter holds a list of something else than texts.")) from error
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(_("The filter holds a number that is too large.")) from error


def text_condition(lookup: str, comparator: str, value: Any) -> Q:
    """A comparison of text; `lookup` is the field. Raises InvalidParameter for another comparator, and for a text that
    no database can keep: lists are read as Python's, with its escapes.
    """
    for one in value if isinstance(value, (tuple, list, set)) else [value]:
        text(one, name="filter")
    if comparator in ("!=", "NOT IN"):
        return ~text_condition(lookup, "=" if comparator == "!=" else "IN", value)
    if comparator not in TEXT_LOOKUPS:
        raise wrong_comparator(lookup, comparator)
    return Q(**{f"{lookup}__{TEXT_LOOKUPS[comparator]}": value})


def moment_condition(lookup: str, comparator: str, value: Any) -> Q:
    """A comparison of a time, kept to the microsecond, with milliseconds since 1970."""
    start = _moment(value)
    end = start + MILLISECOND
    conditions = {
        "=": Q(**{f"{lookup}__gte": start, f"{lookup}__lt": end}),
        "!=": Q(**{f"{lookup}__lt": start}) | Q(**{f"{lookup}__gte": end}),
        "<": Q(**{f"{lookup}__lt": start}),
        "<=": Q(**{f"{lookup}__lt": end}),
        ">": Q(**{f"{lookup}__gte": end}),
        ">=": Q(**{f"{lookup}__gte": start}),
    }
    if comparator not in conditions:
        raise wrong_comparator(lookup, comparator)
    return conditions[comparator]


def _moment(value: Any) -> datetime:
    if not (isinstance(value, (int, str)) and MILLISECONDS.fullmatch(str(value))):
        raise InvalidParameter(_("“%(value)s” is no time in milliseconds.") % {"value": value})
    return moment_of(int(value))


def time_condition(lookup: str, comparator: str, value: float) -> Q:
    """A comparison of a time with any number of milliseconds. Raises InvalidParameter for what is no number."""
    if comparator not in MOMENT_COMPARATORS:
        raise wrong_comparator(lookup, comparator)
    if isinstance(value, int) or value.is_integer():
        return moment_condition(lookup, comparator, int(value))
    if not math.isfinite(value):
        raise InvalidParameter(_("The filter holds a number that is too large."))
    if comparator in ("=", "!="):  # no time is between two milliseconds
        return Q(**{f"{lookup}__isnull": False}) if comparator == "!=" else Q(pk__in=[])
    return moment_condition(lookup, ">=" if ">" in comparator else "<", math.ceil(value))


def metric_condition(lookup: str, is_nan: str, comparator: str, value: str) -> Q:
    """NaN is different from every number, and neither above nor below any."""
    if comparator == "!=":
        return Q(**{is_nan: True}) | ~Q(**{lookup: float(value)})
    if comparator not in NUMBER_LOOKUPS:
        raise wrong_comparator("metric", comparator)
    return Q(**{is_nan: False, f"{lookup}__{NUMBER_LOOKUPS[comparator]}": float(value)})


def wrong_comparator(name: str, comparator: str) -> InvalidParameter:
    return InvalidParameter(
        _("“%(name)s” cannot be compared by %(comparator)s.") % {"name": name, "comparator": comparator}
    )


def ordered(rows: QuerySet, terms: list[tuple[str, bool]], tie_breaker: str) -> QuerySet:
    """`rows` by these fields, ascending or not, and then by `tie_breaker`."""
    order = [F(field).asc() if ascending else F(field).desc() for field, ascending in terms]
    return rows.order_by(*order, tie_breaker)


def page(rows: QuerySet, *, max_results: int, page_token: str) -> tuple[list[Any], str]:
    """One page of `rows` and the token of the next, "" after the last. Raises InvalidParameter."""
    if not 1 <= max_results <= MOST_RESULTS:
        raise InvalidParameter(_("“max_results” is a number from 1 to %(most)s.") % {"most": MOST_RESULTS})
    return sliced(rows, offset_in(page_token), max_results)


def sliced(rows: QuerySet, offset: int, size: int) -> tuple[list[Any], str]:
    """So many of `rows` from `offset` on, and the token of what follows, "" where nothing does."""
    found = list(rows[offset : offset + size + 1])
    return found[:size], _token_of(offset + size) if len(found) > size else ""


def offset_in(token: str) -> int:
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidParameter(_("This page token is none of ours.")) from error
    if type(offset) is not int or not 0 <= offset <= LARGEST_OFFSET:
        raise InvalidParameter(_("This page token is none of ours."))
    return offset


def _token_of(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()
