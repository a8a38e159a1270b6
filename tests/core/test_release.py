"""The product's version stands in one place, and what is written about releases keeps up with it."""

import re
import tomllib
from pathlib import Path

import pytest
from django.conf import settings

from mlops_site import __version__
from tests.factories import make_user

ROOT = Path(__file__).resolve().parents[2]


def test_the_changelog_begins_with_the_product_version():
    releases = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert releases[0] == __version__ == settings.RELEASE
    assert releases == sorted(
        releases, key=lambda release: [int(part) for part in release.split(".")], reverse=True
    )


def test_every_release_says_how_to_upgrade():
    entries = (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1:]

    assert [entry.split("\n")[0] for entry in entries if "**Upgrade:**" not in entry] == []


def test_the_version_is_written_nowhere_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert "version" not in project
    assert project["dynamic"] == ["version"]


@pytest.mark.django_db
def test_people_who_are_signed_in_see_it_and_others_do_not(client):
    for path in ("/sign-in", "/healthz", "/readyz"):
        assert __version__ not in client.get(path).content.decode()

    client.force_login(make_user("viewer"))

    assert f"Release {__version__}" in client.get("/").content.decode()
