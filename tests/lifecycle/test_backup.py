"""`manage.py backup`: all of one moment, or it says what is missing."""

import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import QuerySet

from core.models import AuditEvent, User
from core.operations.backups import take
from core.operations.backups.archive import ArchiveReader
from lifecycle.artifact_store import artifact_store
from lifecycle.models import Artifact, Deployment
from tests.everything import put_behind_an_endpoint
from tests.factories import make_deployment, make_file, make_registered
from tests.lifecycle.backups import ask, backup
from tests.stack import ROOT, Stack

pytestmark = pytest.mark.django_db


@pytest.fixture
def serving(transactional_db, settings, tmp_path) -> Deployment:
    settings.ARTIFACT_ROOT = str(tmp_path / "artifacts")
    return make_deployment(model_version=make_registered(), status="active")


def incomplete(folder: Path) -> tuple[str, ArchiveReader]:
    """What a backup says that lacks something, and the archive that is there all the same."""
    with pytest.raises(CommandError) as refused:
        backup(folder)
    assert refused.value.returncode == 2
    archive = ArchiveReader(folder / "backup.tar")
    archive.verify()
    return str(refused.value), archive


def test_a_file_that_the_store_lost_is_named_and_the_rest_kept(serving, tmp_path):
    lost = Artifact.objects.get(path="model/model.skops")
    artifact_store().delete(lost.storage_key)

    said, archive = incomplete(tmp_path)

    assert "1 files are not in it" in said
    assert f"“model/model.skops” of run {lost.run.run_id}: the store has lost it" in said
    assert archive.manifest["files"]["artifacts"]["count"] == Artifact.objects.count() - 1
    restored = Stack(tmp_path / "place").manage("restore", str(archive.source)).stdout
    assert "Missing since the backup: “model/model.skops”" in restored


@pytest.mark.parametrize("content", [b"weightS", b"weight", b"weights and more"])
def test_a_file_that_changed_in_the_store_is_named_and_not_kept(serving, tmp_path, content):
    damaged = Artifact.objects.get(path="model/model.skops")
    (tmp_path / "artifacts" / damaged.storage_key).write_bytes(content)

    said, archive = incomplete(tmp_path)

    assert "“model/model.skops”" in said
    assert "damaged in the store" in said
    assert f"artifacts/{damaged.storage_key}" not in [member.name for member in archive.members()]


def test_a_file_replaced_while_the_backup_is_taken_is_named_as_that(serving, tmp_path, monkeypatch):
    copy_files, run = take._add_files, serving.model_version.run

    def replaced_first(*arguments: Any) -> Any:
        make_file(run, "model/model.skops", "other weights")
        return copy_files(*arguments)

    monkeypatch.setattr(take, "_add_files", replaced_first)

    said, _archive = incomplete(tmp_path)

    assert f"“model/model.skops” of run {run.run_id}: it was replaced or deleted while" in said


def test_a_backup_is_of_one_moment_and_holds_up_no_writer(serving, tmp_path, monkeypatch):
    """Somebody is made after the first table was read: neither the account nor its audit row is in the backup."""
    program = (
        "import django; django.setup(); from core.operations import access;"
        "access.ensure_user(actor=None, username='latecomer', roles=set())"
    )
    name = connection.settings_dict["NAME"]
    server = os.environ.get("DATABASE_URL", "").rpartition("/")[0]
    url = f"{server}/{name}" if connection.vendor == "postgresql" else f"sqlite:///{name}"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "mlops_site.settings", "DATABASE_URL": url}
    add_table, waited = take._add_table, []

    def written_meanwhile(*arguments: Any) -> Any:
        table = add_table(*arguments)
        if not waited:
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", program], env=environment, check=True, cwd=ROOT)
            waited.append(time.monotonic() - began)
        return table

    monkeypatch.setattr(take, "_add_table", written_meanwhile)
    archive = ArchiveReader(backup(tmp_path))

    assert User.objects.filter(username="latecomer").exists()
    assert waited[0] < 25, "the writer did not wait for the backup until SQLite's time-out"
    rows = {table["table"]: table["rows"] for table in archive.manifest["tables"]}
    assert rows["core_user"] == User.objects.count() - 1
    assert rows["core_auditevent"] < AuditEvent.objects.count()


def test_an_audit_trail_that_was_forged_is_restored_and_told(serving, tmp_path):
    call_command("verify_audit", stdout=StringIO())
    first = AuditEvent.objects.order_by("pk").first()
    QuerySet.update(AuditEvent.objects.filter(pk=first.pk), reason="forged")

    place = Stack(tmp_path / "place")
    answer = place.manage("restore", str(backup(tmp_path)), check=False)

    assert answer.returncode == 2
    assert f"(id {first.pk}) was changed after it was sealed" in answer.stderr
    assert ask(place, "AuditEvent.objects.filter(reason='forged').count()") == 1


def test_a_served_model_whose_files_were_replaced_since_is_named(serving, tmp_path):
    put_behind_an_endpoint(serving)
    make_file(serving.model_version.run, "model/model.skops", "other weights")

    said = Stack(tmp_path / "place").manage("restore", str(backup(tmp_path))).stdout

    assert f"#{serving.pk} cannot serve: Its files were replaced since it was deployed" in said


def test_a_signing_key_that_is_set_is_not_in_the_backup(serving, tmp_path, settings):
    settings.SECRET_KEY = "set by whoever runs this"

    assert "secret_key" not in [member.name for member in ArchiveReader(backup(tmp_path)).members()]


def test_nothing_is_left_of_a_backup_for_which_there_is_no_room(serving, tmp_path, monkeypatch):
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(take.ArchiveWriter, "_append", full)
    with pytest.raises(CommandError, match="nothing is left of it: No space left on device"):
        backup(tmp_path)

    assert not list(tmp_path.glob("*backup*"))


def test_a_backup_that_is_ended_by_sigterm_leaves_nothing_behind(serving, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(take, "_add_files", lambda *arguments: os.kill(os.getpid(), signal.SIGTERM))
    try:
        with pytest.raises(SystemExit) as ended:
            backup(tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert ended.value.code == 143
    assert not list(tmp_path.glob("*backup*"))


def test_a_database_of_an_older_release_is_not_backed_up(tmp_path):
    answer = Stack(tmp_path / "place").manage("backup", str(tmp_path / "b.tar"), check=False)

    assert answer.returncode == 1
    assert "of an older release" in answer.stderr
    assert not (tmp_path / "b.tar").exists()
