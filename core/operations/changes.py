"""What a change of a row changes: its fields, for the audit row, and its tags."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Model

from core.errors import Invalid
from core.names import check_key
from core.translation import gettext as _

# They lie in one column, which is read and written whole, and with every list that shows its row.
MAX_PAIRS = 1_000_000


def differences(row: Model, changes: dict[str, Any]) -> dict[str, list[Any]]:
    """The fields of `changes` whose value is new, each with [before, after]."""
    return {
        field: [getattr(row, field), value]
        for field, value in changes.items()
        if getattr(row, field) != value
    }


def changed_pairs(
    kept: Mapping[str, str], added: Mapping[str, str], without: Collection[str] = ()
) -> dict[str, str]:
    """Tags or parameters as they become. Raises Invalid for a name that cannot be, and for more than can be kept."""
    changed = {**kept, **{check_key(name): value for name, value in added.items()}}
    changed = {name: value for name, value in changed.items() if name not in without}
    if sum(len(name) + len(value) for name, value in changed.items()) > MAX_PAIRS:
        raise Invalid(
            _("All tags, or parameters, have at most %(limit)s characters together.") % {"limit": MAX_PAIRS}
        )
    return changed
