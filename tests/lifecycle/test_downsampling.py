"""MinMaxLTTB."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.downsampling import downsample

values = st.lists(st.floats(width=64), min_size=1, max_size=400)


@given(values, st.integers(4, 60))
@settings(deadline=None, max_examples=200)
def test_it_keeps_few_points_in_order_and_always_the_ends_and_extremes(numbers, max_points):
    y = np.array(numbers)
    chosen = downsample(np.arange(len(y)), y, max_points)
    assert len(chosen) <= max_points
    assert (np.diff(chosen) > 0).all()
    finite = np.flatnonzero(np.isfinite(y))
    if len(finite):
        assert {finite[0], finite[-1]} <= set(chosen)
        assert (y[chosen][np.isfinite(y[chosen])].min(), y[chosen][np.isfinite(y[chosen])].max()) == (
            y[finite].min(),
            y[finite].max(),
        )


def test_a_short_series_is_left_alone():
    assert downsample(np.arange(5), np.arange(5.0), 5).tolist() == [0, 1, 2, 3, 4]


def test_a_long_series_fills_the_room_it_has():
    y = np.random.default_rng(0).normal(size=100_000).cumsum()
    assert 490 <= len(downsample(np.arange(len(y)), y, 500)) <= 500


def test_a_single_spike_survives():
    y = np.zeros(100_000)
    y[54_321] = 1
    assert 54_321 in downsample(np.arange(len(y)), y, 10)


def test_it_draws_nearly_the_same_line():
    x = np.linspace(0, 20, 50_000)
    y = np.sin(x) + np.sin(7 * x) / 3
    chosen = downsample(x, y, 400)
    assert np.abs(np.interp(x, x[chosen], y[chosen]) - y).max() < 0.05


def test_broken_stretches_are_marked():
    y = np.ones(1000)
    y[400:600] = np.nan
    chosen = downsample(np.arange(1000), y, 40)
    assert {400, 599} <= set(chosen.tolist())


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_series_of_nothing_else_is_spread_evenly(broken):
    assert downsample(np.arange(100), np.full(100, broken), 4).tolist() == [0, 33, 66, 99]
