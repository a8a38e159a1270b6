"""How numbers, sizes, durations and times are written on every page.

Filters take what the API gives (fractions, bytes, milliseconds, seconds) and write an en dash for a value
that is not known, so that a missing figure is never mistaken for zero. Spaces before units do not break.
"""

import math
from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import ngettext

from core.translation import gettext as _

register = template.Library()

UNKNOWN = "–"
NBSP = "\N{NO-BREAK SPACE}"
Number = int | float

PERCENT_METRICS = ("accuracy", "error_rate", "missing_ratio")
RELATIVE_STEPS = (
    (86400 * 365, "year"),
    (86400 * 30, "month"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def _written(value: Number | None, pattern: str, unit: str = "") -> str:
    if value is None or value == "":
        return UNKNOWN
    if not math.isfinite(value):
        return str(value)
    return format(value, pattern) + (NBSP + unit if unit else "")


@register.filter
def percent(fraction: Number | None) -> str:
    """0.9432 → `94.32 %`."""
    return _written(fraction if fraction in (None, "") else fraction * 100, ",.2f", "%")


@register.filter
def count(value: Number | None) -> str:
    """1234567 → `1,234,567`."""
    return _written(value, ",.0f")


@register.filter
def figure(value: Number | None) -> str:
    """A figure of a chart: whole numbers as they are, others to two places."""
    return _written(value, ",.2f" if isinstance(value, float) and not value.is_integer() else ",.0f")


@register.filter
def metric(value: Number | None, name: str) -> str:
    """A metric by the habits of its name: accuracies and rates in percent, all else to four places.

    Figures of a thousand and more keep two places; ones too small for four places are written as 3.20e-05.
    """
    if value in (None, ""):
        return UNKNOWN
    if any(word in name.lower() for word in PERCENT_METRICS):
        return percent(value)
    size = abs(value)
    if 0 < size < 0.00005:
        return _written(value, ".2e")
    return _written(value, ",.2f" if size >= 1000 else ".4f")


@register.filter
def byte_size(size: Number | None) -> str:
    """Bytes in powers of 1,024: 1536 → `1.5 KiB`."""
    if size in (None, ""):
        return UNKNOWN
    if size < 1024:
        return _written(size, ",.0f", "B")
    power = min(int(math.log(size, 1024)), 5)
    return _written(size / 1024**power, ",.1f", ("KiB", "MiB", "GiB", "TiB", "PiB")[power - 1])


@register.filter
def latency(milliseconds: Number | None) -> str:
    """12.41 → `12.4 ms`; from one second on in seconds, `1.25 s`."""
    if milliseconds in (None, "") or milliseconds < 1000:
        return _written(milliseconds, ".1f", "ms")
    return _written(milliseconds / 1000, ",.2f", "s")


@register.filter
def duration(seconds: Number | None) -> str:
    """The two largest units: 192 → `3m 12s`, in Korean `3분 12초`; below ten seconds with a tenth."""
    if seconds in (None, ""):
        return UNKNOWN
    if seconds < 10:
        return _("%(seconds)ss") % {"seconds": f"{seconds:.1f}"}
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return _("%(days)sd %(hours)sh") % {"days": days, "hours": hours}
    if hours:
        return _("%(hours)sh %(minutes)sm") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)sm %(seconds)ss") % {"minutes": minutes, "seconds": whole}
    return _("%(seconds)ss") % {"seconds": whole}


def _ago(unit: str, number: int) -> str:
    words = {
        "year": ngettext("%(n)s year ago", "%(n)s years ago", number),
        "month": ngettext("%(n)s month ago", "%(n)s months ago", number),
        "day": ngettext("%(n)s day ago", "%(n)s days ago", number),
        "hour": ngettext("%(n)s hour ago", "%(n)s hours ago", number),
        "minute": ngettext("%(n)s minute ago", "%(n)s minutes ago", number),
    }
    return words[unit] % {"n": number}


def time_ago(moment: datetime, now: datetime | None = None) -> str:
    """`3 minutes ago` in the reader's language; below a minute `just now`; a time ahead is written out."""
    seconds = ((now or timezone.now()) - moment).total_seconds()
    if seconds < -60:
        return date_format(timezone.localtime(moment), "DATETIME_FORMAT")
    for step, unit in RELATIVE_STEPS:
        if seconds >= step:
            return _ago(unit, int(seconds // step))
    return _("just now")


@register.filter
def relative_time(moment: datetime | None) -> str | SafeString:
    """`<time>` with the relative time, and the exact local one in its tooltip."""
    if not moment:
        return UNKNOWN
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        local.isoformat(timespec="seconds"),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        time_ago(moment),
    )


@register.filter
def clock_time(moment: datetime) -> SafeString:
    """`<time>` of a log line, `14:03:07.120`; the browser puts it in the reader's time zone."""
    return _local_time(moment, f"{timezone.localtime(moment):%H:%M:%S.%f}"[:-3], precision="millisecond")


@register.filter
def minute_time(moment: datetime) -> SafeString:
    """`<time>` of a point of a chart, `14:03`; the browser puts it in the reader's time zone."""
    return _local_time(moment, f"{timezone.localtime(moment):%H:%M}", precision="minute")


def _local_time(moment: datetime, text: str, *, precision: str) -> SafeString:
    written = timezone.localtime(moment).isoformat(timespec="milliseconds")
    return format_html(
        '<time datetime="{}" title="{}" data-clock="{}">{}</time>', written, written, precision, text
    )


@register.filter
def middle(text: str | None, length: int = 28) -> str | SafeString:
    """A long name or id with its middle left out, whole in its tooltip. `length` counts characters."""
    text = "" if text is None else str(text)
    if len(text) <= length:
        return text or UNKNOWN
    head = (length - 1) - (length - 1) // 2
    short = f"{text[:head]}…{text[len(text) - (length - 1) // 2 :]}"
    return format_html('<span title="{}" class="truncated">{}</span>', text, short)
