"""Other processes on the database of the running test, which must be transactional."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from django.db import connection

REPOSITORY = Path(__file__).resolve().parents[2]


def start_python(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Python with these arguments, this project's settings and this test's database."""
    variables = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mlops_site.settings",
        "DATABASE_URL": _database_url(),
        **environment,
    }
    command = [sys.executable, *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, env=variables, stderr=subprocess.PIPE, text=True)


def _database_url() -> str:
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    secret = quote(database["PASSWORD"] or "", safe="")
    login = quote(database["USER"], safe="") + (f":{secret}" if secret else "")
    return (
        f"postgres://{login}@{database['HOST'] or 'localhost'}:{database['PORT'] or 5432}/{database['NAME']}"
    )
