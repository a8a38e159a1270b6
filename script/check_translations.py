"""Is every text of the platform translated? Needs no GNU gettext.

Reads the texts out of Python code and templates, and holds each `locale/*/LC_MESSAGES/django.po` against
them: every text is there, translated, not marked fuzzy, with the placeholders of the original; and nothing is
left that no longer occurs. Prints what is wrong, and exits 1 if anything is.
"""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {path.parent for path in ROOT.glob("*/__init__.py")} - {ROOT / "tests"}
KEYWORDS = (
    DEFAULT_KEYWORDS
    | {f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in ("gettext", "ngettext", "pgettext", "npgettext")}
    | {"gettext_noop": DEFAULT_KEYWORDS["gettext"]}
)
OPTIONS = {"encoding": "utf-8"}
ALIAS = re.compile(r"\bn?p?gettext\w* as (\w+)")
Key = tuple[str | None, str]


def python_sources() -> Iterator[tuple[Path, str]]:
    for package in sorted(PACKAGES):
        for path in sorted(package.rglob("*.py")):
            yield path, path.read_text()


def template_sources() -> Iterator[tuple[Path, str]]:
    """Templates as Django prepares them for extraction: calls of gettext between blanked-out text.

    The parentheses around keep Python's tokenizer from minding the indentation.
    """
    for path in sorted((ROOT / "templates").rglob("*")):
        if path.is_file():
            yield path, f"({templatize(path.read_text(), origin=str(path))})"


def texts() -> dict[Key, str]:
    """Every text that the platform shows, by (context, text), with the file it was found in first."""
    found: dict[Key, str] = {}
    for path, source in (*python_sources(), *template_sources()):
        file = io.BytesIO(source.encode())
        for _, message, _, context in extract("python", file, keywords=KEYWORDS, options=OPTIONS):
            text = message if isinstance(message, str) else message[0]
            found.setdefault((context, text), str(path.relative_to(ROOT)))
    return found


def other_names() -> Iterator[str]:
    """Where a function of gettext goes by a name under which its texts are not found."""
    for path, source in python_sources():
        for alias in set(ALIAS.findall(source)) - KEYWORDS.keys():
            yield f"{path.relative_to(ROOT)}: call gettext by its own name or _, not {alias}"


def key(message: Message) -> Key:
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def is_translated(message: Message) -> bool:
    parts = message.string if isinstance(message.string, (list, tuple)) else [message.string]
    return all(parts) and not message.fuzzy


def faults(catalog: Catalog, wanted: dict[Key, str]) -> Iterator[str]:
    present = {key(message): message for message in catalog if message.id}
    for wanted_key, path in wanted.items():
        if wanted_key not in present:
            yield f"missing, from {path}: {wanted_key[1]!r}"
    for present_key, message in present.items():
        if present_key not in wanted:
            yield f"no longer used: {present_key[1]!r}"
        elif not is_translated(message):
            yield f"empty or fuzzy: {present_key[1]!r}"
    for message, errors in catalog.check():
        yield from (f"{key(message)[1]!r}: {error}" for error in errors)


def main() -> int:
    settings.configure()
    django.setup()
    wanted = texts()
    failed = False
    for fault in other_names():
        failed = True
        sys.stdout.write(f"{fault}\n")
    for path in sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=path.parts[-3])
        for fault in faults(catalog, wanted):
            failed = True
            sys.stdout.write(f"{path.relative_to(ROOT)}: {fault}\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
