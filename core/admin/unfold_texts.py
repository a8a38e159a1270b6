"""Texts of Unfold's pages that neither it nor Django has in Korean, named here so that our catalog may hold them."""

from django.utils.translation import gettext_noop as N_

TEXTS = (
    N_("Select record"),
    N_("Select action"),
    N_("Select action to run"),
    N_("Select value"),
    N_("Type to search"),
    N_("Expand row"),
    N_("True"),
    N_("False"),
    N_("No results found"),
    N_("This page yielded into no results. Create a new item or reset your filters."),
    N_("Reset filters"),
    N_("Select all rows"),
    N_("All applications"),
    N_("General"),
    N_("Apply Filters"),
    N_("Go back"),
)
