"""`manage.py` of a release after this one, which has one migration more."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "mlops_site.settings"
    settings.MIGRATION_MODULES = {"core": "tests.newer_release.core_migrations"}
    execute_from_command_line(sys.argv)
