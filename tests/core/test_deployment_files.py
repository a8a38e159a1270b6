"""deploy/: what it starts, sets and mounts is what the platform has and the documents say."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.core.test_settings_table import settings_documented
from tests.stack import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PRODUCTION = (ROOT / "docs" / "production.md").read_text()
# Read by boto3, Python and the C library, not by the settings.
FOREIGN = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
    "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PATH", "TMPDIR",
}  # fmt: skip
ONCE = ("manage.py migrate", "manage.py collectstatic")


def needed(tool: str) -> str:
    """A tool's path. In CI, where it is installed, a missing one is a failure."""
    path = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{tool} is not installed.")
    return path


def documented_commands() -> list[list[str]]:
    """The four commands that docs/production.md gives, as words."""
    block = PRODUCTION.split("## Processes")[1].split("```")[1]
    return [shlex.split(line) for line in block.splitlines() if line.startswith("python ")]


def documented(command: list[str]) -> list[str] | None:
    """The one of the four that it is, options of its own at the end apart; None for another."""
    return next((known for known in documented_commands() if command[: len(known)] == known), None)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if service["image"] == "mlops"}


# -- compose -------------------------------------------------------------------------------------------------


def test_the_four_commands_of_the_documents_are_what_the_containers_run(compose):
    commands = {name: service["command"] for name, service in ours(compose).items() if name != "bucket"}
    once = commands.pop("migrate")

    assert all(part in once for part in ONCE)
    run = {name: documented(shlex.split(command)) for name, command in commands.items()}
    assert sorted(map(str, documented_commands())) == sorted({str(command) for command in run.values()})


def test_every_setting_in_the_compose_file_exists(compose):
    for name, service in ours(compose).items():
        assert set(service["environment"]) - FOREIGN <= set(settings_documented()), name


def test_every_secret_is_demanded_and_none_has_a_value():
    text = (DEPLOY / "compose.yaml").read_text()
    example = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))
    used = re.findall(r"(?<!\$)\$\{(\w+)([^}]*)\}", text)

    assert [name for name, rest in used if not rest.startswith(":?")] == []
    assert {name for name, _rest in used} == set(example)
    assert set(example.values()) == {""}
    assert [name for name in example if name.endswith(("PASSWORD", "KEY"))] != []


def test_what_must_outlive_a_container_lies_in_a_volume(compose):
    assert {volume.split(":")[0] for volume in ours(compose)["agent"]["volumes"]} == {"data"}
    mounted = {v.split(":")[0] for s in compose["services"].values() for v in s.get("volumes", [])}
    assert set(compose["volumes"]) <= mounted
    folder = next(v.split(":")[1] for v in ours(compose)["web-1"]["volumes"])
    assert f"DATA_DIR={folder}" in (DEPLOY / "Containerfile").read_text()


def test_images_are_named_without_a_registry_and_only_nginx_is_reachable(compose):
    for name, service in compose["services"].items():
        assert "." not in service["image"].split("/")[0].split(":")[0], name
        assert ("ports" in service) == (name == "nginx")


def test_services_that_wait_for_health_wait_for_one_that_is_checked(compose):
    for service in compose["services"].values():
        for name, wait in service.get("depends_on", {}).items():
            other = compose["services"][name]
            assert wait["condition"] != "service_healthy" or "healthcheck" in other, name
            assert wait["condition"] != "service_completed_successfully" or other["restart"] == "no", name


# -- the image -----------------------------------------------------------------------------------------------


def instructions() -> list[list[str]]:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_runs_as_a_user_without_rights_and_starts_what_documented():
    last = {words[0]: words[1:] for words in instructions()}

    assert last["USER"] == ["mlops"]
    assert documented(yaml.safe_load(" ".join(last["CMD"])))
    variables = {
        word.partition("=")[0] for words in instructions() if words[0] == "ENV" for word in words[1:]
    }
    assert variables - FOREIGN <= set(settings_documented())


def test_everything_that_is_copied_into_the_image_exists():
    ignored = (ROOT / ".dockerignore").read_text().split()
    sources = [
        word
        for words in instructions()
        if words[0] == "COPY" and not words[1].startswith("--from")
        for word in words[1:-1]
    ]

    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if source in ignored] == []
    assert {".git", ".venv", "var", "deploy/.env"} <= set(ignored)


def test_the_file_with_secrets_is_not_committed():
    assert "deploy/.env" in (ROOT / ".gitignore").read_text().split()


# -- systemd -------------------------------------------------------------------------------------------------


def unit(path: Path) -> dict[str, list[str]]:
    """The values of each key of [Service]."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().split("[Service]")[1].splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_what_is_documented_as_a_user_of_its_own(path):
    service = unit(path)
    commands = [
        shlex.split(command.removeprefix("/opt/mlops/.venv/bin/")) for command in service["ExecStart"]
    ]

    assert all(documented(c) or " ".join(c[1:]).startswith(ONCE) for c in commands)
    assert (service["User"], service["NoNewPrivileges"], service["ProtectSystem"]) == (
        ["mlops"],
        ["yes"],
        ["strict"],
    )
    names = {word.partition("=")[0] for line in service["Environment"] for word in line.split()}
    assert names - FOREIGN <= set(settings_documented())


def test_models_outlive_agent_and_workers_and_nothing_else_does():
    kept = {path.stem for path in UNITS if unit(path).get("KillMode") == ["process"]}

    assert kept == {"mlops-agent", "mlops-worker@"}
    agent = unit(DEPLOY / "systemd" / "mlops-agent.service")
    assert agent["KillSignal"] == ["SIGTERM"]
    assert agent["Restart"] == ["on-failure"], "SIGINT ends models and agent, and must not start them again"


def test_the_target_starts_every_unit_and_stops_it():
    wanted = re.findall(r"mlops-[\w@.]+", (DEPLOY / "systemd" / "mlops.target").read_text())
    assert {re.sub(r"@\d+", "@", name) for name in wanted} == {path.name for path in UNITS} - {
        "mlops-migrate.service"
    }
    for path in UNITS:
        assert "PartOf=mlops.target\n" in path.read_text()
        assert path.stem == "mlops-migrate" or "Requires=mlops-migrate.service\n" in path.read_text()


def test_systemd_understands_the_units(tmp_path):
    for path in (DEPLOY / "systemd").iterdir():
        (tmp_path / path.name).write_text(
            path.read_text().replace("/opt/mlops/.venv/bin/python", sys.executable)
        )
    command = [needed("systemd-analyze"), "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]

    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
