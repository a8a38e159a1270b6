"""The metrics that a model version has of what it was made of."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from django.db.models import Window
from django.db.models.functions import RowNumber

from lifecycle.models import LoggedModel, LoggedModelMetric, Run, RunMetric
from lifecycle.models.artifacts import FileOwner


def taken_over(owner: FileOwner) -> dict[str, float]:
    """The latest metrics by name: of the logged model, or of the run where nothing was measured of the model. One
    measured on several data sets is kept as “name@dataset”.
    """
    if isinstance(owner, Run):
        return _by_name(owner.metrics.all())
    return _by_name(_latest(owner)) or (_by_name(owner.source_run.metrics.all()) if owner.source_run else {})


def _latest(model: LoggedModel) -> Iterable[LoggedModelMetric]:
    latest = Window(RowNumber(), partition_by=["name", "dataset"], order_by=["-timestamp", "-step", "run"])
    return model.metrics.alias(place=latest).filter(place=1)


def _by_name(rows: Iterable[RunMetric | LoggedModelMetric]) -> dict[str, float]:
    rows = list(rows)
    counts = Counter(row.name for row in rows)
    return {
        f"{row.name}@{row.dataset}" if row.dataset and counts[row.name] > 1 else row.name: row.number
        for row in rows
    }


def stored(metrics: Mapping[str, float]) -> dict[str, float | str]:
    """Metrics as JSON can keep them: it lacks NaN and infinity, so these are kept as the API writes them."""
    return {name: value if math.isfinite(value) else _word(value) for name, value in metrics.items()}


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
