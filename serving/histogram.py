"""Latencies counted in logarithmic buckets, so that percentiles of a week add up from minutes. Pure.

The buckets are DDSketch's (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", PVLDB 12(12), 2019): bucket i holds the values in (γ^(i-1), γ^i] with
γ = (1 + a) / (1 - a), and answers with the point of it that is at most the share `a` away from each of them.
A histogram is a plain dict of bucket to count; buckets are text, since that is what JSON keys are.
"""

import math
from collections.abc import Iterable, Mapping

RELATIVE_ACCURACY = 0.05
# Shorter than anything that crosses a socket; what is below is counted as this.
SMALLEST_MS = 0.001

_GAMMA = (1 + RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)


def index(value_ms: float) -> int:
    """The bucket of a latency in milliseconds. Raises ValueError for NaN and OverflowError for infinity."""
    return math.ceil(math.log(max(value_ms, SMALLEST_MS)) / _LOG_GAMMA)


def merge(histograms: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """One histogram with the counts of all of them: exactly what one would have counted."""
    total: dict[str, int] = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile(histogram: Mapping[str, int], q: float) -> float | None:
    """The lower `q`-quantile (0 to 1) in milliseconds, within 5 % of the true one; None if empty."""
    rank = math.floor(q * (sum(histogram.values()) - 1))
    seen = 0
    for bucket in sorted(map(int, histogram)):
        seen += histogram[str(bucket)]
        if seen > rank:
            return _middle(bucket)
    return None


def _middle(bucket: int) -> float:
    return 2 * _GAMMA**bucket / (_GAMMA + 1)
