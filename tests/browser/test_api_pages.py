"""The API for people, in a browser: a quiet console under the content policy, forms that send, documents that work."""

import pytest

from tests.browser.test_every_page import serious_violations

API = "/api/v1/ml/lifecycle"
PAGES = {
    "index": "/api/v1/",
    "list": f"{API}/deployments?limit=2",
    "detail": f"{API}/deployments/{{active}}",
    "log": f"{API}/deployments/{{active}}/logs",
}
NOT_ALLOWED = "the server responded with a status of 403"


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "ko")])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits_every_width(made, open_page, name, theme, language):
    path = PAGES[name].format(**vars(made))
    page = open_page(path, theme=theme, language=language, bypass_csp=True)
    assert serious_violations(page) == []
    for width in (1440, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("path", ["/api/v1/", f"{API}/deployments", "/api/docs/", "/api/redoc/"])
def test_the_content_policy_holds(made, open_page, path):
    open_page(path).wait_for_load_state("networkidle")


def test_a_form_sends_what_was_filled_in_and_shows_the_answer(made, open_page):
    page = open_page(f"{API}/deployments/{made.active}")
    page.get_by_text("Change a deployment").click()
    panel = page.locator("[data-api-panel][open]")
    panel.locator("[data-fields] [name=deployment_notes]").fill("Noted by hand.")
    panel.locator("[data-fields] button").click()
    answer = panel.locator("[data-api-result]")
    answer.wait_for()
    assert "200 OK" in answer.inner_text()
    assert '"deployment_notes": "Noted by hand."' in answer.inner_text()


def test_a_refusal_is_shown_in_the_servers_words(made, open_page, problems):
    page = open_page(f"{API}/deployments/{made.active}", user="vera")
    page.get_by_text("Terminate a deployment").click()
    page.locator("[data-api-panel][open] button").click()
    answer = page.locator("[data-api-panel][open] [data-api-result]")
    answer.wait_for()
    assert "you need one of these roles: operator, admin" in answer.inner_text()
    assert [problem for problem in problems if NOT_ALLOWED in problem]
    problems.clear()


def test_filters_narrow_the_list_and_leave_nothing_empty_in_the_address(made, open_page):
    page = open_page(f"{API}/deployments")
    page.locator("[name=environment]").first.select_option("production")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/deployments?environment=production")


def test_swagger_tries_a_request_with_the_session(made, open_page):
    page = open_page("/api/docs/")
    page.locator("#operations-tag-Deployments .expand-operation").click()
    page.locator("#operations-Deployments-list_deployments .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    status = page.locator(".live-responses-table .response .response-col_status").first
    status.wait_for()
    assert status.inner_text().startswith("200")


def test_redoc_finds_an_operation(made, open_page):
    page = open_page("/api/redoc/")
    page.locator("[role=search] input").fill("rollback")
    found = page.locator('[data-role="search:results"]')
    found.wait_for()
    assert "Roll back to the version that served before" in found.inner_text()
