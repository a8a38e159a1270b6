"""Every page, in both themes: a quiet console, the content policy kept, usable for everybody."""

import pytest

from tests.browser.browsers import error_pages
from tests.stack import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PAGES = {
    "overview": "/",
    "list": "/deployments/",
    "list without a match": "/deployments/?search=nothing-like-this",
    **{
        f"deployment {tab}": "/deployments/{active}/?tab=" + tab
        for tab in ("logs", "health", "replicas", "call")
    },
    "failed": "/deployments/{failed}/",
    "rolled back": "/deployments/{rolled_back}/",
    "terminated": "/deployments/{terminated}/",
    "served elsewhere": "/deployments/{external}/",
    "sign-in": "/sign-in",
    "not found": "/nothing-here",
    "unknown link": "/sign-in/link_nobody_made_this",
}
NOT_FOUND = "Failed to load resource: the server responded with a status of 404 (Not Found)"
WIDTHS = (1440, 768, 390)


@pytest.fixture(params=PAGES)
def opened(request, made, open_page, problems):
    """Opens the page with a look; what the browser says of an expected 404 is not counted."""

    def open_with(**look):
        path = PAGES[request.param].format(**vars(made))
        page = open_page(path, user="" if request.param == "sign-in" else "olga", **look)
        page.wait_for_load_state("networkidle")
        if request.param in ("not found", "unknown link"):
            problems.remove(NOT_FOUND)
        return page

    return open_with


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "ko")])
def test_axe_finds_nothing_serious(opened, theme, language):
    page = opened(theme=theme, language=language, bypass_csp=True)
    assert serious_violations(page) == []


def serious_violations(page) -> list[str]:
    """What axe-core calls serious or critical, with the elements concerned."""
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{violation['id']}: {', '.join(node['html'][:150] for node in violation['nodes'])}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_dialog(made, open_page, theme):
    page = open_page(f"/deployments/{made.active}/", theme=theme, bypass_csp=True)
    page.get_by_role("button", name="More actions").click()
    page.locator(".page-actions").get_by_role("button", name="Terminate").click()
    assert serious_violations(page) == []


def test_the_content_policy_holds_and_the_page_fits_every_width(opened):
    page = opened()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "500"])
def test_error_pages_need_nothing_but_static_files(stack, made, open_page, name, theme):
    rendered = error_pages(stack)[name]["ko"]
    page = open_page("/sign-in", user="", theme=theme, bypass_csp=True)
    page.route("**/rendered", lambda route: route.fulfill(body=rendered, content_type="text/html"))
    page.goto(stack.url + "/rendered")
    assert page.get_by_role("heading", level=1).inner_text()
    assert serious_violations(page) == []
