"""Which rows of a table people work with: what querysets of several models have in common."""

from typing import Self

from django.db import models

from core.models.access import User


class VisibleRows(models.QuerySet):
    def visible_to(self, user: User) -> Self:
        """Those `user` may see: all of them, until projects restrict it."""
        return self


class KeptRows(VisibleRows):
    """Rows that are put aside by a time in `deleted_at`."""

    def kept(self) -> Self:
        """Those not deleted."""
        return self.filter(deleted_at=None)
