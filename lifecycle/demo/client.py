"""A person of the demo, as they would script the platform: plain HTTP with a token."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

LIFECYCLE = "/api/v1/ml/lifecycle"
TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.2


class DemoFailed(Exception):
    """A step did not do what it should; the message says what was asked and what came back."""


class Person:
    """Somebody with a role and a token."""

    def __init__(self, name: str, role: str, *, base_url: str, token: str):
        self.name, self.role = name, role
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def __str__(self) -> str:
        return f"{self.name} ({self.role})"

    def request(
        self, method: str, path: str, *, expect: int | tuple[int, ...] = (200, 201), **options: Any
    ) -> Any:
        """Send a request and return its JSON. Raises DemoFailed when the answer's status is none of `expect`."""
        response = self.session.request(method, self.base_url + path, timeout=TIMEOUT_SECONDS, **options)
        expected = (expect,) if isinstance(expect, int) else expect
        if response.status_code not in expected:
            raise DemoFailed(
                f"{self}: {method} {path} answered {response.status_code}: {response.text[:500]}"
            )
        return response.json() if response.content else None

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", LIFECYCLE + path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Any:
        return self.request("POST", LIFECYCLE + path, json=body, **options)

    def patch(self, path: str, body: Any, **options: Any) -> Any:
        return self.request("PATCH", LIFECYCLE + path, json=body, **options)

    def upload(self, run_id: str, path: str, file: Path) -> None:
        """Stream a file to a run's artifacts."""
        with file.open("rb") as stream:
            self.request("PUT", f"{LIFECYCLE}/runs/{run_id}/artifacts/{path}", data=stream)

    def predict(self, model_name: str, environment: str, body: dict[str, Any]) -> requests.Response:
        """Ask for a prediction; the caller judges the answer."""
        url = f"{self.base_url}{LIFECYCLE}/serve/{model_name}/{environment}/invocations"
        return self.session.post(url, json=body, timeout=TIMEOUT_SECONDS)


def wait_until(what: str, condition: Callable[[], Any], *, seconds: float = 120) -> Any:
    """Poll `condition` until it is truthy and return its value. Raises DemoFailed after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(POLL_SECONDS)
    raise DemoFailed(f"Waited {seconds:.0f} s in vain until {what}.")
