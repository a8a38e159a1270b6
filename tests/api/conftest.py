"""A real platform with one of everything in it, for the tests here that are slow."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.stack import Stack

ROLES = ("viewer", "scientist", "approver", "operator", "admin")
SEED = "import json; from tests.api.seeds import make_seeds; print(json.dumps(make_seeds()))"


@dataclass
class Seeded:
    """A running platform, what is in it, and who may use it."""

    stack: Stack
    seeds: dict[str, dict[str, Any]]
    tokens: dict[str, str]

    @property
    def schema(self) -> dict[str, Any]:
        """The schema as the server gives it; a new copy each time."""
        headers = {"Authorization": f"Bearer {self.tokens['viewer']}"}
        return requests.get(f"{self.stack.url}/api/schema/", headers=headers, timeout=30).json()

    def session_headers(self, role: str) -> dict[str, str]:
        """The headers of a browser in which somebody with this role signed in."""
        link = self.stack.manage("sign_in_link", "--user", f"session-{role}", "--role", role).stdout.strip()
        session = requests.Session()
        page = session.get(link, timeout=30)
        field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert field
        session.post(link, data={"csrfmiddlewaretoken": field[1]}, headers={"Referer": link}, timeout=30)
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
        return {"Cookie": cookies, "X-CSRFToken": session.cookies["csrftoken"], "Referer": self.stack.url}


@pytest.fixture(scope="package")
def seeded() -> Iterator[Seeded]:
    # Not a folder of pytest's: its long name leaves no room for a socket's.
    data_dir = Path(tempfile.mkdtemp(prefix="api-"))
    with Stack(data_dir) as stack:
        seeds = json.loads(stack.manage("shell", "--no-imports", "--command", SEED).stdout.splitlines()[-1])
        yield Seeded(stack, seeds, {role: stack.token(f"fuzz-{role}", role) for role in ROLES})
    shutil.rmtree(data_dir)
