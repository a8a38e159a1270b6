from playwright.sync_api import expect


def test_the_language_is_kept_from_page_to_page(stack, open_page):
    page = open_page("/deployments/?status=active")
    for choice, heading, language in (("한국어", "배포", "ko"), ("English", "Deployments", "en")):
        page.get_by_role("button", name="Language" if language == "ko" else "언어").click()
        page.get_by_role("button", name=choice).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        expect(page).to_have_url(f"{stack.url}/deployments/?status=active")
        page.goto(stack.url + "/")
        expect(page.locator("html")).to_have_attribute("lang", language)
        page.goto(stack.url + "/deployments/?status=active")


def test_the_theme_is_kept_and_set_before_anything_is_drawn(stack, open_page):
    page = open_page("/")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.goto(stack.url + "/deployments/", wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="As the system").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


def test_the_navigation_stays_collapsed(stack, open_page):
    page = open_page("/")
    page.get_by_role("button", name="Collapse").click()
    page.goto(stack.url + "/deployments/")
    expect(page.locator("html")).to_have_attribute("data-nav", "collapsed")


def test_on_a_narrow_screen_the_navigation_slides_in_and_leaves_by_escape(open_page):
    page = open_page("/", viewport={"width": 390, "height": 844})
    opener = page.get_by_role("button", name="Open navigation")
    opener.click()
    expect(page.get_by_role("link", name="Deployments").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
