"""Which content policy a page is sent with."""

import re

import pytest
from django.apps import apps

from core.content_security import policy_for
from tests.admin_rows import client_of, labels, url
from tests.everything import make_everything


@pytest.mark.parametrize("path", ["/", "/sign-in", "/administrators", "/api/v1/audit-events", "/admin"])
def test_pages_run_nothing_but_our_own_scripts(path):
    assert "default-src 'self'" in policy_for(path)
    assert "unsafe" not in policy_for(path)


def test_the_admin_may_compile_expressions_and_still_runs_nothing_inline():
    policy = policy_for("/admin/core/user/")
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "unsafe-inline" not in policy
    for kept in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert kept in policy


@pytest.mark.django_db
def test_each_answer_carries_the_policy_of_its_path(client):
    assert client.get("/sign-in")["Content-Security-Policy"] == policy_for("/sign-in")
    admin = client_of("viewer").get("/admin/")
    assert admin["Content-Security-Policy"] == policy_for("/admin/") != policy_for("/sign-in")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_no_page_of_the_admin_has_an_inline_style_or_script(role):
    make_everything()
    client = client_of(role)
    for label in labels():
        for path in (url(label), url(label, "change", apps.get_model(label).objects.first().pk)):
            page = client.get(path).content.decode()
            assert not re.search(r"<style| style=|<script(?![^>]* src=)| on[a-z]+=", page), path
