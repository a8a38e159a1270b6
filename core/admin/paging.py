"""Pages of the admin's lists."""

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet


class KeysFirstPaginator(Paginator):
    """Finds a page's rows by their keys, and only then reads them with all that is joined to them.

    A far page passes over everything before it; doing so on keys alone, a database needs no more than an index.
    """

    object_list: QuerySet[Any]

    def page(self, number: Any) -> Page:
        first = (self.validate_number(number) - 1) * self.per_page
        keys = list(self.object_list.values_list("pk", flat=True)[first : first + self.per_page])
        return Page(self.object_list.filter(pk__in=keys), number, self)
