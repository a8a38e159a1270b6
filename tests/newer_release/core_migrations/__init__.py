"""Core's migrations of this release, and those beside this file."""

from pathlib import Path

import core.migrations

__path__.append(str(Path(core.migrations.__file__).parent))
