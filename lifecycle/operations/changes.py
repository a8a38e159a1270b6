"""What a change of a row changes, for its audit row."""

from typing import Any

from django.db.models import Model


def differences(row: Model, changes: dict[str, Any]) -> dict[str, list[Any]]:
    """The fields of `changes` whose value is new, each with [before, after]."""
    return {
        field: [getattr(row, field), value]
        for field, value in changes.items()
        if getattr(row, field) != value
    }
