"""What the forms of pages do with text that is hostile and with forms that are not whole: every form there is."""

import re

import pytest
from django.db import transaction

from core.models import AuditEvent
from tests.hostile.doors import World, make_world, row_counts
from tests.hostile.page_forms import (
    MULTIPART,
    URLENCODED,
    PageForm,
    Pairs,
    multipart,
    own_forms,
    page_forms,
    post,
    posted_routes,
    said,
    urlencoded,
)

pytestmark = pytest.mark.django_db

TEXTS: dict[str, str | bytes] = {
    "nothing": "",
    "NUL": "a\x00b",
    "1 MB": "n" * 2**20,
    "right-to-left": "a\u202eb\u200fc",
    "control characters": "a\x1b[31m\x07\r\nb",
    "script": "\"'><script>alert(1)</script>",
    "half a surrogate pair": b"a\xed\xa0\x80b",
    "no UTF-8": b"\xff\xfe\x00",
    "30 digits": "9" * 30,
    "upwards": "../../etc/passwd",
}
# They change no row, and there is nothing about them to say.
QUIET = ("sign-out", "set_language")
HANGUL = re.compile("[가-힣]")


@pytest.fixture
def world(settings, tmp_path) -> World:
    settings.ARTIFACT_ROOT = str(tmp_path)
    return make_world()


def check(form: PageForm, what: str, response, before: dict[str, int], *statuses: int) -> None:
    """An answer, no fault of ours; where nothing was done nothing changed, and the page says why."""
    where = (str(form), what, response.status_code, said(response)[:300])
    assert response.status_code in (statuses or (200, 302, 400, 403, 404, 413, 415)), where
    if row_counts() == before:
        assert said(response) or form.name in QUIET, where
    else:
        assert not statuses, where
        assert row_counts()[AuditEvent._meta.db_table] > before[AuditEvent._meta.db_table], where


def try_all(world: World, what: str, body, content_type: str = URLENCODED, *statuses: int, **extra) -> None:
    """Send each form with the body that `body` makes of it, and undo what was done."""
    forms = page_forms(world)
    before = row_counts()
    for form in forms:
        with transaction.atomic():
            check(form, what, post(form, body(form), content_type, **extra), before, *statuses)
            transaction.set_rollback(True)


def test_every_form_that_a_page_posts_is_tested_here(world):
    assert {name for name, *_rest in own_forms(world)} == posted_routes(world)


def test_forms_that_are_whole_are_not_what_is_refused_here(world):
    for form in page_forms(world):
        with transaction.atomic():
            response = post(form, urlencoded(form.fields), language="ko")
            assert response.status_code in (200, 302), (str(form), said(response))
            assert not said(response) or HANGUL.search(said(response)), (str(form), said(response))
            transaction.set_rollback(True)


@pytest.mark.parametrize("what", TEXTS)
def test_no_text_in_any_field_is_more_than_a_refusal(world, what):
    forms = page_forms(world)
    before = row_counts()
    for form in forms:
        for name in form.tried:
            with transaction.atomic():
                response = post(form, urlencoded(form.with_value(name, TEXTS[what])))
                check(form, f"{what} as {name}", response, before)
                transaction.set_rollback(True)


def test_a_field_that_is_missing_or_there_twice_is_no_fault(world):
    forms = page_forms(world)
    before = row_counts()
    for form in forms:
        for name in form.tried:
            for what, pairs in (("without", form.without(name)), ("twice", [*form.fields, (name, "other")])):
                with transaction.atomic():
                    check(form, f"{what} {name}", post(form, urlencoded(pairs)), before)
                    transaction.set_rollback(True)


TOO_MANY: Pairs = [(f"field{number}", "x") for number in range(1001)]


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (lambda form: urlencoded([*form.fields, *TOO_MANY]), URLENCODED, 400),
        (lambda form: multipart([*form.fields, *TOO_MANY]), MULTIPART, 400),
        (lambda form: multipart(form.fields, files=TOO_MANY[:101]), MULTIPART, 400),
        (lambda form: multipart(form.fields[:-1], files=form.fields[-1:] or TOO_MANY[:1]), MULTIPART, 400),
        (lambda form: multipart(form.fields, end=False) + b"--bound", MULTIPART, 400),
        (lambda form: multipart(form.fields), "multipart/form-data", 400),
        (lambda form: multipart(form.fields), "multipart/form-data; boundary=" + "b" * 100_000, 400),
        (lambda form: multipart(form.fields), f"{MULTIPART}; charset=unicode_escape", 415),
        (lambda form: multipart(form.fields), f"{MULTIPART}; charset=zlib", 415),
        (lambda form: urlencoded(form.fields), f"{URLENCODED}; charset=utf-16", 415),
        (lambda form: b'{"reason": "x"}', "application/json", 415),
        (lambda form: b"x" * 100, "application/octet-stream", 415),
        (lambda form: b"\x00" * (17 * 2**20), URLENCODED, 413),
    ],
    ids=[
        "1,000 fields too many",
        "1,000 parts too many",
        "101 files",
        "a file for a text",
        "parts cut short",
        "no boundary",
        "a long boundary",
        "escapes",
        "a charset that is none",
        "another charset",
        "JSON",
        "bytes",
        "17 MB",
    ],
)
def test_what_is_no_whole_form_is_refused_and_says_so(world, body, content_type, status, language):
    form = page_forms(world)[0]
    if language == "ko":
        response = post(form, body(form), content_type, language="ko")
        assert response.status_code == status
        assert HANGUL.search(said(response))
    else:
        try_all(world, content_type[:50], body, content_type, status)


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
def test_a_form_of_which_a_part_arrived_is_refused(world, content_type):
    """What is left of “_selected_action=31” may be “_selected_action=3”."""
    encode = urlencoded if content_type == URLENCODED else multipart
    try_all(world, "cut short", lambda form: encode(form.fields), content_type, 400, CONTENT_LENGTH="5000")


@pytest.mark.parametrize("name", ["a\x00b", ""], ids=["NUL", "nothing"])
def test_the_sign_in_page_says_what_is_wrong_with_a_name(client, name):
    page = client.post("/sign-in", {"username": name, "password": "x"})
    (error,) = page.context["form"].errors["username"]
    assert f'role="alert">{error}' in page.content.decode()


def test_what_is_sent_to_no_page_is_not_found(client):
    """A client that asks below the wrong address shall hear just that."""
    assert (
        client.post("/elsewhere/api/v1/alerts", {"a": 1}, content_type="application/json").status_code == 404
    )
