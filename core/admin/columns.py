"""What lists and details show of a row, beside its plain fields. Data goes through templates or `format_html`, so it
is escaped.
"""

import json
from collections.abc import Callable
from typing import Any

from django.db import models
from django.db.models import Model
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from core.models.sentences import SentenceField
from core.status_words import ATTENTION, BAD, GOOD, NEUTRAL, PROGRESS, TRAFFIC, status_word
from core.templatetags.formatting import byte_size

Column = Callable[..., Any]
VARIANTS = {
    NEUTRAL: "",
    PROGRESS: "info",
    TRAFFIC: "primary",
    GOOD: "success",
    ATTENTION: "warning",
    BAD: "danger",
}
LONGEST_JSON = 20_000


def chip(kind: str, value: str) -> SafeString | str:
    """The word of a state, coloured as everywhere on the platform; "" where there is none."""
    if not value:
        return ""
    look = status_word(kind, value)
    label = {"text": look.word, "type": VARIANTS[look.tone]}
    return SafeString(render_to_string("unfold/helpers/label.html", label).strip())


def status(kind: str, field: str, title: Any, *, sortable: bool = True) -> Column:
    """A column of chips."""

    @display(description=title, ordering=field if sortable else None)
    def column(row: Model) -> str:
        return chip(kind, getattr(row, field))

    return column


def person(field: str, title: Any) -> Column:
    """Somebody's name. No link: most who look may not open accounts."""

    @display(description=title)
    def column(row: Model) -> str:
        somebody = getattr(row, field)
        return somebody.get_username() if somebody else "–"

    return column


def moment(field: str, title: Any) -> Column:
    """A time to the second, where the order of events matters."""

    @display(description=title)
    def column(row: Model) -> str:
        return f"{getattr(row, field):%Y-%m-%d %H:%M:%S}"

    return column


def sentence(field: str, title: Any) -> Column:
    """A sentence of the system in the reader's language."""

    @display(description=title)
    def column(row: Model) -> str:
        return str(getattr(row, field))

    return column


def unstyled(field: models.Field) -> str | Column:
    """What shows a field in a detail. Unfold would show JSON, and sentences with it, as code in inline styles."""
    if isinstance(field, SentenceField):
        return sentence(field.name, field.verbose_name)
    return structured(field.name, field.verbose_name) if isinstance(field, models.JSONField) else field.name


def structured(field: str, title: Any) -> Column:
    """A field of JSON, indented; only its start if it is very long."""

    @display(description=title)
    def column(row: Model) -> str:
        written = json.dumps(getattr(row, field), indent=2, ensure_ascii=False, default=str)
        shown = written[:LONGEST_JSON] + ("…" if len(written) > LONGEST_JSON else "")
        return format_html('<pre class="structured">{}</pre>', shown)

    return column


def plain(field: str, title: Any) -> Column:
    """A text with its line breaks, in letters of one width: logs and hashes."""

    @display(description=title)
    def column(row: Model) -> str:
        value = getattr(row, field)
        return format_html('<pre class="structured">{}</pre>', value) if value else ""

    return column


def shortened(field: str, title: Any, length: int = 120) -> Column:
    """The start of a long text."""

    @display(description=title)
    def column(row: Model) -> str:
        value = " ".join(str(getattr(row, field))[: length + 1].split())
        return value[:length] + "…" if len(value) > length else value

    return column


def bytes_(field: str, title: Any) -> Column:
    """A size in KiB, MiB and so on."""

    @display(description=title, ordering=field)
    def column(row: Model) -> str:
        return byte_size(getattr(row, field))

    return column
