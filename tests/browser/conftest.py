"""A real platform with the demo's data, and a real browser on it.

Both last for this folder only: Playwright keeps an event loop running in this thread, and Django refuses
database calls beside one, which the tests after these make.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import scenes
from tests.browser.browsers import chromium_path, signed_in_state
from tests.browser.scenes import People, Scenes
from tests.stack import Stack

OpenPage = Callable[..., Page]
ROLES = {"vera": "viewer", "olga": "operator", "aron": "approver"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need a browser and a whole platform."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        missing = "No browser: install Chromium, or name one in CHROMIUM."
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def stack(browser: Browser) -> Iterator[Stack]:
    # Not a folder of pytest's: its long name leaves no room for a socket's.
    data_dir = Path(tempfile.mkdtemp(prefix="browser-"))
    with Stack(data_dir) as stack:
        yield stack
    shutil.rmtree(data_dir)


@pytest.fixture(scope="package")
def people(stack: Stack) -> People:
    return People(stack)


@pytest.fixture(scope="package")
def made(stack: Stack, people: People) -> Scenes:
    return scenes.make_scenes(stack, people)


@pytest.fixture(scope="package")
def states(browser: Browser, stack: Stack) -> dict[str, Any]:
    """Cookies of each person, signed in."""
    return {name: signed_in_state(browser, stack, name, role) for name, role in ROLES.items()}


@pytest.fixture
def problems() -> list[str]:
    """What pages complained of in their console; a test that expects some takes them out."""
    return []


@pytest.fixture
def open_page(
    browser: Browser, stack: Stack, request: pytest.FixtureRequest, problems: list[str]
) -> Iterator[OpenPage]:
    """Opens `path` as `user` ("" for nobody); a console error or a broken content policy fails the test."""
    contexts = []

    def opened(
        path: str, user: str = "olga", *, language: str = "en", theme: str = "light", **options: Any
    ) -> Page:
        state = request.getfixturevalue("states")[user] if user else None
        context = browser.new_context(storage_state=state, color_scheme=theme, locale=language, **options)
        contexts.append(context)
        context.add_cookies([{"name": "django_language", "value": language, "url": stack.url}])
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(stack.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []
