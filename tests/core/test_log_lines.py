"""What is logged: JSON lines, in which no secret can be read."""

import io
import logging

import pytest
from django.test import Client

from core.operations import access
from tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def logged():
    """What goes to the standard output, by the handler and formatter of the settings."""
    console = next(handler for handler in logging.getLogger().handlers if handler.name == "console")
    lines = io.StringIO()
    before = console.setStream(lines)
    yield lines
    console.setStream(before)


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_refused_request_with_a_sign_in_link_does_not_give_the_link_away(logged, method):
    secret = access.create_sign_in_link(actor=None, user=make_user())

    assert getattr(Client(enforce_csrf_checks=True), method)(f"/sign-in/{secret}").status_code in (403, 405)

    assert "/sign-in/link_…" in logged.getvalue()
    assert secret not in logged.getvalue()
    assert access.link_state(secret=secret)[0] == "usable"


def test_a_token_in_a_traceback_is_hidden(logged):
    secret = make_token(make_user())
    try:
        raise ValueError(f"odd header\n{secret}")
    except ValueError:
        logging.getLogger("core").exception("It failed")

    assert "odd header" in logged.getvalue()
    assert secret not in logged.getvalue()
