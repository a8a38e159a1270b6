"""The histogram promises percentiles within 5 % of the true ones, however it was put together."""

import json
from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import histogram
from serving.histogram import RELATIVE_ACCURACY, SMALLEST_MS

latencies = st.lists(st.floats(SMALLEST_MS, 1e7), min_size=1, max_size=200)
quantiles = st.sampled_from([0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def count(values):
    return dict(Counter(str(histogram.index(value)) for value in values))


@given(latencies, quantiles)
def test_a_quantile_is_within_the_promised_share_of_the_true_one(values, q):
    true = numpy.quantile(values, q, method="lower")
    assert histogram.quantile(count(values), q) == pytest.approx(true, rel=RELATIVE_ACCURACY + 1e-9)


@given(st.lists(latencies, max_size=5))
def test_merged_histograms_are_what_one_would_have_counted(parts):
    together = count([value for part in parts for value in part])
    assert histogram.merge(count(part) for part in parts) == together


def test_merging_leaves_the_parts_as_they_were():
    first, second = count([1.0]), count([1.0])
    histogram.merge([first, second])
    assert first == second == count([1.0])


@given(latencies)
def test_it_survives_json(values):
    counted = count(values)
    assert json.loads(json.dumps(counted)) == counted


def test_an_empty_histogram_has_no_quantile():
    assert histogram.quantile({}, 0.5) is None


@pytest.mark.parametrize("value", [0.0, -1.0, SMALLEST_MS / 2])
def test_what_is_too_short_to_measure_counts_as_the_smallest(value):
    assert histogram.index(value) == histogram.index(SMALLEST_MS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_latency_is_refused(value):
    with pytest.raises((ValueError, OverflowError)):
        histogram.index(value)


def test_a_week_of_latencies_from_a_microsecond_to_a_minute_takes_few_buckets():
    assert histogram.index(60_000) - histogram.index(SMALLEST_MS) < 200
