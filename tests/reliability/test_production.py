"""The production set-up of docs/production.md, tried: nginx, several processes, PostgreSQL, Redis, S3."""

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lifecycle.demo.client import LIFECYCLE
from tests.postgres import PostgresDatabase
from tests.production_stack import ObjectStorage, ProductionStack
from tests.reliability.platform import Platform, Served
from tests.stack import Stack

pytestmark = pytest.mark.slow

MEBIBYTE = 1024**2
LARGE = 200 * MEBIBYTE


@pytest.fixture(scope="module")
def servers() -> Iterator[ObjectStorage]:
    """Needs PostgreSQL and Redis; the S3 server is started here."""
    if not {"DATABASE_URL", "REDIS_URL"} <= set(os.environ):
        missing = "DATABASE_URL and REDIS_URL name no PostgreSQL and Redis to run on."
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    with ObjectStorage() as storage:
        yield storage


@pytest.fixture(scope="module")
def production(servers) -> Iterator[Platform]:
    data_dir = Path(tempfile.mkdtemp(prefix="prod-"))
    with (
        pytest.MonkeyPatch.context() as patched,
        PostgresDatabase(os.environ["DATABASE_URL"], "prod") as database,
    ):
        stack = ProductionStack(
            data_dir,
            DATABASE_URL=database.url,
            REDIS_URL=os.environ["REDIS_URL"],
            **servers.settings("first"),
        )
        for name, value in stack.trusted.items():
            patched.setenv(name, value)
        with stack:
            yield Platform(stack)
    shutil.rmtree(data_dir)


@pytest.fixture(scope="module")
def served(production, linear_model, linear_row) -> Served:
    found = production.serve(linear_model)
    found.row = linear_row
    return found


def test_the_main_job_runs_through_nginx(production):
    done = production.stack.manage("demo", "--url", production.stack.url, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "count failed requests during both changes: 0 of" in done.stdout


def test_plain_http_is_redirected_and_https_is_believed_from_nginx_alone(production):
    stack = production.stack
    plain = requests.get(f"{stack.plain_url}/sign-in?next=/", timeout=5, allow_redirects=False)
    secure = requests.get(f"{stack.url}/sign-in", timeout=5, headers={"X-Forwarded-Proto": "http"})
    past = requests.get(f"http://127.0.0.1:{stack.ports['web-1']}/sign-in", timeout=5, allow_redirects=False)

    assert (plain.status_code, plain.headers["Location"]) == (308, "https://127.0.0.1/sign-in?next=/")
    assert (secure.status_code, secure.history) == (200, [])
    assert secure.cookies.get_dict() != {}
    assert all(cookie.secure for cookie in secure.cookies)
    assert secure.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert past.status_code == 301


def test_static_files_keep_their_headers_behind_nginx(production):
    page = requests.get(f"{production.stack.url}/sign-in", timeout=5).text
    path = next(part for part in page.split('"') if part.startswith("/static/css/app."))

    answer = requests.get(production.stack.url + path, timeout=5)

    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"


def test_a_sign_in_link_stays_out_of_nginxs_log(production):
    requests.get(f"{production.stack.url}/sign-in/link_secret?also=secret", timeout=5)

    log = (production.stack.nginx_dir / "access.log").read_text()
    assert "/sign-in/... 404" in log.replace(chr(34), "")
    assert "secret" not in log


def test_a_large_artifact_passes_through_nginx_in_bounded_memory(production):
    """200 MiB; neither nginx nor a web process may hold more than a small part of it at any time."""
    stack = production.stack
    production.admin.post("/experiments", {"name": "large"}, expect=(201, 409))
    run_id = production.admin.post("/runs", {"experiment_name": "large"})["run_id"]
    watched = {process.pid: process for process in [*stack.nginx_processes(), *stack.web_processes()]}
    before = {pid: process.memory_info().rss for pid, process in watched.items()}
    most, done = dict(before), threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for pid, process in watched.items():
                most[pid] = max(most[pid], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    piece = os.urandom(MEBIBYTE)
    path = f"{LIFECYCLE}/runs/{run_id}/artifacts/large.bin"
    try:
        production.admin.request("PUT", path, data=(piece for _ in range(LARGE // MEBIBYTE)))
        answer = production.admin.session.get(stack.url + path, stream=True, timeout=60)
        digest, size = hashlib.sha256(), 0
        for chunk in answer.iter_content(MEBIBYTE):
            digest.update(chunk)
            size += len(chunk)
    finally:
        done.set()
        watcher.join()

    assert size == LARGE
    assert digest.hexdigest() == hashlib.sha256(piece * (LARGE // MEBIBYTE)).hexdigest()
    grown = {watched[pid].name(): (most[pid] - before[pid]) / MEBIBYTE for pid in watched}
    assert max(grown.values()) < 100, grown


def test_a_web_process_that_dies_costs_what_it_had_under_way_and_no_more(production, served):
    stack, failures, asked = production.stack, [], 0
    headers = dict(production.admin.session.headers)

    with production.traffic(served, clients=4, pause_seconds=0.01) as traffic:
        traffic.wait_for(100)
        stack.kill("web-1")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            answer = requests.get(f"{stack.url}{LIFECYCLE}/deployments", headers=headers, timeout=10)
            failures += [answer.status_code] if answer.status_code != 200 else []
            asked += 1
        traffic.wait_for(100)
        lost = len(traffic.failures)
        stack.start("web-1")
        traffic.wait_for(200)

    assert failures == [], f"of {asked} that only read, none may fail"
    assert lost <= 4, traffic.failures  # one for each client, at the moment of the kill
    assert {(failure.status, failure.body["code"]) for failure in traffic.failures} <= {(502, "unavailable")}
    assert len(traffic.failures) == lost, "coming back costs nothing"


def restored(place: Stack, archive: Path, of: Served) -> None:
    """Restore there, start the platform, and see that the model that served serves."""
    said = place.manage("restore", str(archive)).stdout
    assert "The audit trail holds" in said
    with place:
        answer = ask(place, of)
        assert answer.status_code == 200, answer.text
        assert answer.json() == of.predict().body
        assert place.manage("verify_audit").returncode == 0


def ask(place: Stack, of: Served) -> requests.Response:
    return requests.post(
        f"{place.url}{LIFECYCLE}/serve/{of.model_name}/development/invocations",
        json={"dataframe_records": [of.row]},
        headers={"Authorization": f"Bearer {of.platform.viewer_token}"},
        timeout=30,
    )


@pytest.mark.parametrize("target", ["PostgreSQL and S3", "SQLite and a folder"])
def test_a_backup_taken_under_traffic_serves_in_a_new_place(production, served, servers, target):
    folder = Path(tempfile.mkdtemp(prefix="back-"))
    with production.traffic(served, clients=2, pause_seconds=0.01) as traffic:
        traffic.wait_for(50)
        production.stack.manage("backup", str(folder / "backup.tar"))
        traffic.wait_for(50)
    assert traffic.failures == []

    if target == "SQLite and a folder":
        restored(Stack(folder / "place"), folder / "backup.tar", served)
    else:
        with PostgresDatabase(os.environ["DATABASE_URL"], "back") as database:
            other = {"DATABASE_URL": database.url, **servers.settings("second")}
            restored(Stack(folder / "place", **other), folder / "backup.tar", served)
    shutil.rmtree(folder)


@pytest.mark.parametrize("target", ["PostgreSQL", "SQLite"])
def test_a_backup_of_the_embedded_default_serves_in_a_new_place(serve, platform, servers, target):
    served, folder = serve(), Path(tempfile.mkdtemp(prefix="back-"))
    with platform.traffic(served, clients=2, pause_seconds=0.01) as traffic:
        traffic.wait_for(50)
        platform.stack.manage("backup", str(folder / "backup.tar"))
        traffic.wait_for(50)
    assert traffic.failures == []

    with PostgresDatabase(os.environ["DATABASE_URL"], "back") as database:
        environment = {"DATABASE_URL": database.url} if target == "PostgreSQL" else {}
        place = Stack(
            folder / "place", INSTANCE_TYPES=platform.stack.environment["INSTANCE_TYPES"], **environment
        )
        restored(place, folder / "backup.tar", served)
    shutil.rmtree(folder)
