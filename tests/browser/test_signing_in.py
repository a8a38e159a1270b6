from playwright.sync_api import expect

from tests.browser.browsers import sign_in_link


def test_a_one_time_link_signs_in_once(stack, open_page, problems):
    path = sign_in_link(stack, "nora", "viewer").removeprefix(stack.url)
    page = open_page(path, user="")
    page.get_by_role("button", name="Sign in as nora").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.get_by_role("button", name="Your account")).to_contain_text("nora")

    stranger = open_page(path, user="")
    expect(stranger.get_by_role("alert")).to_contain_text("was used already")
    stranger.goto(stack.url + "/deployments/")
    expect(stranger).to_have_url(f"{stack.url}/sign-in?next=/deployments/")
    # The browser's own word for the 404 of the used link.
    problems.remove("Failed to load resource: the server responded with a status of 404 (Not Found)")


def test_signing_out_ends_the_session(stack, open_page):
    page = open_page(sign_in_link(stack, "nils", "viewer").removeprefix(stack.url), user="")
    page.get_by_role("button", name="Sign in as nils").click()
    page.get_by_role("button", name="Your account").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(stack.url + "/sign-in")
    page.goto(stack.url + "/")
    expect(page).to_have_url(stack.url + "/sign-in?next=/")


def test_a_wrong_password_is_told_beside_the_form(open_page):
    page = open_page("/sign-in", user="")
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("The username or the password is wrong.")
    expect(page.get_by_label("Username")).to_have_value("olga")
