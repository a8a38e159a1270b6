"""Every row of every table, as the models read it: what a restored database is compared with."""

import json
import sys

from django.apps import apps

# What a restore forgets on purpose: signs of life and processes of the old place.
FORGOTTEN = ("core_heartbeat", "serving_replica")


def every_row() -> dict[str, list[str]]:
    """Table → its rows in order, each as text."""
    return {
        model._meta.db_table: [repr(row) for row in model._base_manager.order_by("pk").values_list()]
        for model in apps.get_models(include_auto_created=True)
        if model._meta.db_table not in FORGOTTEN
    }


def print_every_row() -> None:
    """For `manage.py shell` in another process."""
    json.dump(every_row(), sys.stdout)
