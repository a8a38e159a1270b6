"""One command starts everything, and says clearly why when it cannot."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import psutil
import pytest
import requests
from django.core.management import CommandError, call_command

from core.models import Heartbeat
from core.supervised import MARK
from tests.stack import ROOT, Stack, free_port, wait_until


@pytest.fixture
def place(settings, tmp_path) -> Path:
    """A data folder and a port that nobody uses."""
    settings.DATA_DIR, settings.STATIC_ROOT, settings.PORT = tmp_path, tmp_path / "static", free_port()
    return tmp_path


@pytest.fixture
def left_behind(place) -> Iterator[subprocess.Popen]:
    """What a supervisor that was killed leaves running."""
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with subprocess.Popen(sleep, env={MARK: str(place)}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def prepare_start() -> str:
    output = StringIO()
    call_command("prepare_start", stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_signs_of_life_of_an_earlier_start_are_forgotten(place):
    Heartbeat.objects.beat("worker")

    prepare_start()

    assert not Heartbeat.objects.exists()


@pytest.mark.django_db
def test_static_files_are_collected_again_only_when_they_changed(place, settings):
    sources = place / "sources"
    sources.mkdir()
    (sources / "a.css").write_text("a {}")
    settings.STATICFILES_DIRS = [sources]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]

    assert "Collecting" in prepare_start()
    assert "Collecting" not in prepare_start()

    (sources / "a.css").write_text("a { color: red }")
    assert "Collecting" in prepare_start()
    assert any("red" in path.read_text() for path in (place / "static").glob("a*.css"))


def test_a_taken_port_is_refused_and_its_holder_named(place, settings):
    refusal = f"Port {settings.PORT} is taken by process {os.getpid()} "
    with socket.create_server(("127.0.0.1", settings.PORT)), pytest.raises(CommandError, match=refusal):
        prepare_start()


def test_an_address_of_another_machine_is_refused(place, settings):
    settings.HOST = "192.0.2.1"  # reserved for documentation: no machine has it

    with pytest.raises(CommandError, match="Cannot listen on HOST 192.0.2.1"):
        prepare_start()


def test_processes_left_behind_by_a_killed_supervisor_are_named(left_behind):
    with pytest.raises(CommandError, match=f"Stop it with: kill {left_behind.pid}\n"):
        prepare_start()


def test_processes_of_another_data_folder_do_not_matter(left_behind, settings, tmp_path_factory):
    settings.DATA_DIR = tmp_path_factory.mktemp("elsewhere")
    taken = socket.create_server(("127.0.0.1", settings.PORT))  # what is looked at next

    with taken, pytest.raises(CommandError, match="is taken by"):
        prepare_start()


@pytest.mark.parametrize("script", ["server", "install"])
def test_an_unknown_argument_is_refused(script):
    answer = subprocess.run(
        [ROOT / "script" / script, "--nonsense"], capture_output=True, text=True, check=False
    )

    assert answer.returncode == 1
    assert "not: --nonsense" in answer.stderr


def test_the_data_folder_is_its_owners_alone(tmp_path):
    folder = tmp_path / "data"
    subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=os.environ | {"DATA_DIR": str(folder)},
        check=True,
    )
    assert folder.stat().st_mode & 0o077 == 0


def bare_machine(folder: Path, python: str) -> Callable[[], subprocess.CompletedProcess[str]]:
    """A copy of script/install on a machine whose only Python is the shell script `python`."""
    (folder / "script").mkdir()
    shutil.copy(ROOT / "script" / "install", folder / "script")
    tools = folder / "bin"
    tools.mkdir()
    for tool in ("bash", "dirname"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "python3").write_text(f"#!{tools}/bash\n{python}\n")
    (tools / "python3").chmod(0o755)
    return lambda: subprocess.run(
        [folder / "script" / "install"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )


def test_a_python_that_is_too_old_is_named_as_the_reason(tmp_path):
    answer = bare_machine(tmp_path, "exit 1")()

    assert answer.returncode == 1
    assert "needs Python 3.11 or newer" in answer.stderr


def test_missing_venv_says_what_to_install(tmp_path):
    answer = bare_machine(tmp_path, '[[ "$*" != *ensurepip* ]]')()

    assert answer.returncode == 1
    assert "apt-get install python3-venv" in answer.stderr


@pytest.fixture
def server(tmp_path) -> Iterator[Stack]:
    """script/server itself, starting empty; tests/reliability/test_server_script.py shows the rest of it."""
    stack = Stack(tmp_path)
    with (tmp_path / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [ROOT / "script" / "server", "--no-demo"],
            cwd=tmp_path,
            env=stack.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    stack.processes["server"] = process
    yield stack
    process.terminate()
    process.wait(timeout=60)


@pytest.mark.slow
def test_the_printed_link_signs_in_once_and_sigterm_ends_every_child(server):
    link = wait_until(lambda: printed_link(server), seconds=90, what="the link is printed")
    browser = requests.Session()
    assert browser.get(link, timeout=10).ok
    button = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}

    assert browser.post(link, data=button, timeout=10).ok
    assert "sessionid" in browser.cookies
    assert requests.get(link, timeout=10).status_code == 404

    process = server.processes["server"]
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(timeout=60) == 0
    assert len(children) >= 4
    assert psutil.wait_procs(children, timeout=5)[1] == []


def printed_link(server: Stack) -> str:
    found = re.search(r"admin (http://\S+)", (server.data_dir / "output.txt").read_text())
    return found.group(1) if found else ""
