"""docs/settings.md lists every setting there is, with the default it has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]*)` \| (.+?) \| .+ \|$", re.MULTILINE)


def settings_read() -> Iterator[tuple[str, ast.expr]]:
    """Each setting that the code reads, with the expression of its default."""
    tree = ast.parse((ROOT / "mlops_site" / "settings.py").read_text())
    for call in ast.walk(tree):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="env")), args=[ast.Constant(value=name), *_]):
                yield name, next(keyword.value for keyword in call.keywords if keyword.arg == "default")


def settings_documented() -> dict[str, str]:
    """The default that the page gives for each setting."""
    return dict(ROW.findall((ROOT / "docs" / "settings.md").read_text()))


def written(default: ast.expr) -> str | None:
    """How the page writes a default; None for one that depends on others, or is told in words."""
    if any(isinstance(part, (ast.Name, ast.Dict)) for part in ast.walk(default)):
        return None
    value = eval(compile(ast.Expression(default), "settings.py", "eval"))
    text = ",".join(value) if isinstance(value, list) else str(value)
    if "\n" in text:
        return None
    return f"`{text.lower() if isinstance(value, bool) else text}`" if text else "(empty)"


def test_the_table_lists_the_settings_that_the_code_reads_and_no_others():
    assert set(settings_documented()) == {name for name, _default in settings_read()}


def test_the_table_gives_the_defaults_that_the_code_has():
    documented = settings_documented()
    plain = {name: text for name, default in settings_read() if (text := written(default)) is not None}

    assert {name: documented[name] for name in plain} == plain
    assert len(plain) > 20
