"""Korean and English are complete: the catalogue lacks nothing, and templates hold no bare text."""

import re
import runpy
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
CHECK = runpy.run_path(str(ROOT / "script" / "check_translations.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
# The same in every language: the product's name, units, codes of formats and of HTTP.
SAME_IN_ALL_LANGUAGES = {
    "MLOps",
    "CSV",
    "JSON",
    "PNG",
    "p95",
    "400",
    "403",
    "404",
    "500",
    "한국어",
    "English",
    "v",
}
READ_ALOUD = (
    "title",
    "aria-label",
    "placeholder",
    "alt",
    "data-busy",
    "data-confirm",
    "data-confirm-title",
    "data-words",
)
COMMENT = re.compile(r"{%\s*comment.*?endcomment\s*%}|{#.*?#}", re.S)
TRANSLATED = re.compile(r"{%\s*blocktrans.*?endblocktrans\s*%}", re.S)
# `{% code_block %}` holds a command, which is the same for everybody.
COMMAND = re.compile(r"{%\s*code_block.*?endcode_block\s*%}", re.S)
TAG = re.compile(r"{%.*?%}|{{.*?}}", re.S)


def catalogues() -> list[Path]:
    return sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po"))


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3])


@pytest.mark.parametrize("path", catalogues(), ids=lambda path: path.parts[-3])
def test_every_text_of_templates_and_code_is_translated(path):
    assert list(CHECK["faults"](read(path), CHECK["texts"]())) == []


def test_korean_is_there():
    assert [path.parts[-3] for path in catalogues()] == ["ko"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("", "empty or fuzzy"), ("이름 %(nome)s", "unknown named placeholder")],
    ids=["empty", "wrong placeholder"],
)
def test_a_faulty_translation_is_found(text, fault):
    catalogue = Catalog(locale="ko")
    catalogue.add("name %(name)s", text, flags=["python-format"])
    assert fault in " ".join(CHECK["faults"](catalogue, {(None, "name %(name)s"): "x.html"}))


def test_a_fuzzy_translation_is_found():
    catalogue = Catalog(locale="ko")
    catalogue["name"] = Message("name", "이름", flags=["fuzzy"])
    assert list(CHECK["faults"](catalogue, {(None, "name"): "x.html"})) == ["empty or fuzzy: 'name'"]


class Texts(HTMLParser):
    """Collects what a reader sees or hears of a page's markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in READ_ALOUD]


def bare_texts(source: str) -> list[str]:
    """Words of a template that are written there rather than translated."""
    for pattern in (COMMENT, TRANSLATED, COMMAND, TAG):
        source = pattern.sub(" ", source)
    parser = Texts()
    parser.feed(source)
    words = [word for text in parser.found for word in re.findall(r"[^\W_][\w'-]*", text)]
    return [word for word in words if word not in SAME_IN_ALL_LANGUAGES]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_holds_no_text_outside_translation(path):
    assert bare_texts(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    ["<p>Hello</p>", '<button aria-label="Close">{% trans "x" %}</button>', "{% if a %}Yes{% endif %}"],
)
def test_bare_text_is_found(source):
    assert len(bare_texts(source)) == 1
