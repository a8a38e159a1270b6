"""A pytest plugin: tests keep to a folder of their own, whatever the developer's server is doing.

Named by `-p` in pyproject.toml, since pytest-django reads the settings before any conftest.py is imported.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="mlops-tests-")
(Path(os.environ["DATA_DIR"]) / "static").mkdir()
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
