"""MLflow's proxy of artifacts, on this platform's own files."""

from urllib.parse import quote

import pytest
from django.test import Client

from core.models import AuditEvent
from lifecycle.artifact_store import artifact_store
from lifecycle.models import Artifact
from lifecycle.operations.artifacts import open_artifact
from tests.factories import (
    make_client,
    make_file,
    make_model_run,
    make_run,
    make_token,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

LIST = "/api/2.0/mlflow/artifacts/list"
PROXY = "/api/2.0/mlflow-artifacts/artifacts"
# What a path may be where a server decodes it once more than it looked at it, or takes it for another machine's.
ESCAPES = [
    "../x", "a/../../x", "..\\x", "a\\..\\..\\x", "/etc/passwd", "//etc/passwd", "C:\\x", "\\\\host\\x", "file:///etc/x",
    "file://host/x", "%2e%2e/x", "%2e%2e%2fx", "%252e%252e%252fx", "%25252e%25252e/x", "x%00", "x\0y", "x?y", "x#y",
    "..", ".", "a//b", "a/./b", " ", "x" * 2000, "a\nb",
]  # fmt: skip


@pytest.fixture
def client():
    return make_client("scientist")


@pytest.fixture
def run():
    return make_run()


def place(run, path=""):
    return f"{run.experiment.pk}/{run.run_id}/artifacts" + (f"/{path}" if path else "")


def address(run, path):
    return f"{PROXY}/{quote(place(run, path))}"


def put(client, run, path, content=b"content"):
    return client.generic("PUT", address(run, path), content)


def refusal(response):
    return response.status_code, response.json()["error_code"]


def test_what_mlflow_uploads_is_a_file_of_the_run(client, run):
    assert put(client, run, "model/data.bin", b"bytes").status_code == 200

    file = Artifact.objects.get(run=run)

    assert (file.path, file.size_bytes, file.uploaded_by) == ("model/data.bin", 5, client.user)
    assert open_artifact(file).read() == b"bytes"
    shown = client.get(f"/api/v1/ml/lifecycle/runs/{run.run_id}/artifacts?path=model").json()
    assert [entry["name"] for entry in shown["results"]] == ["data.bin"]


def test_what_the_platform_keeps_mlflow_reads(client, run):
    make_file(run, "page.html", b"<script>alert(1)</script>")
    response = client.get(address(run, "page.html"))
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"


def test_a_folder_is_listed_from_the_runs_root_and_by_the_proxy_by_name(client, run):
    for path in ("notes.txt", "model/MLmodel", "model/data/x"):
        make_file(run, path, b"123")
    of_run = client.get(LIST, {"run_id": run.run_id, "path": "model"}).json()
    of_place = client.get(PROXY, {"path": place(run, "model")}).json()
    file, folder = {"is_dir": False, "file_size": 3}, {"is_dir": True}

    assert of_run["root_uri"] == f"mlflow-artifacts:/{place(run)}"
    assert of_run["files"] == [{"path": "model/MLmodel", **file}, {"path": "model/data", **folder}]
    assert of_place["files"] == [{"path": "MLmodel", **file}, {"path": "data", **folder}]


def test_a_file_is_found_under_its_own_run_and_experiment_only(client, run):
    make_file(run, "notes.txt", b"x")
    other = make_run()
    elsewhere = f"{other.experiment.pk}/{run.run_id}/artifacts/notes.txt"
    for path in (elsewhere, "notes.txt", f"{run.run_id}/notes.txt", "1"):
        assert refusal(client.get(f"{PROXY}/{path}")) == (404, "RESOURCE_DOES_NOT_EXIST")
        assert client.generic("PUT", f"{PROXY}/{path}", b"x").status_code == 404
        assert client.get(PROXY, {"path": path}).json() == {}
    assert Artifact.objects.get().run == run


@pytest.mark.parametrize("path", ESCAPES, ids=repr)
def test_no_path_leads_out_of_the_run(client, run, path):
    make_file(run, "x", b"kept")
    for asked in (
        client.generic("PUT", address(run, path), b"mine"),
        client.get(address(run, path)),
        client.delete(address(run, path)),
        client.get(PROXY, {"path": place(run, path)}),
    ):
        assert refusal(asked) == (400, "INVALID_PARAMETER_VALUE")
    assert refusal(client.get(LIST, {"run_id": run.run_id, "path": path})) == (400, "INVALID_PARAMETER_VALUE")
    assert [file.path for file in Artifact.objects.all()] == ["x"]


def test_a_deleted_run_takes_no_files(client):
    run = make_run(deleted_at="2026-01-01T00:00:00Z")
    assert refusal(put(client, run, "x")) == (400, "INVALID_PARAMETER_VALUE")


def test_a_part_of_a_file_is_not_taken_for_the_file(client, run):
    assert client.generic("PUT", address(run, "x"), b"x", HTTP_CONTENT_RANGE="bytes 0-0/9").status_code == 400
    assert not Artifact.objects.exists()


def test_an_upload_over_the_limit_is_refused(client, run, settings):
    settings.ARTIFACT_MAX_BYTES = 10
    assert put(client, run, "x", b"x" * 11).status_code == 413
    assert not Artifact.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_deleting_takes_a_file_or_a_folder_away_with_its_bytes_and_is_audited(client, run):
    files = [make_file(run, path, b"123") for path in ("a/b", "a/c/d", "ab", "notes.txt")]

    assert client.delete(address(run, "a")).json() == {}
    assert client.delete(address(run, "notes.txt")).json() == {}
    assert client.delete(address(run, "nothing")).json() == {}

    assert [file.path for file in Artifact.objects.all()] == ["ab"]
    assert [artifact_store().exists(file.storage_key) for file in files] == [False, False, True, False]
    first, second = AuditEvent.objects.filter(action="artifact.delete").order_by("pk")
    assert (first.via, first.changes) == ("mlflow", {"path": "a", "files": 2, "size_bytes": 6})
    assert second.changes["path"] == "notes.txt"


@pytest.mark.parametrize("path", ["", "models", "models/m", "models/m/MLmodel"])
def test_what_a_version_was_registered_with_is_not_deleted(client, path):
    run = make_model_run("models/m")
    make_version(run=run, artifact_path="models/m")
    kept = Artifact.objects.filter(run=run).count()
    assert refusal(client.delete(address(run, path))) == (409, "RESOURCE_CONFLICT")
    assert Artifact.objects.filter(run=run).count() == kept


def test_what_lies_beside_a_version_is_deleted(client):
    run = make_model_run("models/m")
    make_version(run=run, artifact_path="models/m")
    for path in ("Models/m", "models/m2", "models/notes"):
        make_file(run, f"{path}/x")
        assert client.delete(address(run, path)).status_code == 200
    assert {file.path for file in run.artifacts.all()} == {"models/m/MLmodel", "models/m/model.skops"}


def test_all_files_of_a_run_are_deleted_by_its_root(client, run):
    make_file(run, "a/b")
    make_file(run, "c")
    assert client.delete(f"{PROXY}/{place(run)}").json() == {}
    assert not run.artifacts.exists()


def test_only_authors_delete_even_what_is_not_there(run):
    for path in (place(run, "x"), "1/unknown/artifacts/x"):
        assert refusal(make_client("viewer").delete(f"{PROXY}/{path}")) == (403, "PERMISSION_DENIED")


def test_a_path_may_be_as_long_by_the_proxy_as_by_the_api(client, run):
    path = "/".join(["n" * 199] * 5)
    make_file(run, path)
    assert client.get(address(run, path)).status_code == 200
    assert len(client.get(PROXY, {"path": place(run, path[:199]) + "/"}).json()["files"]) == 1


def test_a_page_of_another_site_cannot_upload_through_the_browsers_door(run):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("scientist"))
    path = f"/ajax-api/2.0/mlflow-artifacts/artifacts/{place(run, 'x')}"
    assert refusal(client.generic("PUT", path, b"x")) == (403, "PERMISSION_DENIED")
    token = {"Authorization": f"Bearer {make_token(make_user('scientist'))}"}
    assert client.generic("PUT", path, b"x", headers=token).status_code == 200


def test_clients_hear_that_files_go_whole_and_through_this_server(client, run):
    for step in ("create", "complete", "abort"):
        response = client.post(f"/api/2.0/mlflow-artifacts/mpu/{step}/{place(run, 'x')}", {}, format="json")
        assert refusal(response) == (501, "NOT_IMPLEMENTED")
    response = client.get(f"/api/2.0/mlflow-artifacts/presigned/{place(run, 'x')}")
    assert refusal(response) == (501, "NOT_IMPLEMENTED")


def test_anybody_may_ask_what_the_server_is():
    client = Client()
    assert client.get("/health").content == b"OK"
    assert client.get("/version").content.startswith(b"3.")
    assert client.get("/api/3.0/mlflow/server-info").json()["multipart_uploads_enabled"] is False
