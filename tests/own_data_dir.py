"""A pytest plugin: tests keep to a folder of their own, whatever the developer's server is doing.

So do tests that run beside each other, one to a core: each process has its folder, and of Redis its database.

Named by `-p` in pyproject.toml, since pytest-django reads the settings before any conftest.py is imported.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="mlops-tests-")
(Path(os.environ["DATA_DIR"]) / "static").mkdir()
if "REDIS_URL" in os.environ and "PYTEST_XDIST_WORKER" in os.environ:
    number = 1 + int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()
atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
