"""How figures, times and names are written."""

import math
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.template import Context
from django.test import RequestFactory
from django.utils import translation

from core.status_words import ATTENTION, BAD, GOOD, NEUTRAL, PROGRESS, STATUS_WORDS, TRAFFIC, status_word
from core.templatetags import components, formatting

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def plain(text):
    return text.replace(formatting.NBSP, " ")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formatting.percent(0.9432), "94.32 %"),
        (formatting.count(1234567), "1,234,567"),
        (formatting.byte_size(0), "0 B"),
        (formatting.byte_size(1536), "1.5 KiB"),
        (formatting.byte_size(5 * 1024**2), "5.0 MiB"),
        (formatting.latency(12.41), "12.4 ms"),
        (formatting.latency(1250), "1.25 s"),
    ],
)
def test_figures_carry_separators_and_units(written, expected):
    assert plain(written) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("accuracy", 0.9432, "94.32 %"),
        ("val_accuracy", 0.5, "50.00 %"),
        ("error_rate", 0.0123, "1.23 %"),
        ("loss", 0.04123, "0.0412"),
        ("f1", 0.93118, "0.9312"),
        ("roc_auc", 1, "1.0000"),
        ("mse", 2943.217, "2,943.22"),
        ("loss", 0.000032, "3.20e-05"),
        ("loss", math.nan, "nan"),
    ],
)
def test_a_metric_is_written_by_the_habit_of_its_name(name, value, expected):
    assert plain(formatting.metric(value, name)) == expected


@pytest.mark.parametrize(
    "write",
    [
        formatting.percent,
        formatting.count,
        formatting.byte_size,
        formatting.latency,
        formatting.duration,
        formatting.relative_time,
        formatting.middle,
        lambda value: formatting.metric(value, "loss"),
    ],
)
def test_an_unknown_value_is_a_dash_and_never_zero(write):
    assert write(None) == formatting.UNKNOWN


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.42, "0.4s"), (59.7, "1m 0s"), (192, "3m 12s"), (3720, "1h 2m"), (90000, "1d 1h")],
)
def test_a_duration_shows_its_two_largest_units(seconds, expected):
    with translation.override("en"):
        assert formatting.duration(seconds) == expected


def test_a_duration_is_written_in_the_language_of_the_page():
    with translation.override("ko"):
        assert formatting.duration(192) == "3분 12초"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=45), "1 month ago"),
        (timedelta(days=800), "2 years ago"),
    ],
)
def test_a_time_is_told_relative_to_now(age, expected):
    with translation.override("en"):
        assert formatting.time_ago(NOW - age, now=NOW) == expected


def test_a_relative_time_keeps_the_exact_one_in_its_tooltip():
    html = formatting.relative_time(NOW)
    assert re.search(r'datetime="2026-03-02T\d\d:00:00[+-]\d\d:\d\d"', html)
    assert re.search(r'title="2026-03-02 \d\d:00:00 \S+"', html)


def test_a_long_name_loses_its_middle_and_keeps_whole_in_its_tooltip():
    html = formatting.middle("credit-risk-gradient-boosting-2026", 15)
    assert ">credit-…ng-2026<" in html
    assert 'title="credit-risk-gradient-boosting-2026"' in html


def test_a_short_name_stays_as_it_is():
    assert formatting.middle("churn", 15) == "churn"


def test_markup_in_a_name_is_escaped():
    assert "<script>" not in formatting.middle("<script>" * 10, 15)


@pytest.mark.parametrize(
    ("kind", "value", "tone"),
    [
        ("deployment", "pending", NEUTRAL),
        ("deployment", "terminated", NEUTRAL),
        ("environment", "development", NEUTRAL),
        ("run", "running", PROGRESS),
        ("experiment", "active", PROGRESS),
        ("deployment", "deploying", TRAFFIC),
        ("deployment", "active", GOOD),
        ("health", "healthy", GOOD),
        ("deployment", "rollback", ATTENTION),
        ("environment", "staging", ATTENTION),
        ("environment", "production", BAD),
        ("severity", "critical", BAD),
    ],
)
def test_a_state_has_the_colour_of_its_meaning(kind, value, tone):
    assert status_word(kind, value).tone == tone


def test_a_state_without_a_word_is_an_error():
    with pytest.raises(KeyError):
        status_word("deployment", "sleeping")


def test_every_state_has_an_icon_that_is_installed():
    folder = settings.BASE_DIR / "node_modules" / "@tabler" / "icons" / "icons" / "outline"
    icons = {look.icon for words in STATUS_WORDS.values() for look in words.values()}
    assert [icon for icon in sorted(icons) if not (folder / f"{icon}.svg").exists()] == []


def test_a_chip_tells_its_state_in_a_word_beside_the_colour():
    with translation.override("en"):
        html = components.status_chip("deployment", "deploying")
    assert "tone-traffic" in html
    assert "<svg" in html
    assert "Deploying" in html


def test_a_sparkline_spans_its_box_from_the_lowest_to_the_highest_value():
    assert components.sparkline_points([0, 5, 10]) == "0.0,22.0 50.0,12.0 100.0,2.0"


def test_a_flat_sparkline_lies_in_the_middle():
    assert components.sparkline_points([3, 3]) == "0.0,12.0 100.0,12.0"


def test_a_sparkline_of_zeros_lies_at_the_foot():
    assert components.sparkline_points([0, 0]) == "0.0,22.0 100.0,22.0"


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "–"), (0, "0"), (1234, "1,234"), (7.0, "7"), (7.8125, "7.81"), (1234.5, "1,234.50")],
)
def test_a_figure_of_a_chart_has_two_places_unless_it_is_whole(value, written):
    assert formatting.figure(value) == written


def test_a_clock_time_says_its_moment_so_that_the_browser_can_put_it_in_its_own_zone():
    moment = datetime(2026, 3, 1, 14, 3, 7, 120_000, tzinfo=UTC)
    assert formatting.clock_time(moment) == (
        '<time datetime="2026-03-01T14:03:07.120+00:00" title="2026-03-01T14:03:07.120+00:00"'
        ' data-clock="millisecond">14:03:07.120</time>'
    )
    assert formatting.minute_time(moment).endswith('data-clock="minute">14:03</time>')


def test_a_diff_pairs_removed_and_added_lines():
    rows = components.diff_rows("a\nb\nc", "a\nB\nc")
    assert [(row["kind"], row["text"]) for row in rows] == [
        ("same", "a"),
        ("removed", "b"),
        ("added", "B"),
        ("same", "c"),
    ]


def head_url(address, **options):
    request = RequestFactory().get(address)
    return components.sort_header(Context({"request": request}), "created_at", "Created", **options)["url"]


def test_sorting_keeps_the_filters_and_starts_at_the_first_page():
    assert head_url("/?status=active&page=3") == "?status=active&ordering=created_at"


def test_a_second_click_reverses_the_order():
    assert head_url("/?ordering=created_at") == "?ordering=-created_at"
    assert head_url("/?ordering=-created_at") == "?ordering=created_at"


def test_a_column_of_times_sorts_newest_first():
    assert head_url("/", descending_first=True) == "?ordering=-created_at"


def test_a_filter_in_use_has_a_chip_that_clears_it_alone():
    request = RequestFactory().get("/?status=active&environment=staging")
    fields = [{"name": "status", "label": "Status", "options": [("active", "Serving")]}]
    chips = components.filter_bar(Context({"request": request}), fields)["chips"]
    assert chips == [{"label": "Status", "value": "Serving", "url": "?environment=staging"}]
