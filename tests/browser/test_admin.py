"""The admin in a real browser: a version is approved there, and its pages keep their content policy."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import scenes
from tests.browser.test_every_page import WIDTHS

PAGES = (
    "/admin/",
    "/admin/lifecycle/modelversion/",
    "/admin/core/auditevent/",
    "/admin/core/auditevent/1/change/",
)
WORDS = {
    "en": {"admin": "Administration", "approve": "Approve", "note": "Note", "continue": "Continue",
           "done": "Approve: done for 1.", "history": "History", "dark": "Dark"},
    "ko": {"admin": "관리", "approve": "승인", "note": "메모", "continue": "계속",
           "done": "승인: 1개를 처리했습니다.", "history": "히스토리", "dark": "어둡게"},
}  # fmt: skip


@pytest.mark.parametrize("language", WORDS)
def test_a_version_is_found_approved_and_seen_in_the_trail(people, open_page, language):
    words, model = WORDS[language], f"approved-in-the-admin-{language}"
    scenes.tick(people, scenes.register(people, model))
    page = open_page("/", "aron", language=language)
    page.get_by_role("link", name=words["admin"], exact=True).click()
    page.goto(page.url + "lifecycle/modelversion/")

    page.locator("input[name=q]").fill(model)
    page.keyboard.press("Enter")
    row = page.locator("#result_list tbody tr")
    expect(row).to_have_count(1)
    row.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("approve")
    page.get_by_role("button", name=words["continue"]).click()

    expect(page.get_by_role("link", name=f"{model} v1")).to_be_visible()
    page.get_by_label(words["note"]).fill("Looked at in the admin")
    page.locator("#content").get_by_role("button", name=words["approve"]).click()
    expect(page.get_by_text(words["done"])).to_be_visible()

    page.get_by_role("link", name=f"{model} v1").click()
    page.get_by_role("link", name=re.compile(words["history"])).click()
    expect(page.locator("#result_list")).to_contain_text("model_version.approve")
    expect(page.locator("#result_list")).to_contain_text("Looked at in the admin")
    page.get_by_role("link", name="model_version.approve").click()
    expect(page.locator("#content")).to_contain_text("approved_sha256")


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("ko", "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_the_content_policy_holds_and_the_page_fits_every_width(people, open_page, path, language, theme):
    page = open_page(path, "aron", language=language, theme=theme)
    page.wait_for_load_state("networkidle")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_theme_is_chosen_once_for_pages_and_admin(people, open_page):
    page = open_page("/admin/", "aron")
    page.locator("#nav-sidebar-inner [x-data*=openUserLinks] > div").click()
    page.get_by_text("Dark", exact=True).click()
    expect(page.locator("html")).to_have_class("dark")
    page.goto(page.url.removesuffix("admin/"))
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.evaluate("localStorage.setItem('theme', 'light')")
    page.goto(page.url + "admin/")
    expect(page.locator("html")).to_have_class("light")


def test_filters_open_and_narrow_the_list(people, open_page):
    page = open_page("/admin/core/auditevent/", "aron")
    page.get_by_text("Filters", exact=False).first.click()
    page.get_by_label("Actor", exact=True).fill("nobody-at-all")
    page.get_by_role("button", name="Apply Filters").click()
    expect(page).to_have_url(re.compile("actor=nobody-at-all"))
    expect(page.get_by_text("No results found")).to_be_visible()
