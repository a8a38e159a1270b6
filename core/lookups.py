"""How a row is looked up."""

from typing import TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def one_or_none(rows: QuerySet[Row]) -> Row | None:
    """The only row there is, or None. For what is unique: `first()` sorts, and writing its query takes Django twice as
    long. Raises MultipleObjectsReturned.
    """
    try:
        return rows.get()
    except ObjectDoesNotExist:
        return None
