"""Fewer points that draw the same line."""

import numpy as np

# Points preselected for each point of the result. Van Der Donckt et al. find 4 enough to be as good as LTTB
# alone.
PRESELECTION_RATIO = 4
# Points that every result keeps: first, last, lowest, highest.
ANCHORS = 4


def downsample(x: np.ndarray, y: np.ndarray, max_points: int) -> np.ndarray:
    """The positions, rising, of at most `max_points` (4 or more) points that stand for the series.

    MinMaxLTTB: keep the lowest and highest of each of many buckets, then choose among those by the largest
    triangle (J. Van Der Donckt et al., "MinMaxLTTB: Leveraging MinMax-Preselection to Scale LTTB", IEEE VIS
    2023; S. Steinarsson, "Downsampling Time Series for Visual Representation", 2013). First, last, lowest and
    highest are kept always, which LTTB alone does not promise. NaN and the infinities have no place in a
    triangle: up to a quarter of the points go to them, spread evenly, so that a series that broke down shows
    where.

    `x` and `y` are equally long; `x` does not fall.
    """
    if len(y) <= max_points:
        return np.arange(len(y))
    finite = np.flatnonzero(np.isfinite(y))
    broken = _spread(np.flatnonzero(~np.isfinite(y)), (max_points - ANCHORS) // 4)
    if not len(finite):
        return _spread(np.arange(len(y)), max_points)
    anchors = finite[[0, -1, int(np.argmin(y[finite])), int(np.argmax(y[finite]))]]
    room = max_points - len(broken) - ANCHORS
    body = (
        finite[_minmax_lttb(x[finite].astype(float), y[finite].astype(float), room)]
        if room > 0
        else finite[:0]
    )
    return np.unique(np.concatenate([anchors, body, broken]))


def _minmax_lttb(x: np.ndarray, y: np.ndarray, wanted: int) -> np.ndarray:
    if len(y) <= wanted:
        return np.arange(len(y))
    if len(y) > wanted * PRESELECTION_RATIO:
        chosen = _extremes_of_buckets(y, wanted * PRESELECTION_RATIO // 2)
        return chosen[_lttb(x[chosen], y[chosen], wanted)] if len(chosen) > wanted else chosen
    return _lttb(x, y, wanted)


def _extremes_of_buckets(y: np.ndarray, buckets: int) -> np.ndarray:
    edges = np.linspace(0, len(y), max(buckets, 1) + 1).astype(int)
    pairs = [
        start + position
        for start, end in zip(edges[:-1], edges[1:], strict=True)
        if end > start
        for position in (int(np.argmin(y[start:end])), int(np.argmax(y[start:end])))
    ]
    return np.unique(np.array([0, *pairs, len(y) - 1]))


def _lttb(x: np.ndarray, y: np.ndarray, wanted: int) -> np.ndarray:
    """Largest triangle three buckets: in each bucket the point that spans most with its neighbours'
    choices.
    """
    if wanted < 3:
        return np.array([0, len(y) - 1][:wanted], dtype=int)
    edges = np.linspace(1, len(y) - 1, wanted - 1).astype(int)
    chosen = [0]
    for number, (start, end) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        after = slice(end, edges[number + 2]) if number + 2 < len(edges) else slice(len(y) - 1, len(y))
        left = chosen[-1]
        # Halved, so that values near the largest float do not overflow to infinity.
        rise, run = y[after].mean() / 2 - y[left] / 2, x[after].mean() - x[left]
        with np.errstate(over="ignore", invalid="ignore"):
            areas = np.abs(run * (y[start:end] / 2 - y[left] / 2) - (x[start:end] - x[left]) * rise)
        chosen.append(start + int(np.argmax(areas)))
    return np.array([*chosen, len(y) - 1])


def _spread(positions: np.ndarray, wanted: int) -> np.ndarray:
    if len(positions) <= wanted:
        return positions
    return positions[np.linspace(0, len(positions) - 1, max(wanted, 0)).astype(int)]
