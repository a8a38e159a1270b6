"""Log lines of runs."""

from datetime import datetime
from typing import TypedDict

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import TooLarge
from core.models import User
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import Run, RunLogLine

MAX_LINES_A_REQUEST = 1000


class Line(TypedDict, total=False):
    """What a client logs; `level` defaults to "info" and `at` to now."""

    message: str
    level: str
    at: datetime


@transaction.atomic
def append_lines(*, actor: User | None, run: Run, lines: list[Line]) -> int | None:
    """Append lines and return the id of the last one, to read on `after`. Raises TooLarge beyond 1,000 lines.

    The run's row is locked meanwhile: ids then appear in order, so that a reader who continues after the
    highest id it saw misses no line of a slower writer.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if len(lines) > MAX_LINES_A_REQUEST:
        raise TooLarge(_("At most %(limit)s lines a request.") % {"limit": MAX_LINES_A_REQUEST})
    Run.objects.lock(run.pk)
    now = timezone.now()
    RunLogLine.objects.bulk_create(
        RunLogLine(
            run=run, message=line["message"], level=line.get("level", "info"), at=line.get("at") or now
        )
        for line in lines
    )
    return run.log_lines.order_by("-id").values_list("id", flat=True).first()


def lines_after(*, run: Run, after: int, limit: int) -> QuerySet[RunLogLine]:
    """Up to `limit` lines whose id is above `after`, oldest first."""
    return run.log_lines.filter(pk__gt=after).order_by("id")[:limit]
