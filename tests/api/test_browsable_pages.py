"""Every endpoint as a page: for whoever may read, without inline scripts, with a bounded number of queries."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from core.api.documents import openapi_schema
from tests.api.seeds import make_seeds
from tests.factories import make_experiment, make_user

PAGES = [
    path
    for path, operations in openapi_schema()["paths"].items()
    if path.startswith("/api/v1")
    and "get" in operations
    and operations["get"]["operationId"] != "download_artifact"
]
# Signing in takes two, the page's navigation one; the rest is the answer itself.
MOST_QUERIES = 14


@pytest.fixture
def seeds(db):
    return make_seeds()


def address(path, seeds):
    tag = openapi_schema()["paths"][path]["get"]["tags"][0]
    return path.format(**seeds.get(tag, {}))


def opened(path, *roles, language="en"):
    client = Client(headers={"Accept": "text/html", "Accept-Language": language})
    if roles:
        client.force_login(make_user(*roles))
    return client.get(path)


@pytest.mark.parametrize("role", ["viewer", "admin"])
@pytest.mark.parametrize("path", PAGES)
def test_every_endpoint_is_a_page_without_inline_script_or_style(seeds, path, role):
    page = opened(address(path, seeds), role)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    html = page.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"<[^>]*\s(style|on[a-z]+)=", html)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_no_more_queries_than_the_answer_needs(seeds, django_assert_max_num_queries, path):
    client = Client(headers={"Accept": "text/html"})
    client.force_login(make_user("admin"))
    for _ in range(30):
        make_experiment()
    with django_assert_max_num_queries(MOST_QUERIES):
        client.get(address(path, seeds))


def test_pages_have_readable_names(seeds):
    names = {
        re.search(r"<h1>(.*?)</h1>", opened(address(path, seeds), "viewer").content.decode()).group(1)
        for path in PAGES
    }
    assert {"Experiments", "Experiment", "Model versions", "Model version", "Run log lines"} <= names
    assert not [name for name in names if "View" in name or "Instance" in name or name.endswith(" List")]


def test_a_list_has_a_filter_form_with_the_allowed_values(seeds):
    html = opened("/api/v1/ml/lifecycle/deployments", "viewer").content.decode()
    for name in ("model_name", "environment", "status", "health_status", "search", "ordering", "limit"):
        assert f'name="{name}"' in html
    assert '<option value="validating">' in html


def test_a_form_has_an_input_for_each_field_and_a_raw_body_to_start_from(seeds):
    html = opened("/api/v1/ml/lifecycle/deployments", "viewer").content.decode()
    assert 'data-method="POST" data-url="/api/v1/ml/lifecycle/deployments"' in html
    assert "&quot;environment&quot;: &quot;development&quot;" in html


def test_no_form_lists_what_is_in_the_database(seeds):
    for _ in range(5):
        make_user("scientist", username=f"somebody{_}")
    html = opened("/api/v1/ml/lifecycle/code-allowances", "admin").content.decode()
    assert "somebody" not in html


def test_a_detail_offers_its_actions_and_what_is_below_it(seeds):
    version = opened("/api/v1/ml/lifecycle/models/diabetes/1", "viewer").content.decode()
    for action in ("approve", "reject", "archive", "deploy", "checklist"):
        assert f'data-url="/api/v1/ml/lifecycle/models/diabetes/1/{action}"' in version
    assert 'data-url="/api/v1/ml/lifecycle/models/diabetes/compare"' in version
    run = seeds["Runs"]["run_id"]
    page = opened(f"/api/v1/ml/lifecycle/runs/{run}", "viewer").content.decode()
    for below in ("metrics", "logs", "artifacts"):
        assert f'href="/api/v1/ml/lifecycle/runs/{run}/{below}"' in page


def test_a_list_links_its_entries_and_its_pages(seeds):
    make_experiment(name="another")
    html = opened("/api/v1/ml/lifecycle/experiments?limit=1", "viewer").content.decode()
    assert 'href="/api/v1/ml/lifecycle/experiments/another"' in html
    assert "1–1 of 3" in html
    assert 'rel="next"' in html


def test_a_stranger_is_shown_the_way_in(db):
    page = opened("/api/v1/ml/lifecycle/experiments")
    assert page.status_code == 401
    assert f'href="{reverse("sign-in")}?next=/api/v1/ml/lifecycle/experiments"' in page.content.decode()


def test_what_is_not_there_is_a_page_too(seeds):
    page = opened("/api/v1/ml/lifecycle/experiments/nothing", "viewer")
    assert page.status_code == 404
    assert "There is no experiment “nothing”." in page.content.decode()


def test_the_frame_follows_the_language(seeds):
    html = opened("/api/v1/ml/lifecycle/experiments", "viewer", language="ko").content.decode()
    assert "<h1>실험</h1>" in html
    assert "보내기" in html


def test_what_was_typed_is_shown_and_not_run(seeds):
    make_experiment(name="<script>alert(1)</script>")
    html = opened("/api/v1/ml/lifecycle/experiments?search=%3Cscript%3E", "viewer").content.decode()
    assert "<script>alert" not in html


def test_the_index_leads_to_every_list(seeds):
    html = opened("/api/v1/", "viewer").content.decode()
    for path in PAGES:
        if "{" not in path:
            assert path in html
