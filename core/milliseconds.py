"""Times as MLflow counts them: whole milliseconds since 1970-01-01 UTC."""

from datetime import UTC, datetime, timedelta

MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - EPOCH) // MILLISECOND


def milliseconds_of(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def moment_of(milliseconds: int) -> datetime:
    """The moment; what lies beyond the calendar is its first or last day."""
    return EPOCH + min(max(milliseconds, EARLIEST), LATEST) * MILLISECOND
