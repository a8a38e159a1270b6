import pytest
from playwright.sync_api import Page, expect

from tests.browser import scenes

ROW = {
    "age": 59.0,
    "sex": 2.0,
    "bmi": 32.1,
    "bp": 101.0,
    "s1": 157.0,
    "s2": 93.2,
    "s3": 38.0,
    "s4": 4.0,
    "s5": 4.8598,
    "s6": 87.0,
}
MOST_TABS = 40
ACTIVE_MS = 60_000


@pytest.fixture
def two_versions(made, people) -> int:
    """The second of two versions of a model of its own, active in development; returns its deployment."""
    for _each in range(2):
        version = scenes.register(people, "rolled-back-by-keyboard")["version"]
        deployment_id = scenes.deploy(people, "rolled-back-by-keyboard", version=version)
        scenes.wait_for(people, deployment_id, "active")
    return deployment_id


@pytest.fixture
def in_production(made, people) -> int:
    version = scenes.register(people, "terminated-by-name")
    scenes.approve(people, version, stage="production")
    deployment_id = scenes.deploy(people, "terminated-by-name", environment="production")
    scenes.wait_for(people, deployment_id, "active")
    return deployment_id


def tab_to(page: Page, name: str) -> None:
    for _each in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText?.trim()") == name:
            return
    raise AssertionError(f"“{name}” cannot be reached with the Tab key.")


def version_that_answers(people, model_name: str) -> str:
    answer = people.viewer.predict(model_name, "development", {"dataframe_records": [ROW]})
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Model-Version"]


def test_rolling_back_with_the_keyboard_alone(people, two_versions, open_page):
    assert version_that_answers(people, "rolled-back-by-keyboard") == "2"
    page = open_page(f"/deployments/{two_versions}/")
    dialog, button = page.get_by_role("dialog"), page.get_by_role("button", name="Roll back to v1")

    tab_to(page, "Roll back to v1")
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Roll back from version 2 to version 1?")
    expect(dialog.get_by_label("Reason, for the audit trail")).to_be_focused()
    for _each in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()

    page.keyboard.press("Enter")
    page.keyboard.type("Slower than the one before.")
    tab_to(page, "Roll back")
    page.keyboard.press("Enter")
    expect(page.locator(".toast-card")).to_contain_text("Rolling back to version 1.")
    expect(page.locator(".page-title-row")).to_contain_text("Active", timeout=ACTIVE_MS)
    expect(page.locator(".timeline")).to_contain_text("Slower than the one before.")
    assert version_that_answers(people, "rolled-back-by-keyboard") == "1"
    page.get_by_role("link", name=f"#{two_versions}").click()
    expect(page.locator(".page-title-row")).to_contain_text("Rolled back")


def test_terminating_in_production_takes_typing_the_name(people, in_production, open_page):
    page = open_page(f"/deployments/{in_production}/")
    page.get_by_role("button", name="More actions").click()
    page.locator(".page-actions").get_by_role("button", name="Terminate").click()
    dialog = page.get_by_role("dialog")
    confirm, name = (
        dialog.get_by_role("button", name="Terminate"),
        dialog.get_by_label("Type this name to go on:"),
    )
    expect(name).to_be_focused()
    expect(confirm).to_be_disabled()
    name.fill("terminated-by")
    expect(confirm).to_be_disabled()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    name.fill("terminated-by-name")
    confirm.click()
    expect(page.locator(".toast-card")).to_contain_text("The deployment was terminated.")
    expect(page.locator(".page-title-row")).to_contain_text("Terminated")
    assert people.viewer.get(f"/deployments/{in_production}")["status"] == "terminated"


def test_a_viewer_has_no_buttons_and_a_forged_request_is_refused(made, people, open_page):
    page = open_page(f"/deployments/{made.active}/", user="vera")
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    expect(page.get_by_role("button", name="More actions")).to_have_count(0)
    page.evaluate(
        """path => {
            const form = Object.assign(document.createElement("form"), { method: "post", action: path });
            const value = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
            const name = "csrfmiddlewaretoken";
            form.append(Object.assign(document.createElement("input"), { name, value }));
            document.body.append(form);
            form.submit();
        }""",
        f"/deployments/{made.active}/terminate",
    )
    expect(page.locator("[data-toast=error]")).to_contain_text("you need one of these roles: operator, admin")
    assert people.viewer.get(f"/deployments/{made.active}")["status"] == "active"


def test_the_overview_shows_what_serves_and_leads_there(made, open_page):
    page = open_page("/", user="vera")
    serving = page.get_by_role("region", name="What serves")
    row = serving.get_by_role("row", name=scenes.DEMO_MODEL)
    expect(row).to_contain_text("Production")
    expect(row).to_contain_text("Healthy")
    expect(page.get_by_role("region", name="Failed lately")).to_contain_text(
        "The model was logged without a signature"
    )
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{scenes.DEMO_MODEL} v1")


def test_filters_apply_as_they_are_chosen_and_clear_in_one_click(stack, made, open_page):
    page = open_page("/deployments/")
    page.get_by_role("combobox", name="Status").select_option("failed")
    expect(page).to_have_url(f"{stack.url}/deployments/?status=failed")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Clear all").click()
    expect(page).to_have_url(f"{stack.url}/deployments/")


def test_the_export_of_a_sorted_and_filtered_list_is_a_file(made, open_page):
    page = open_page("/deployments/?environment=development&ordering=model__name")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    text = download.value.path().read_text()
    assert text.count("\n") > page.locator("tbody tr").count() - 1
    assert scenes.LONG_MODEL in text
