import signal
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser import scenes
from tests.stack import wait_until

LOG_SECONDS = 2
REFRESH_MS = 8_000  # a page asks every 5 s, then has to be answered
QUIET_MS = 7_000


@pytest.fixture
def held(stack):
    """Neither worker nor agent runs: a deployment waits in each stage until the test lets it go on."""
    stack.end("worker", signal.SIGTERM)
    stack.end("agent", signal.SIGTERM)
    yield stack
    for name in ("worker", "agent"):
        if name not in stack.processes:
            stack.start(name)


def step(page: Page, number: int):
    return page.locator(".stepper > li").nth(number)


def test_a_deployment_goes_through_its_stages_before_the_readers_eyes(made, people, held, open_page):
    deployment_id = scenes.deploy(people, scenes.LONG_MODEL)
    page = open_page(f"/deployments/{deployment_id}/")
    page.evaluate("window.neverReloaded = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(step(page, 0)).to_have_attribute("aria-current", "step")
    search = page.get_by_role("searchbox", name="Search the log")
    search.fill("re")
    search.focus()

    held.start("worker")
    lines = wait_until(
        lambda: people.viewer.get(f"/deployments/{deployment_id}/logs")["results"],
        seconds=30,
        what="a line is logged",
    )
    written = time.monotonic()
    expect(page.locator(".log-text", has_text=lines[0]["message"])).to_be_attached(timeout=LOG_SECONDS * 1000)
    assert time.monotonic() - written < LOG_SECONDS
    expect(step(page, 2)).to_have_attribute("aria-current", "step", timeout=REFRESH_MS)
    expect(step(page, 0)).to_have_class("step step-done")
    expect(step(page, 1)).to_have_class("step step-done")

    held.start("agent")
    scenes.wait_for(people, deployment_id, "active")
    expect(step(page, 3)).to_have_class("step step-current step-settled", timeout=REFRESH_MS)
    expect(page.locator(".page-title-row")).to_contain_text("Active")
    expect(page.locator(".log-text", has_text="traffic moved here")).to_be_attached()
    expect(search).to_be_focused()
    expect(search).to_have_value("re")
    assert page.evaluate("window.neverReloaded")

    asked.clear()
    page.wait_for_timeout(QUIET_MS)
    assert asked == []


def test_a_menu_that_is_open_stays_open_when_the_page_refreshes(made, people, held, open_page):
    deployment_id = scenes.deploy(people, "unsigned-experiment")
    page = open_page(f"/deployments/{deployment_id}/")
    page.get_by_role("button", name="More actions").click()
    with page.expect_response("**/live*", timeout=REFRESH_MS):
        pass
    expect(page.get_by_role("button", name="Terminate")).to_be_visible()
    people.operator.patch(f"/deployments/{deployment_id}", {"status": "terminated"})


def test_a_server_that_is_away_is_told_and_forgotten_when_it_is_back(made, people, held, open_page, problems):
    deployment_id = scenes.deploy(people, "unsigned-experiment")
    page = open_page(f"/deployments/{deployment_id}/")
    page.context.set_offline(True)
    expect(page.get_by_text("Connection lost, trying again")).to_be_visible(timeout=REFRESH_MS)
    page.context.set_offline(False)
    expect(page.get_by_text("Connection lost, trying again")).to_be_hidden(timeout=REFRESH_MS)
    people.operator.patch(f"/deployments/{deployment_id}", {"status": "terminated"})
    # The browser's and htmx's own words for requests without a network.
    expected = ("Failed to load resource: net::ERR_INTERNET_DISCONNECTED", "htmx:")
    problems[:] = [problem for problem in problems if not problem.startswith(expected)]
