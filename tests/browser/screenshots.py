"""Photographs every page in every state: wide and narrow, Korean and English, light and dark."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser import scenes
from tests.browser.browsers import chromium_path, error_pages, open_menu, signed_in_state
from tests.stack import ROOT, Stack

FOLDER = ROOT / "var" / "screenshots"
README_IMAGES = ROOT / "docs" / "images"
SIZES = {"1440": {"width": 1440, "height": 900}, "390": {"width": 390, "height": 844}}
README_BYTES = 300 * 1024
REPLACED_MODEL = "disease-progression"


@dataclass(frozen=True)
class Look:
    size: str
    language: str
    theme: str

    def __str__(self) -> str:
        return f"{self.size}-{self.language}-{self.theme}"


@dataclass(frozen=True)
class Shot:
    """A page to photograph: its address, and what to do there first."""

    name: str
    path: str
    prepare: Callable[[Page], None] = lambda page: None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a name or look, e.g. overview or 1440-ko-dark")
    parser.add_argument(
        "--readme", action="store_true", help="also write the pictures of the README to docs/images"
    )
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path())
        with Stack(Path(folder) / "demo") as stack:
            people = scenes.People(stack)
            made = scenes.make_scenes(stack, people)
            serving = scenes.replace_in_production(people, REPLACED_MODEL)
            with scenes.traffic(people, REPLACED_MODEL, "production"):
                photograph_demo(browser, stack, made, serving, options.only)
                if options.readme:
                    photograph_for_readme(browser, stack, serving)
            photograph_on_its_way(browser, stack, people, options.only)
        with Stack(Path(folder) / "empty") as stack:
            photograph(browser, stack, empty_shots(), options.only)
        browser.close()
    return 0


def photograph_demo(browser: Browser, stack: Stack, made: scenes.Scenes, serving: int, only: str) -> None:
    shots = [*overview_shots(), *list_shots(), *deployment_shots(made, serving), *error_shots(stack)]
    photograph(browser, stack, shots, only)
    photograph(browser, stack, sign_in_shots(stack), only, signed_in=False)


def photograph_on_its_way(browser: Browser, stack: Stack, people: scenes.People, only: str) -> None:
    """Without the agent nothing comes up: a deployment stays on its way for as long as the camera needs."""
    stack.end("agent", signal.SIGTERM)
    on_its_way = scenes.deploy(people, scenes.MODEL)
    scenes.wait_for(people, on_its_way, "deploying")
    photograph(browser, stack, [Shot("deployment-in-progress", f"/deployments/{on_its_way}/")], only)
    stack.start("agent")


def overview_shots() -> list[Shot]:
    return [Shot("overview", "/"), Shot("overview-menu", "/", lambda page: open_menu(page, ".user-button"))]


def list_shots() -> list[Shot]:
    return [
        Shot("deployments", "/deployments/"),
        Shot(
            "deployments-filtered", "/deployments/?environment=production&status=active&ordering=model__name"
        ),
        Shot("deployments-none", "/deployments/?search=nothing-like-this"),
    ]


def deployment_shots(made: scenes.Scenes, serving: int) -> list[Shot]:
    active = f"/deployments/{serving}/"
    return [
        *(Shot(f"deployment-{tab}", f"{active}?tab={tab}") for tab in ("logs", "health", "replicas", "call")),
        Shot("deployment-failed", f"/deployments/{made.failed}/"),
        Shot("deployment-rolled-back", f"/deployments/{made.rolled_back}/"),
        Shot("deployment-terminated", f"/deployments/{made.terminated}/"),
        Shot("deployment-terminated-replicas", f"/deployments/{made.terminated}/?tab=replicas"),
        Shot("deployment-external", f"/deployments/{made.external}/"),
        Shot("deployment-terminate-dialog", active, open_terminate),
        Shot(
            "deployment-rollback-dialog", active, lambda page: page.locator(".page-actions .btn-warn").click()
        ),
    ]


def open_terminate(page: Page) -> None:
    open_menu(page, ".page-actions .btn-square")
    page.locator(".page-actions .dropdown-item.text-bad").click()


def error_shots(stack: Stack) -> list[Shot]:
    """Pages that a healthy server shows to nobody: it renders them, and the browser gets them in its name."""
    rendered = error_pages(stack)

    def shown(name: str) -> Callable[[Page], None]:
        return lambda page: show(page, rendered[name])

    return [
        Shot("error-404", "/nothing-here"),
        *(Shot(f"error-{name}", "/", shown(name)) for name in rendered),
    ]


def show(page: Page, html: dict[str, str]) -> None:
    language = page.locator("html").get_attribute("lang") or "en"
    page.route("**/rendered", lambda route: route.fulfill(body=html[language], content_type="text/html"))
    page.goto(page.url.rstrip("/") + "/rendered")


def sign_in_shots(stack: Stack) -> list[Shot]:
    fresh = stack.manage("sign_in_link", "--user", "olga").stdout.strip().removeprefix(stack.url)
    used = stack.manage("sign_in_link", "--user", "olga").stdout.strip().removeprefix(stack.url)
    return [
        Shot("sign-in", "/sign-in?next=/deployments/"),
        Shot("sign-in-wrong-password", "/sign-in", enter_wrong_password),
        Shot("sign-in-link", fresh),
        Shot("sign-in-link-used", used, use_link_up),
        Shot("sign-in-link-unknown", "/sign-in/link_nobody_made_this"),
    ]


def enter_wrong_password(page: Page) -> None:
    page.fill("[name=username]", "olga")
    page.fill("[name=password]", "wrong")
    page.click("main button[type=submit]")


def use_link_up(page: Page) -> None:
    """The first visitor uses it up; all see afterwards what a used link says."""
    link = page.url
    if page.locator("[name=password]").count() == 0:
        page.click("main button[type=submit]")
        page.wait_for_url("**/")
        page.context.clear_cookies(name="sessionid")
        page.goto(link)


def empty_shots() -> list[Shot]:
    return [Shot("overview-empty", "/"), Shot("deployments-empty", "/deployments/")]


def photograph(
    browser: Browser, stack: Stack, shots: list[Shot], only: str, *, signed_in: bool = True
) -> None:
    state = signed_in_state(browser, stack, "olga", "operator") if signed_in else None
    for look in (Look(*values) for values in product(SIZES, ("ko", "en"), ("light", "dark"))):
        wanted = [shot for shot in shots if only in f"{shot.name}-{look}"]
        if wanted:
            for shot, page in pages(open_context(browser, stack, look, state), wanted, stack):
                page.screenshot(path=FOLDER / f"{shot.name}-{look}.png", full_page=True)
                sys.stdout.write(f"{shot.name}-{look}\n")


def open_context(browser: Browser, stack: Stack, look: Look, state: dict | None) -> BrowserContext:
    context = browser.new_context(
        viewport=SIZES[look.size],
        storage_state=state,
        color_scheme=look.theme,
        timezone_id="Asia/Seoul",
        locale=look.language,
    )
    context.add_cookies([{"name": "django_language", "value": look.language, "url": stack.url}])
    return context


def pages(context: BrowserContext, shots: list[Shot], stack: Stack) -> Iterator[tuple[Shot, Page]]:
    for shot in shots:
        page = context.new_page()
        page.on("console", lambda message, shot=shot: report(shot, message.type, message.text))
        page.on("pageerror", lambda error, shot=shot: report(shot, "error", str(error)))
        page.goto(stack.url + shot.path)
        shot.prepare(page)
        page.wait_for_timeout(350)  # menus and charts have drawn themselves
        yield shot, page
        page.close()
    context.close()


def report(shot: Shot, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        sys.stdout.write(f"  {shot.name}: {kind}: {text}\n")


def photograph_for_readme(browser: Browser, stack: Stack, serving: int) -> None:
    README_IMAGES.mkdir(parents=True, exist_ok=True)
    state = signed_in_state(browser, stack, "olga", "operator")
    context = open_context(browser, stack, Look("1440", "en", "light"), state)
    shots = [Shot("overview", "/"), Shot("deployment", f"/deployments/{serving}/?tab=health")]
    for shot, page in pages(context, shots, stack):
        path = README_IMAGES / f"{shot.name}.png"
        page.screenshot(path=path)
        Image.open(path).convert("RGB").save(path, optimize=True)
        if path.stat().st_size > README_BYTES:
            raise SystemExit(f"{path} is larger than {README_BYTES} bytes.")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlops_site.settings")
    sys.exit(main())
