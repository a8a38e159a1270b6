"""metrics/*: histories, in the order of time, as MLflow gives them."""

from typing import Any

from django.db.models import QuerySet

from core.models import User
from core.translation import gettext as _
from lifecycle.mlflow_rest import search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.messages import integer, optional, repeated, required, text
from lifecycle.mlflow_rest.run_messages import metric
from lifecycle.models import MetricPoint, Run

COLUMNS = ("name", "value", "is_nan", "timestamp", "step")
BY_TIME = ("timestamp", "step", "value", "pk")
MOST_AT_ONCE = 25_000
MOST_RUNS = 100


def history(
    actor: User, *, run_id: str, metric_key: str, max_results: int, page_token: str
) -> dict[str, Any]:
    """A page of a metric's points, of as many as `max_results` says or as there may be."""
    if max_results <= 0:
        raise InvalidParameter(_("“max_results” is a number from 1."))
    points = _points(actor, [run_id], metric_key).order_by(*BY_TIME)
    found, token = search.sliced(
        points.values_list(*COLUMNS), search.offset_in(page_token), min(max_results, search.MOST_RESULTS)
    )
    return {"metrics": [metric(*row) for row in found]} | ({"next_page_token": token} if token else {})


def history_of_many(actor: User, *, run_id: list[str], metric_key: str, max_results: int) -> dict[str, Any]:
    """One metric of several runs, each point with its run."""
    if not 1 <= len(run_id) <= MOST_RUNS:
        raise InvalidParameter(_("Name 1 to %(most)s runs.") % {"most": MOST_RUNS})
    if max_results < 0:
        raise InvalidParameter(_("“max_results” is a number from 0."))
    points = _points(actor, run_id, metric_key).order_by("run__run_id", *BY_TIME)
    found = points.values_list("run__run_id", *COLUMNS)[: min(max_results, MOST_AT_ONCE)]
    return {"metrics": [{**metric(*row), "run_id": run} for run, *row in found]}


def _points(actor: User, run_ids: list[str], name: str) -> QuerySet[MetricPoint]:
    """As in MLflow, a run that is not there has none."""
    return MetricPoint.objects.filter(
        run__in=Run.objects.visible_to(actor).filter(run_id__in=run_ids), name=name
    )


HISTORY = {
    "run_id": required(text),
    "metric_key": required(text),
    "max_results": optional(integer, search.MOST_RESULTS),
    "page_token": optional(text),
}
CALLS = {
    "metrics/get-history": {"GET": Call(history, HISTORY)},
    "metrics/get-history-bulk": {
        "GET": Call(
            history_of_many,
            {
                "run_id": repeated(text),
                "metric_key": required(text),
                "max_results": optional(integer, MOST_AT_ONCE),
            },
        )
    },
}
