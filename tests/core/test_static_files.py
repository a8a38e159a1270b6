"""Static files as a browser gets them from the running web server: hashed names, compressed, kept for a year."""

import json
import re
from collections.abc import Iterator

import pytest
import requests

from tests.stack import ROOT, Stack, wait_until

LINK = re.compile(r"(?:href|src)=\"(/static/[^\"]+)\"")
NAMED = re.compile(r"{% static '([^']+)' %}")
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
TEXT = (".css", ".js", ".svg")
YEAR = "max-age=31536000"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Stack]:
    """The web server alone, with its files collected."""
    stack = Stack(tmp_path_factory.mktemp("static"), HTTPS_ONLY="false")
    stack.manage("migrate", "--verbosity", "0")
    stack.manage("collectstatic", "--noinput", "--verbosity", "0")
    stack.start("web")
    try:
        wait_until(lambda: answers(stack), seconds=60, what="the web server answers")
        yield stack
    finally:
        for name in list(stack.processes):
            stack.end(name, 15)


def answers(stack: Stack) -> bool:
    try:
        return requests.get(f"{stack.url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="module")
def linked(server) -> list[str]:
    """Every static address that pages link to, seen on three of them and named in all templates, and in the style."""
    browser = requests.Session()
    found = set(LINK.findall(browser.get(f"{server.url}/sign-in", timeout=10).text))
    link = server.manage("sign_in_link", "--user", "adam", "--role", "admin").stdout.strip()
    link = server.url + link[link.index("/sign-in") :]
    browser.get(link, timeout=10)
    browser.post(link, data={"csrfmiddlewaretoken": browser.cookies["csrftoken"]}, timeout=10)
    for path in ("/", "/deployments/"):
        page = browser.get(server.url + path, timeout=10)
        assert page.status_code == 200
        found |= set(LINK.findall(page.text))
    manifest = json.loads((server.data_dir / "static" / "staticfiles.json").read_text())["paths"]
    templates = "".join(template.read_text() for template in (ROOT / "templates").rglob("*.html"))
    found |= {f"/static/{manifest[name]}" for name in NAMED.findall(templates)}
    styles = next(path for path in found if "/css/app" in path)
    inside = re.findall(r"url\([\"']?([^)\"'#]+)", requests.get(server.url + styles, timeout=10).text)
    return sorted(
        found | {f"{styles.rpartition('/')[0]}/{path}" for path in inside if not path.startswith("data:")}
    )


def test_every_file_that_pages_link_to_has_its_hash_in_its_name_and_is_kept_for_a_year(server, linked):
    assert len(linked) > 10
    for path in linked:
        answer = requests.get(server.url + path, timeout=10)
        assert answer.status_code == 200, path
        assert HASHED.search(path), path
        assert {YEAR, "public", "immutable"} == set(answer.headers["Cache-Control"].split(", ")), path


def test_every_text_among_them_is_sent_compressed_and_is_the_same_file(server, linked):
    for path in (path for path in linked if path.endswith(TEXT)):
        plain = requests.get(server.url + path, headers={"Accept-Encoding": "identity"}, timeout=10)
        small = requests.get(server.url + path, headers={"Accept-Encoding": "gzip"}, timeout=10, stream=True)
        sent = len(small.raw.read(decode_content=False))

        assert "Content-Encoding" not in plain.headers
        if len(plain.content) < 500:
            continue  # there is nothing to gain
        assert small.headers["Content-Encoding"] == "gzip", path
        assert small.headers["Vary"] == "Accept-Encoding", path
        assert sent < 0.6 * len(plain.content), path


def test_a_name_without_a_hash_is_not_kept_for_long(server, linked):
    for path in linked:
        plain = re.sub(r"\.[0-9a-f]{12}(\.\w+)$", r"\1", path)
        answer = requests.get(server.url + plain, timeout=10)

        assert answer.status_code == 200, plain
        assert answer.headers["Cache-Control"] == "max-age=60, public", plain


def test_a_file_that_is_not_there_is_not_remembered(server):
    answer = requests.get(f"{server.url}/static/css/app.000000000000.css", timeout=10)

    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("Cache-Control", "")
