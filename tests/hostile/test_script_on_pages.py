"""Script in every text of every noun, on every address that answers: nothing of it runs, nowhere.

Rows are filled as the database would hold them, past what the API refuses; addresses come from the site's own list, so
a new page is visited without anybody adding it here.
"""

import csv
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps
from django.contrib.admin.utils import quote as quote_of_admin
from django.db import connection, models
from django.http.response import HttpResponseBase
from django.urls import reverse

from core.api.export import FORMULA_STARTS
from core.models import AuditEvent
from core.operations import audit
from lifecycle.models import (
    RegisteredModel,
)
from tests.admin_rows import labels
from tests.browser.browsers import chromium_path
from tests.factories import make_file
from tests.hostile.doors import World, make_world, routes

pytestmark = pytest.mark.django_db

# Where a model's name stands they lose their “/” and “:”, which no such name holds.
ATTRIBUTE = "\"'><img src=x onerror=hostile()>{{6*7}}hostile"
ELEMENT = "</script><script>hostile()</script>"
ADDRESS = "javascript:hostile()"
PAYLOADS = {"attribute": ATTRIBUTE, "element": ELEMENT, "address": ADDRESS}
# What finds a row, or says what kind it is; everything else is somebody's text.
NOT_TEXT = {
    "run_id",
    "model_id",
    "key",
    "digest",
    "storage_key",
    "artifact_path",
    "path",
    "session_key",
    "password",
    "hash",
    "alias",
}
QUERIES = ("?tab=logs", "?tab=health", "?tab=replicas", "?tab=call", f"?search={quote(ATTRIBUTE)}")
OWN_APPS = ("core", "serving", "prompts", "lifecycle")
# These answer only to POST, or with an error where nothing runs beside the test.
ANSWERS_NO_GET = {
    "readyz",
    "api-schema",  # to browsers neither: it is JSON or YAML
    "set_language",
    "sign-out",
    "sign-in-link",
    "invocations",
    "mlflow-file-presigned",
    "mlflow-ajax-file-presigned",
    "deployment-rollback",
    "deployment-terminate",
}


LEADS = {"href", "src", "action", "formaction", "xlink:href", "data", "srcdoc", "srcset", "poster", "content"}
RUN_AS_ADDRESS = ("javascript:", "data:text/html", "vbscript:")


class Found(HTMLParser):
    """What of a page a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._in_script = tag == "script"
        for name, value in attributes:
            text = (value or "").strip().lower()
            if "hostile" in text and (name.startswith("on") or name == "style" or tag == "base"):
                self.runs.append(f"<{tag} {name}={value!r}>")
            leads = name in LEADS or name.startswith("hx-")
            if leads and re.sub(r"[\s\x00-\x1f]", "", text).startswith(RUN_AS_ADDRESS):
                self.runs.append(f"<{tag} {name}={value!r}>")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and "hostile" in data:
            self.runs.append(f"<script>{data[:100]}")


@pytest.fixture(params=PAYLOADS)
def payload(request) -> str:
    return PAYLOADS[request.param]


@pytest.fixture
def world(payload, settings, tmp_path) -> World:
    settings.ARTIFACT_ROOT = str(tmp_path)
    world = make_world()
    make_file(world.run, "notes.txt", payload)
    fill_all(payload)
    audit.record(
        actor=world.admin,
        action="experiment.update",
        target=world.experiment,
        domain="lifecycle",
        changes={payload: [payload, payload]},
        reason=payload,
    )
    return world


def fill_all(payload: str) -> None:
    for app in OWN_APPS:
        for model in apps.get_app_config(app).get_models():
            if model is not AuditEvent:
                for row in model._base_manager.all():
                    fill(row, payload)


def fill(row: models.Model, payload: str) -> None:
    """Put the payload into every text column of a row that can hold it."""
    values = {}
    for field in row._meta.concrete_fields:
        if field.choices or field.name in NOT_TEXT:
            continue
        if isinstance(field, models.JSONField):
            values[field] = spoiled(field, getattr(row, field.attname), payload)
        elif isinstance(field, models.CharField | models.TextField):
            text = f"{payload}{row.pk}"  # many a name is there once only
            if isinstance(row, RegisteredModel) and field.name == "name":
                text = text.replace("</", "<").replace("/", "").replace(":", "")
            if field.max_length is None or field.max_length >= len(text):
                values[field] = text
    with connection.cursor() as cursor:
        for field, value in values.items():
            kept = field.get_db_prep_save(value, connection)
            cursor.execute(
                f'UPDATE "{row._meta.db_table}" SET "{field.column}" = %s WHERE "{row._meta.pk.column}" = %s',
                [kept, row.pk],
            )


def spoiled(field: models.JSONField, value: Any, payload: str) -> Any:
    """Names and texts inside JSON; a configuration keeps the words that code reads."""
    if field.name in ("tags", "metadata", "parameters"):
        return {payload: payload}
    if isinstance(value, dict) and "inputs" in value:
        return {**value, "inputs": [{**column, "name": payload} for column in value["inputs"]]}
    return payload if isinstance(value, str) else value


def addresses(world: World) -> Iterator[tuple[str, str]]:
    """Every address that answers to GET, with its route; an id stands for a row of each noun."""
    ids = {world.deployment.pk, world.external.pk, world.alert.pk, world.drift.pk, world.token.pk}
    model = RegisteredModel.objects.get(pk=world.version.model_id)
    known = {
        "name": world.experiment.pk,
        "run_id": world.run.run_id,
        "model_id": world.logged_model.model_id,
        "model_name": quote(model.name, safe=""),
        "version": 1,
        "alias": "champion",
        "path": "notes.txt",
        "item_id": world.version.checklist.first().pk,
    }
    yield from admin_addresses()
    for route, pattern in routes():
        if route.startswith("/admin"):
            continue
        methods = getattr(pattern.callback, "actions", None) or getattr(pattern.callback, "methods", {"get"})
        if pattern.name in ANSWERS_NO_GET or pattern.name is None or "get" not in map(str.lower, methods):
            continue
        path = (
            re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", route).replace("^", "").replace("/?$", "")
        )
        path = re.sub(r"<\w+:(\w+)>", r"<\1>", path).removesuffix("$")
        if "/mlflow-artifacts/" in path:
            path = path.replace("<path>", f"{world.run.experiment_id}/<run_id>/artifacts/<path>")
        for pk in sorted(ids) if "<pk>" in path else [0]:
            yield str(pattern.name), filled(path, {**known, "pk": pk})


def admin_addresses() -> Iterator[tuple[str, str]]:
    """The admin's list of each model, and the detail of its newest row."""
    yield "admin:index", reverse("admin:index")
    for label in labels():
        model, name = apps.get_model(label), f"admin:{label.replace('.', '_')}"
        yield f"{name}_changelist", reverse(f"{name}_changelist")
        newest = model._base_manager.latest("pk")
        yield f"{name}_change", reverse(f"{name}_change", args=[quote_of_admin(newest.pk)])


def queries_of(world: World, path: str) -> tuple[str, ...]:
    if "/mlflow/" in path:
        world.experiment.refresh_from_db()
        asked = {
            "experiment_id": world.experiment.pk,
            "experiment_name": world.experiment.name,
            "run_id": world.run.run_id,
            "metric_key": "loss",
            "artifact_file_path": "MLmodel",
            "name": RegisteredModel.objects.get(pk=world.version.model_id).name,
            "version": 1,
            "alias": "champion",
        }
        return (f"?{urlencode({**asked, 'max_results': 100})}",)
    if path.endswith("/mlflow-artifacts/artifacts"):
        return (f"?path={world.run.experiment_id}/{world.run.run_id}/artifacts",)
    if path.startswith("/api/"):
        return ("",)
    return ("", f"?q={quote(ATTRIBUTE)}") if path.startswith("/admin/") else ("", *QUERIES)


def filled(path: str, values: dict[str, Any]) -> str:
    return re.sub(r"<(\w+)>", lambda found: str(values[found[1]]), path)


def visited(world: World) -> Iterator[tuple[str, str, HttpResponseBase]]:
    """Every address as a browser asks for it; pages with each tab and a search too."""
    for name, path in addresses(world):
        for query in queries_of(world, path):
            yield name, path + query, world.client.get(path + query, headers={"Accept": "text/html"})


def content_of(response: HttpResponseBase) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode(errors="replace")


def is_page(response: HttpResponseBase) -> bool:
    """Whether a browser would show it as a page, and run what it finds there."""
    return response["Content-Type"].startswith("text/html") and "attachment" not in response.get(
        "Content-Disposition", ""
    )


def test_nothing_is_run_on_any_page(world, payload):
    answered, pages_with_payload = set(), 0
    for name, path, response in visited(world):
        assert response.status_code < 500, (path, content_of(response)[-500:])
        content = content_of(response)
        if response.status_code in (200, 286, 302):
            answered.add(name)
        if not is_page(response):
            continue
        found = Found()
        found.feed(content)
        assert found.runs == [], path
        assert "42hostile" not in content, path
        assert "<img src=x" not in content, path
        assert (
            "script-src" in response["Content-Security-Policy"]
            or "default-src" in response["Content-Security-Policy"]
        )
        pages_with_payload += "hostile" in content
    assert pages_with_payload > 10
    expected = {name for name, _path in addresses(world)}
    assert answered == expected


def test_files_and_exports_are_never_shown_as_pages(world, payload):
    for name, path in addresses(world):
        response = world.client.get(f"{path}?export=csv", headers={"Accept": "text/html"})
        if "csv" in response["Content-Type"]:
            assert response["Content-Disposition"].startswith("attachment"), path
        assert response["X-Content-Type-Options"] == "nosniff", name


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_any_export_is_a_formula(start, settings, tmp_path):
    settings.ARTIFACT_ROOT = str(tmp_path)
    world = make_world()
    fill_all(start)
    cells = 0
    for _name, path in addresses(world):
        response = world.client.get(f"{path}?export=csv")
        if response.status_code == 200 and "csv" in response["Content-Type"]:
            for row in csv.reader(io.StringIO(content_of(response), newline="")):
                for cell in row:
                    assert not cell.startswith(FORMULA_STARTS) or _is_number(cell), (path, cell)
                    cells += 1
    assert cells > 100


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", cell) is not None


@pytest.mark.slow
def test_a_real_browser_runs_nothing_of_it(world, payload):
    """Without the content policy, so that it is the escaping that holds."""
    from playwright.sync_api import sync_playwright

    pages = {
        (name, path.partition("?")[2]): content_of(response)
        for name, path, response in visited(world)
        if is_page(response) and response.status_code == 200
    }
    assert len(pages) > 20
    path = chromium_path()
    assert path, "No browser: install Chromium, or name one in CHROMIUM."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        page = browser.new_context(bypass_csp=True).new_page()
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.add_init_script("window.hostile = () => { window.hostileRan = true; alert('hostile'); }")
        page.route("**/*", lambda route: route.abort())
        ran = [address for address, content in pages.items() if runs_something(page, content)]
        browser.close()
    assert (ran, dialogs) == ([], [])


def runs_something(page: Any, content: str) -> bool:
    page.goto("about:blank")
    page.evaluate("html => { document.open(); document.write(html); document.close(); }", content)
    page.evaluate(
        "document.querySelectorAll('*').forEach(element => ['mouseover', 'focus', 'error'].forEach("
        "kind => element.dispatchEvent(new Event(kind))))"
    )
    return bool(page.evaluate("window.hostileRan === true"))
