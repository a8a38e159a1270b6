"""What the tests of backing up and of restoring share."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.stack import Stack


def backup(folder: Path) -> Path:
    call_command("backup", str(folder / "backup.tar"), stdout=StringIO())
    return folder / "backup.tar"


def ask(place: Stack, code: str) -> Any:
    """What an expression is in the place, with every model at hand."""
    program = (
        "import json; from core.models import *; from lifecycle.models import *; from serving.models import *;"
        f"from tests.every_row import every_row; print(json.dumps({code}))"
    )
    return json.loads(place.manage("shell", "--no-imports", "-c", program).stdout)
