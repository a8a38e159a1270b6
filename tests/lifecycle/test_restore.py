"""`manage.py restore`: everything comes back in an empty place, or nothing does."""

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from core.operations.backups import take
from core.operations.backups.archive import MANIFEST, ArchiveReader
from core.supervised import MARK
from lifecycle.models import Deployment
from serving.backends.run_directory import short_run_directory
from serving.models import Target
from tests.every_row import every_row
from tests.everything import make_everything, put_behind_an_endpoint
from tests.factories import make_deployment
from tests.lifecycle.backups import ask, backup
from tests.postgres import PostgresDatabase
from tests.stack import ROOT, Stack

# The database is made only for marked tests, and the platform that is moved lives in it.
pytestmark = pytest.mark.django_db

# What a restore changes in rows, and tests of its own look at.
CHANGED = ("serving_target", "core_auditevent", "core_auditchain", "lifecycle_deployment")


def unchanged(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    return {table: found for table, found in rows.items() if table not in CHANGED}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


# -- what comes back -----------------------------------------------------------------------------------------


@dataclass
class Moved:
    """A platform, and the place that its backup was restored to."""

    deployment: Deployment
    rows: dict[str, list[str]]
    artifacts: dict[str, bytes]
    archive: Path
    place: Stack
    said: str


def make_every_table() -> Deployment:
    """Something in Django's own tables too, and what was under way when the machine was lost; returns what serves."""
    made, now, days = make_everything(), timezone.now(), timedelta(days=3)
    made.author.user_permissions.add(Permission.objects.first())
    Group.objects.get(name="scientist").permissions.add(Permission.objects.last())
    Session.objects.create(session_key="k", session_data="signed", expire_date=now)
    LogEntry.objects.create(user=made.author, object_repr="somebody", action_flag=2)
    put_behind_an_endpoint(made.deployment)
    Target.objects.filter(endpoint__environment="production").update(state="draining")
    make_deployment(
        model_version=made.approved,
        status="validating",
        environment="staging",
        stage_started_at=now - days,
        lease_expires_at=now + days,
    )
    return made.deployment


@pytest.fixture(scope="module")
def moved(django_db_setup, django_db_blocker) -> Iterator[Moved]:
    """Taken and restored once for all that look at the outcome. Snapshots are of what was committed."""
    with tempfile.TemporaryDirectory() as name, django_db_blocker.unblock():
        folder = Path(name)
        usual, site.ARTIFACT_ROOT = site.ARTIFACT_ROOT, str(folder / "artifacts")
        try:
            deployment = make_every_table()
            rows, archive, place = every_row(), backup(folder), Stack(folder / "place")
        finally:
            site.ARTIFACT_ROOT = usual
            call_command("flush", interactive=False, verbosity=0)
        said = place.manage("restore", str(archive)).stdout
        yield Moved(deployment, rows, contents(folder / "artifacts"), archive, place, said)


def test_every_row_of_every_table_comes_back(moved):
    after = ask(moved.place, "every_row()")

    assert [table for table, rows in moved.rows.items() if not rows] == [], (
        "the test compares something everywhere"
    )
    assert unchanged(after) == unchanged(moved.rows)
    assert {table: len(after[table]) for table in CHANGED} == {
        table: len(moved.rows[table]) + (table == "core_auditevent") for table in CHANGED
    }


def test_every_byte_of_every_artifact_comes_back(moved):
    assert contents(moved.place.data_dir / "artifacts") == moved.artifacts != {}


def test_the_audit_trail_holds_and_ends_with_the_restore(moved):
    before = [row for row in moved.rows["core_auditevent"] if "None, '', '')" not in row]
    assert ask(moved.place, "every_row()")["core_auditevent"][: len(before)] == before
    assert "The audit trail holds" in moved.said
    assert "The audit trail holds" in moved.place.manage("verify_audit").stdout

    columns = "'actor_name', 'action', 'via', 'changes__files', 'changes__audit_trail'"
    last = ask(moved.place, f"AuditEvent.objects.values_list({columns}).first()")
    assert last == ["system", "platform.restore", "command", len(moved.artifacts), "holds"]


def test_what_served_gets_its_verified_copy_in_the_new_place(moved):
    content = moved.deployment.content_sha256
    copy = moved.place.data_dir / "models" / content

    assert f"#{moved.deployment.pk} serves again once the platform is started." in moved.said
    assert {file.name for file in copy.iterdir()} == {"MLmodel", "model.skops"}
    targets = ask(
        moved.place, "list(Target.objects.order_by('pk').values_list('state', 'weight', 'model_path'))"
    )
    ended = ["stopped", 0, f"/somewhere/else/models/{content}"]
    assert targets == [ended, ended, ["serving", 100, str(copy)]]


def test_processes_of_the_old_place_are_forgotten(moved):
    assert ask(moved.place, "Replica.objects.count() + Heartbeat.objects.count()") == 0


def test_a_deployment_in_progress_may_be_taken_up_at_once_and_has_its_full_time(moved):
    waited = "(Deployment.objects.claimable().get().stage_started_at - d).total_seconds()"
    code = f"[{waited} for d in AuditEvent.objects.filter(action='platform.restore').values_list('at', flat=True)]"

    (seconds,) = ask(moved.place, code)
    assert abs(seconds) < 60


def test_a_generated_signing_key_comes_along_so_that_sessions_go_on(moved):
    kept = moved.place.data_dir / "secret_key"

    assert kept.read_text() == site.SECRET_KEY_FILE.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_restored_rows_do_not_stand_in_the_way_of_new_ones(moved):
    assert moved.place.token("newcomer", "viewer").startswith("mlops_")


def test_a_place_that_is_not_empty_is_refused_and_left_as_it_is(moved):
    before = (
        (moved.place.data_dir / "db.sqlite3").stat().st_mtime_ns,
        ask(moved.place, "User.objects.count()"),
    )

    answer = moved.place.manage("restore", str(moved.archive), check=False)

    assert answer.returncode == 1
    assert "holds files already" in answer.stderr
    assert (
        (moved.place.data_dir / "db.sqlite3").stat().st_mtime_ns,
        ask(moved.place, "User.objects.count()"),
    ) == before


@pytest.fixture
def other_places(tmp_path) -> Iterator[Callable[[], list[Stack]]]:
    """New places on every engine that is here: SQLite, and the PostgreSQL server that the tests run on, if they do."""
    with ExitStack() as databases:

        def make() -> list[Stack]:
            made = [Stack(tmp_path / "sqlite")]
            if connection.vendor == "postgresql":
                database = databases.enter_context(PostgresDatabase(os.environ["DATABASE_URL"], "restored"))
                made += [Stack(tmp_path / "postgres", DATABASE_URL=database.url), Stack(tmp_path / "again")]
            return made

        yield make


def test_a_backup_moves_from_engine_to_engine(moved, tmp_path, other_places):
    archive, rows = moved.archive, moved.rows
    for number, place in enumerate(other_places()):
        place.manage("restore", str(archive))

        assert unchanged(ask(place, "every_row()")) == unchanged(rows)
        assert "The audit trail holds" in place.manage("verify_audit").stdout
        assert place.token("newcomer", "viewer")
        assert place.manage("restore", str(archive), check=False).returncode == 1, "it is not empty any more"
        archive, rows = tmp_path / f"{number}.tar", ask(place, "every_row()")
        place.manage("backup", str(archive))


def newer_release(place: Stack, *arguments: str) -> None:
    command = [sys.executable, "-m", "tests.newer_release.manage", *arguments]
    subprocess.run(command, cwd=ROOT, env=place.environment, check=True, capture_output=True)


def test_a_backup_of_an_older_release_is_migrated_and_one_of_a_newer_refused(moved, tmp_path, other_places):
    for place in other_places()[:2]:
        newer_release(place, "restore", str(moved.archive))

        names = set(ask(place, "list(User.objects.values_list('first_name', flat=True))"))
        assert f"{moved.deployment.created_by.username} of the newer release" in names
        assert "" not in names

    newer_release(place, "backup", str(tmp_path / "newer.tar"))
    refused = Stack(tmp_path / "older").manage("restore", str(tmp_path / "newer.tar"), check=False)
    assert refused.returncode == 1
    assert "of a newer release" in refused.stderr
    assert "core.9999_rename_everybody" in refused.stderr


def changed(archive: Path, folder: Path, **changes: Any) -> Path:
    """A backup that says something else of itself."""
    reader = ArchiveReader(archive)
    with take.ArchiveWriter(folder / "changed.tar") as writer:
        for member in reader.members():
            if member.name not in ("files.jsonl", MANIFEST):
                writer.add(member.name, member.stream, member.size)
        writer.finish({**reader.manifest, **changes})
    return folder / "changed.tar"


def test_all_is_taken_back_when_something_breaks_on_the_way(moved, tmp_path, other_places):
    tables = ArchiveReader(moved.archive).manifest["tables"]
    next(table for table in tables if table["table"] == "lifecycle_artifact")["rows"] += 1
    broken = changed(moved.archive, tmp_path, tables=tables)

    for place in other_places()[:2]:
        answer = place.manage("restore", str(broken), check=False)

        assert answer.returncode == 1
        assert "Table lifecycle_artifact has" in answer.stderr
        place.manage("restore", str(moved.archive))  # it is as empty as before


def test_files_are_taken_back_when_something_breaks_after_them(moved, tmp_path):
    place = Stack(tmp_path / "place")
    place.data_dir.mkdir()
    (place.data_dir / "models").write_text("a file where the folder of model copies belongs")

    answer = place.manage("restore", str(moved.archive), check=False)

    assert answer.returncode == 1
    assert "Nothing was restored" in answer.stderr
    assert contents(place.data_dir / "artifacts") == {}
    assert not list(place.data_dir.glob("db.sqlite3*"))


def test_names_in_a_hostile_backup_become_no_statement(moved, tmp_path):
    tables = ArchiveReader(moved.archive).manifest["tables"]
    tables[0]["columns"][0][0] = 'id") VALUES (1); --'

    answer = Stack(tmp_path / "place").manage(
        "restore", str(changed(moved.archive, tmp_path, tables=tables)), check=False
    )

    assert "columns that its release does not" in answer.stderr


def test_a_key_that_is_set_in_the_new_place_stays_and_people_are_told(moved, tmp_path):
    place = Stack(tmp_path / "place", SECRET_KEY="s" * 50)

    assert "everybody has to sign in again" in place.manage("restore", str(moved.archive)).stdout
    assert not (place.data_dir / "secret_key").exists()


# -- refused before anything is looked at or touched ---------------------------------------------------------


@pytest.fixture
def empty_place(settings, tmp_path) -> Path:
    """This process's own settings name an empty place, but for its database, which is looked at last."""
    settings.DATA_DIR, settings.ARTIFACT_ROOT = tmp_path / "place", str(tmp_path / "place" / "artifacts")
    return tmp_path / "place"


@pytest.mark.django_db
def test_a_database_with_tables_is_refused(moved, empty_place):
    with pytest.raises(CommandError, match=r"is not empty: it has \d+ tables"):
        call_command("restore", str(moved.archive))


@pytest.mark.django_db
def test_an_artifact_store_that_is_not_empty_is_refused(moved, empty_place):
    kept = empty_place / "artifacts" / "somebody" / "else"
    kept.parent.mkdir(parents=True)
    kept.write_text("theirs")

    with pytest.raises(CommandError, match="holds files already"):
        call_command("restore", str(moved.archive))

    assert kept.read_text() == "theirs"


@pytest.mark.django_db
def test_a_place_where_an_agent_or_its_model_processes_are_is_refused(moved, empty_place):
    run_dir = short_run_directory(empty_place)
    with (run_dir / ".owner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="A serving agent runs"):
            call_command("restore", str(moved.archive))

    (run_dir / "17" / "replica").mkdir(parents=True)
    with pytest.raises(CommandError, match="model processes of an earlier platform"):
        call_command("restore", str(moved.archive))


@pytest.mark.django_db
def test_a_place_where_the_server_runs_is_refused(moved, empty_place):
    mark = {"PATH": os.environ["PATH"], MARK: str(empty_place)}
    with subprocess.Popen(["sleep", "60"], env=mark) as server:
        try:
            with pytest.raises(CommandError, match=f"Stop it first: kill {server.pid}"):
                call_command("restore", str(moved.archive))
        finally:
            server.kill()


@pytest.mark.django_db
def test_a_backup_in_a_newer_format_is_refused(moved, empty_place, tmp_path):
    with pytest.raises(CommandError, match="is in format 99"):
        call_command("restore", str(changed(moved.archive, tmp_path, format=99)))


@pytest.mark.django_db
def test_a_manifest_that_tells_too_little_is_refused(empty_place, tmp_path):
    with take.ArchiveWriter(tmp_path / "short.tar") as writer:
        writer.finish({"release": "0.1.0"})

    with pytest.raises(CommandError, match="does not tell audit, migrations, missing, tables, taken_at"):
        call_command("restore", str(tmp_path / "short.tar"))


@pytest.mark.django_db
def test_a_damaged_backup_is_refused(moved, empty_place, tmp_path):
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(moved.archive.read_bytes().replace(b"loader_module", b"loader_MODULE"))

    with pytest.raises(CommandError, match="is damaged: “artifacts/.*nothing was restored"):
        call_command("restore", str(damaged))
