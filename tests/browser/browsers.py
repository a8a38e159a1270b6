"""Opening a browser on a stack: where it is, signing in, and the pages that a healthy server never shows."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.stack import Stack

CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
RENDER = """
import json
from django.template.loader import render_to_string
from django.utils import translation
pages = {}
for name in ("400", "403", "403_csrf", "500"):
    pages[name] = {}
    for language in ("ko", "en"):
        with translation.override(language):
            pages[name][language] = render_to_string(f"{name}.html")
print(json.dumps(pages))
"""


def chromium_path() -> str | None:
    """The browser named by CHROMIUM, or found on the PATH, or None."""
    named = os.environ.get("CHROMIUM", "")
    if named and not Path(named).exists():
        raise FileNotFoundError(f"CHROMIUM names {named}, which is not there.")
    return named or next(filter(None, map(shutil.which, CANDIDATES)), None)


def sign_in_link(stack: Stack, user: str, role: str) -> str:
    return stack.manage("sign_in_link", "--user", user, "--role", role).stdout.strip()


def signed_in_state(browser: Browser, stack: Stack, user: str, role: str) -> Any:
    """Cookies of somebody who signed in through a one-time link."""
    context = browser.new_context()
    page = context.new_page()
    response = page.goto(sign_in_link(stack, user, role))
    assert response
    assert response.ok, page.content()
    page.click("main button[type=submit]")
    page.wait_for_url(stack.url + "/")
    state = context.storage_state()
    context.close()
    return state


def open_menu(page: Page, button: str) -> None:
    page.locator(button).click()
    page.locator(f"{button} + .dropdown-menu.show").wait_for()


def error_pages(stack: Stack) -> dict[str, dict[str, str]]:
    """The HTML of each error page by language."""
    return json.loads(stack.manage("shell", "--no-imports", "--command", RENDER).stdout)
