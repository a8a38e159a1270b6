"""The shared parts of pages that need arguments richer than an include.

Each tag renders the partial of the same name in `templates/partials/`, where its parameters are listed.
"""

import difflib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import Page
from django.http import HttpRequest
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from core.status_words import status_word

register = template.Library()

ICONS = settings.BASE_DIR / "node_modules" / "@tabler" / "icons" / "icons" / "outline"
SPARKLINE_WIDTH, SPARKLINE_HEIGHT, SPARKLINE_MARGIN = 100, 24, 2
PAGING_PARAMETERS = ("page",)


@cache
def _icon_paths(name: str) -> SafeString:
    file = ICONS / f"{name}.svg"
    try:
        text = file.read_text()
    except FileNotFoundError as error:
        raise ImproperlyConfigured(f"The icon {file} is missing: run `npm ci`, or mend the name.") from error
    inside = text[text.index(">", text.index("<svg")) + 1 : text.index("</svg>")]
    lines = (line.strip() for line in inside.splitlines())
    return mark_safe("".join(line for line in lines if 'stroke="none"' not in line))  # noqa: S308 (package's own file)


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A Tabler outline icon as inline SVG; decoration only, so hidden from screen readers.

    Inline, because a page uses some twenty of six thousand icons, a few hundred bytes each.
    """
    return format_html(
        '<svg class="icon {}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{}</svg>',
        css,
        _icon_paths(name),
    )


@register.simple_tag
def status_chip(kind: str, value: str) -> SafeString:
    """The chip of a state, by the table in `core.status_words`; nothing where there is no state."""
    if not value:
        return SafeString("")
    look = status_word(kind, value)
    return format_html(
        '<span class="chip tone-{}" data-status="{}">{}<span>{}</span></span>',
        look.tone,
        value,
        icon(look.icon),
        look.word,
    )


@register.simple_tag
def environment_chip(environment: str) -> SafeString:
    """The chip of an environment, outlined so that it is not taken for a state."""
    look = status_word("environment", environment)
    return format_html(
        '<span class="chip chip-outline tone-{}">{}<span>{}</span></span>',
        look.tone,
        icon(look.icon),
        look.word,
    )


@register.filter
def status_label(value: str, kind: str) -> Any:
    """The word for a state, where a chip would be too much."""
    return status_word(kind, value).word if value else ""


def sparkline_points(values: Sequence[float]) -> str:
    """The polyline of `values`, scaled to the box from lowest to highest.

    A flat line lies in the middle, one of zeros at the foot.
    """
    low, high = min(values), max(values)
    reach = SPARKLINE_HEIGHT - 2 * SPARKLINE_MARGIN
    step = SPARKLINE_WIDTH / max(len(values) - 1, 1)

    def height(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5 * bool(high)
        return SPARKLINE_HEIGHT - SPARKLINE_MARGIN - share * reach

    return " ".join(f"{index * step:.1f},{height(value):.1f}" for index, value in enumerate(values))


@register.simple_tag
def sparkline(values: Sequence[float] | None, label: str = "") -> SafeString:
    """A small line of `values` (oldest first) as inline SVG; nothing for fewer than two."""
    if not values or len(values) < 2:
        return SafeString("")
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"/></svg>',
        SPARKLINE_WIDTH,
        SPARKLINE_HEIGHT,
        label,
        sparkline_points(values),
    )


@register.inclusion_tag("partials/stat_card.html")
def stat_card(
    label: str,
    value: Any,
    hint: str = "",
    icon: str = "",
    tone: str = "",
    values: Sequence[float] | None = None,
    url: str = "",
) -> dict[str, Any]:
    """One figure: label, value as written, a hint below (a trend, a limit), a sparkline of `values`."""
    return {
        "label": label,
        "value": value,
        "hint": hint,
        "icon": icon,
        "tone": tone,
        "values": values,
        "url": url,
    }


@register.simple_block_tag(takes_context=True)
def page_header(
    context: Context,
    content: str,
    title: str,
    trail: Sequence[tuple[str, str]] = (),
    here: str = "",
    chip: str = "",
    subtitle: str = "",
) -> str:
    """Breadcrumb, title, chip; the block holds the page's actions, the primary one first."""
    parts = {
        "title": title,
        "trail": trail,
        "here": here,
        "chip": chip,
        "subtitle": subtitle,
        "actions": content,
    }
    return render_to_string("partials/page_header.html", parts, request=context.get("request"))


@register.simple_block_tag
def fact(content: str, label: str, copy: str = "") -> str:
    """One row of a facts list: its label, as the block its value; `copy` is text for a copy button."""
    return render_to_string("partials/fact.html", {"label": label, "content": content, "copy": copy})


@register.simple_block_tag(takes_context=True)
def data_table(
    context: Context, content: str, name: str, caption: str, page: Page | None = None, export_url: str = ""
) -> str:
    """A table in its frame; the block holds `<thead>` and `<tbody>`. See partials/data_table.html."""
    parts = {"name": name, "caption": caption, "page": page, "export_url": export_url, "content": content}
    return render_to_string("partials/data_table.html", parts, request=context.get("request"))


def _query(request: HttpRequest, **changes: str | None) -> str:
    """The page's query string with `changes` (None removes) and without the page number."""
    query = request.GET.copy()
    for name in PAGING_PARAMETERS:
        query.pop(name, None)
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = value
    return f"?{query.urlencode()}"


@register.inclusion_tag("partials/sort_header.html", takes_context=True)
def sort_header(
    context: Context, field: str, label: str, css: str = "", descending_first: bool = False
) -> dict[str, Any]:
    """A column head that sorts by `field` (`?ordering=`), reverses on the second click and keeps the filters.

    `descending_first` is for times and figures, where the newest or largest is what people look for.
    """
    request = context["request"]
    ordering = request.GET.get("ordering") or context.get("ordering", "")
    descending = ordering == f"-{field}"
    ascending = ordering == field
    downwards = ascending or (descending_first and not descending)
    return {
        "label": label,
        "css": css,
        "url": _query(request, ordering=f"-{field}" if downwards else field),
        "sorted": "descending" if descending else "ascending" if ascending else "",
    }


@register.inclusion_tag("partials/filter_bar.html", takes_context=True)
def filter_bar(context: Context, fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A GET form of `fields` and a chip to clear each one in use. See partials/filter_bar.html."""
    request = context["request"]
    shown = [{**field, "value": _filter_value(request, field)} for field in fields]
    chips = [
        {
            "label": field["label"],
            "value": _option_label(field),
            "url": _query(request, **{field["name"]: None}),
        }
        for field in shown
        if field["value"]
    ]
    return {
        "fields": shown,
        "chips": chips,
        "ordering": request.GET.get("ordering", ""),
        "path": request.path,
    }


def _filter_value(request: HttpRequest, field: dict[str, Any]) -> str:
    """What the filter is set to; a value that is no option counts as not set, as it does for the list."""
    value = request.GET.get(field["name"], "")
    return value if "options" not in field or value in dict(field["options"]) else ""


def _option_label(field: dict[str, Any]) -> Any:
    return dict(field.get("options", ())).get(field["value"], field["value"])


@register.inclusion_tag("partials/stepper.html")
def stepper(stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The stages of a pipeline with their state, the time spent in each and, where known, progress."""
    return {"stages": stages}


@register.inclusion_tag("partials/chart_card.html")
def chart_card(name: str, title: str, chart: dict[str, Any], export: bool = True) -> dict[str, Any]:
    """A chart with its title, export and the same figures as a table. See partials/chart_card.html."""
    rows = [
        {
            "at": datetime.fromisoformat(at) if chart.get("time") else at,
            "cells": [series["data"][index] for series in chart["series"]],
        }
        for index, at in enumerate(chart["x"])
    ]
    return {
        "name": name,
        "data_id": f"chart-data-{name}",
        "title": title,
        "chart": chart,
        "rows": rows,
        "export": export,
    }


@register.simple_block_tag
def code_block(content: str, label: str = "") -> str:
    """A code block with a copy button; the block is the code, as text."""
    code = mark_safe(content.strip("\n"))  # noqa: S308 (a rendered block: escaped already)
    return render_to_string("partials/code_block.html", {"code": code, "label": label})


def diff_rows(before: str, after: str) -> list[dict[str, Any]]:
    """The lines of two texts one below the other: `same`, `removed` or `added`, with their line numbers."""
    old, new = before.splitlines(), after.splitlines()
    rows: list[dict[str, Any]] = []
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            rows += [
                {"kind": "same", "old": old_start + i + 1, "new": new_start + i + 1, "text": text}
                for i, text in enumerate(old[old_start:old_end])
            ]
            continue
        rows += [
            {"kind": "removed", "old": i + 1, "new": "", "text": old[i]} for i in range(old_start, old_end)
        ]
        rows += [
            {"kind": "added", "old": "", "new": i + 1, "text": new[i]} for i in range(new_start, new_end)
        ]
    return rows


@register.inclusion_tag("partials/diff_view.html")
def diff_view(before: str, after: str, before_label: str, after_label: str) -> dict[str, Any]:
    """What changed between two texts, line by line."""
    return {"rows": diff_rows(before, after), "before_label": before_label, "after_label": after_label}
