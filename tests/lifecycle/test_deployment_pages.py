"""The overview, the deployment list and the deployment page: who sees what, and what nobody may do."""

import csv
import io
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Alert
from core.translation import gettext
from lifecycle.models import Deployment
from lifecycle.operations import pipeline
from lifecycle.states import DeploymentStatus
from serving.models import Endpoint, Target
from tests.factories import (
    make_deployment,
    make_experiment,
    make_model,
    make_registered,
    make_run,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db

SCRIPT = "<script>alert(1)</script>"
ATTRIBUTE = '"><img src=x onerror=alert(1)>'
TABS = ("logs", "health", "replicas", "call")


def sign_in(*roles: str, **options) -> Client:
    client = Client(**options)
    client.force_login(make_user(*roles))
    return client


def pages_of(deployment: Deployment) -> list[str]:
    page = f"/deployments/{deployment.pk}/"
    return ["/", "/deployments/", page, *(f"{page}?tab={tab}" for tab in TABS), f"{page}log.txt"]


def make_serving(*, environment: str = "production", deployed_before: float = 0, **fields) -> Deployment:
    """A deployment with its endpoint and target, as the pipeline leaves them."""
    deployment = make_deployment(status="active", environment=environment, **fields)
    moment = timezone.now() - timedelta(seconds=deployed_before)
    Deployment.objects.filter(pk=deployment.pk).update(deployed_at=moment, health_status="healthy")
    endpoint, _made = Endpoint.objects.get_or_create(
        model_name=deployment.model.name, environment=deployment.environment
    )
    Target.objects.create(
        endpoint=endpoint,
        deployment_id=deployment.pk,
        model_version=deployment.model_version.version,
        model_path="/nowhere",
        instance_type="small",
        instances=1,
        state="serving",
        weight=100,
    )
    deployment.refresh_from_db()
    return deployment


def make_second_version() -> tuple[Deployment, Deployment]:
    """What served before in production, and what serves now."""
    model = make_model()
    versions = [make_version(model=model, approved=True, stage="production") for _each in range(2)]
    before = make_deployment(model_version=versions[0], environment="production", status="terminated")
    Deployment.objects.filter(pk=before.pk).update(
        deployed_at=timezone.now() - timedelta(hours=1), terminated_at=timezone.now()
    )
    return before, make_serving(model_version=versions[1])


def html(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


# --- Who sees what ------------------------------------------------------------------------------------------


def test_strangers_are_sent_to_sign_in(client):
    deployment = make_serving()
    actions = [f"/deployments/{deployment.pk}/{action}" for action in ("rollback", "terminate")]
    for path in [
        *pages_of(deployment),
        f"/deployments/{deployment.pk}/live",
        f"/deployments/{deployment.pk}/log",
    ]:
        response = client.get(path)
        assert response.status_code == 302
        assert response.url.startswith("/sign-in?next=/")
    for path in actions:
        assert client.post(path).url.startswith("/sign-in?next=/")
    deployment.refresh_from_db()
    assert deployment.status == "active"


@pytest.mark.parametrize("role", ["viewer", "scientist", "approver", "operator", "admin"])
@pytest.mark.parametrize("status", DeploymentStatus.values)
def test_every_role_reads_every_page_in_every_state(role, status):
    ended = timezone.now() if status in ("failed", "rollback", "terminated") else None
    deployment = make_deployment(
        status=status, terminated_at=ended, error_message="No signature." if ended else ""
    )
    client = sign_in(role)
    for path in pages_of(deployment):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    ("role", "environment", "may"),
    [
        ("viewer", "development", False),
        ("approver", "development", False),
        ("scientist", "development", True),
        ("scientist", "production", False),
        ("operator", "production", True),
        ("admin", "production", True),
    ],
)
def test_only_who_may_act_is_shown_the_buttons(role, environment, may):
    _before, deployment = make_second_version()
    Deployment.objects.filter(model=deployment.model).update(environment=environment)
    page = html(sign_in(role), f"/deployments/{deployment.pk}/")
    assert (f"/deployments/{deployment.pk}/rollback" in page) == may
    assert (f"/deployments/{deployment.pk}/terminate" in page) == may


@pytest.mark.parametrize("action", ["rollback", "terminate"])
def test_a_forged_post_of_a_viewer_is_refused_with_a_message(action):
    _before, deployment = make_second_version()
    response = sign_in("viewer").post(f"/deployments/{deployment.pk}/{action}", follow=True)
    assert response.redirect_chain == [(f"/deployments/{deployment.pk}/", 302)]
    assert "you need one of these roles: operator, admin" in response.content.decode()
    deployment.refresh_from_db()
    assert deployment.status == "active"
    assert Deployment.objects.filter(rollback_from=deployment).count() == 0


@pytest.mark.parametrize("action", ["rollback", "terminate"])
def test_an_action_takes_a_post_with_its_csrf_token(action):
    deployment = make_serving()
    strict = sign_in("operator", enforce_csrf_checks=True)
    assert strict.get(f"/deployments/{deployment.pk}/{action}").status_code == 405
    assert strict.post(f"/deployments/{deployment.pk}/{action}").status_code == 403


def test_an_operator_terminates_with_a_reason():
    deployment = make_serving()
    response = sign_in("operator").post(
        f"/deployments/{deployment.pk}/terminate", {"reason": "Trial over."}, follow=True
    )
    assert "The deployment was terminated." in response.content.decode()
    deployment.refresh_from_db()
    assert deployment.status == "terminated"
    assert deployment.events.last().reason == "Trial over."


def test_an_operator_rolls_back_and_is_led_to_the_new_deployment():
    before, deployment = make_second_version()
    response = sign_in("operator").post(
        f"/deployments/{deployment.pk}/rollback", {"reason": "Too slow."}, follow=True
    )
    created = Deployment.objects.get(rollback_from=deployment)
    assert response.redirect_chain == [(f"/deployments/{created.pk}/", 302)]
    assert (created.model_version, created.deployment_notes) == (before.model_version, "Too slow.")


def test_a_rollback_without_a_way_back_is_refused_with_a_message():
    deployment = make_serving()
    response = sign_in("operator").post(f"/deployments/{deployment.pk}/rollback", follow=True)
    assert "There is no earlier version to go back to." in response.content.decode()


@pytest.mark.parametrize("reason", ["a\x00b", "x" * 10_001], ids=["NUL", "too long"])
def test_a_reason_that_cannot_be_kept_is_refused_with_a_message(reason):
    deployment = make_serving()
    response = sign_in("operator").post(
        f"/deployments/{deployment.pk}/terminate", {"reason": reason}, follow=True
    )
    assert 'data-toast="error"' in response.content.decode()
    deployment.refresh_from_db()
    assert deployment.status == "active"


# --- What is shown ------------------------------------------------------------------------------------------


def test_the_navigation_counts_what_waits_for_whoever_looks():
    make_registered(ticked=True)
    theirs = make_registered(ticked=True).created_by
    theirs.groups.add(*make_user("approver").groups.all())
    approver, author, viewer = sign_in("approver"), Client(), sign_in("viewer")
    author.force_login(theirs)
    badge = '<span class="sidebar-badge" title="%s">%d</span>'
    assert badge % ("2 wait for you", 2) in html(approver, "/deployments/")
    assert badge % ("1 waits for you", 1) in html(author, "/deployments/")
    assert "sidebar-badge" not in html(viewer, "/deployments/")


@pytest.mark.parametrize(
    ("language", "told", "serves"),
    [
        ("en", "“validating” took longer than 60 seconds.", "Ready: traffic moved here."),
        ("ko", "“validating” 단계가 60초를 넘었습니다.", "준비 완료: 트래픽을 이 배포로 옮겼습니다."),
    ],
)
def test_what_a_worker_wrote_down_is_read_in_the_language_of_the_reader(language, told, serves):
    """The error, the timeline, the log and the alert: a worker has no language, and its readers have several."""
    deployment = make_deployment(status="validating")
    why = gettext("“%(stage)s” took longer than %(seconds)d seconds.") % {
        "stage": "validating",
        "seconds": 60,
    }
    deployment.log(gettext("Ready: traffic moved here."))
    pipeline.fail(deployment, why)
    client = sign_in("viewer", HTTP_ACCEPT_LANGUAGE=language)
    page = html(client, f"/deployments/{deployment.pk}/?tab=logs")
    assert page.count(told) >= 3
    assert serves in page
    assert told in html(client, "/")
    assert html(client, f"/deployments/?search={quote(str(why)[:20])}").count(deployment.model.name)
    assert client.get(f"/api/v1/ml/lifecycle/deployments/{deployment.pk}").json()["error_message"] == told


def test_the_overview_shows_what_serves_waits_and_failed():
    serving = make_serving()
    failed = make_deployment(
        status="failed", error_message="No signature was logged.", terminated_at=timezone.now()
    )
    waiting = make_version()
    waiting.checklist.create(name="Reviewed", status="approved")
    page = html(sign_in("viewer"), "/")
    assert f'href="/deployments/{serving.pk}/"' in page
    assert f'href="/deployments/{failed.pk}/"' in page
    assert "No signature was logged." in page
    assert waiting.model.name in page


def test_an_alert_leads_to_the_deployment_it_is_about():
    deployment = make_serving()
    Alert.objects.create(
        key="k",
        domain="lifecycle",
        severity="high",
        title="Look here",
        object_type="deployment",
        object_id=deployment.pk,
    )
    assert f'<a href="/deployments/{deployment.pk}/">Look here</a>' in html(sign_in("viewer"), "/")


def test_an_empty_platform_says_how_to_begin():
    client = sign_in("viewer")
    for path in ("/", "/deployments/"):
        assert "curl -X POST" in html(client, path)


def test_a_deployment_on_its_way_polls_and_a_settled_one_does_not():
    client = sign_in("viewer")
    deployment = make_deployment(status="validating")
    page = f"/deployments/{deployment.pk}/"
    assert f'hx-get="{page}live?tab=logs"' in html(client, page)
    assert client.get(f"{page}live").status_code == 200
    assert "hx-trigger" in html(client, f"{page}log?after=0")
    Deployment.objects.filter(pk=deployment.pk).update(status="failed", terminated_at=timezone.now())
    assert "/live?" not in html(client, page)
    assert client.get(f"{page}live").status_code == 286
    assert "hx-trigger" not in html(client, f"{page}log?after=0")


def test_the_log_continues_after_the_last_line_seen():
    deployment = make_deployment(status="validating")
    for number in range(3):
        deployment.log(f"line {number}")
    first = deployment.log_lines.first().pk
    lines = html(sign_in("viewer"), f"/deployments/{deployment.pk}/log?after={first}")
    assert "line 0" not in lines
    assert "line 2" in lines
    assert f"after={deployment.log_lines.last().pk}" in lines


def test_one_served_elsewhere_shows_what_was_pushed_and_no_replicas():
    deployment = make_serving(is_external=True, external_endpoint="https://models.example.com/a")
    Deployment.objects.filter(pk=deployment.pk).update(
        external_metrics={"request_count": 48210, "error_count": 3, "error_rate": 0.1, "p95_latency_ms": 12.0}
    )
    page = html(sign_in("operator"), f"/deployments/{deployment.pk}/")
    assert "48,210" in page
    assert "None" not in page
    assert "Replicas ready" not in page
    assert "?tab=replicas" not in page
    assert "/rollback" not in page


# --- Hostile input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hostile", [SCRIPT, ATTRIBUTE])
def test_text_from_people_and_models_is_escaped(hostile):
    author = make_user("scientist", username=f"u{hostile[:100]}")
    run = make_run(
        experiment=make_experiment(name=hostile, owner=author),
        created_by=author,
        name=hostile,
        status="failed",
    )
    version = make_version(
        model=make_model(name=hostile.replace("/", "")),
        run=run,
        created_by=author,
        version_label=hostile[:20],
        signature={"inputs": [{"type": "string", "name": hostile, "required": True}]},
    )
    version.checklist.create(name=hostile, status="approved")
    deployment = make_deployment(
        model_version=version,
        status="failed",
        deployment_notes=hostile,
        error_message=hostile,
        created_by=author,
        terminated_at=timezone.now(),
    )
    deployment.events.create(
        before="pending", after="failed", actor=author, reason=hostile, at=timezone.now()
    )
    deployment.log(hostile, level="error")
    deployment.log("level", level=hostile[:10])
    Alert.objects.create(
        key="k", domain="core", severity="high", title=hostile, message=hostile, url="/deployments/"
    )
    client = sign_in("admin")
    for path in [
        *pages_of(deployment)[:-1],
        f"/deployments/{deployment.pk}/live",
        f"/deployments/{deployment.pk}/log",
    ]:
        response = client.get(path)
        assert response.status_code in (200, 286), path
        assert "<script>alert" not in response.content.decode(), path
        assert "<img src=x" not in response.content.decode(), path


def test_a_log_file_is_sent_as_text_to_keep():
    deployment = make_deployment(status="failed", terminated_at=timezone.now())
    deployment.log(SCRIPT)
    response = sign_in("viewer").get(f"/deployments/{deployment.pk}/log.txt")
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="deployment-{deployment.pk}.log"'
    assert response["X-Content-Type-Options"] == "nosniff"


HOSTILE = [
    "",
    "'",
    SCRIPT,
    "\x00",
    "../../etc/passwd",
    "-",
    "--created_at",
    "created_by__password",
    "9" * 40,
    "-1",
    "٣",
    "🦆",
]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "name", ["search", "environment", "status", "health_status", "ordering", "page", "export"]
)
def test_the_list_takes_any_parameter(name, value):
    make_serving()
    response = sign_in("viewer").get("/deployments/", {name: value})
    assert response.status_code == 200
    assert SCRIPT not in response.content.decode()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(("page", "name"), [("", "tab"), ("live", "tab"), ("log", "after")])
def test_the_deployment_page_takes_any_parameter(page, name, value):
    deployment = make_deployment(status="validating")
    response = sign_in("viewer").get(f"/deployments/{deployment.pk}/{page}", {name: value})
    assert response.status_code == 200
    assert SCRIPT not in response.content.decode()


@pytest.mark.parametrize("number", ["0", "999999", "9" * 40])
def test_a_deployment_that_is_not_there_is_not_found(number):
    client = sign_in("operator")
    for page in ("", "live", "log", "log.txt"):
        assert client.get(f"/deployments/{number}/{page}").status_code == 404
    for action in ("rollback", "terminate"):
        assert client.post(f"/deployments/{number}/{action}").status_code == 404


# --- Lists --------------------------------------------------------------------------------------------------


def test_the_list_filters_by_what_is_chosen():
    staging = make_deployment(environment="staging", status="failed")
    production = make_serving()
    client = sign_in("viewer")
    page = html(client, "/deployments/?environment=staging&status=failed")
    assert f'id="deployment-{staging.pk}"' in page
    assert f'id="deployment-{production.pk}"' not in page
    assert "No deployment matches these filters" in html(client, "/deployments/?search=nothing-like-this")


def test_a_value_that_is_no_option_filters_nothing_and_shows_no_chip():
    deployment = make_serving()
    page = html(sign_in("viewer"), "/deployments/?environment=moon")
    assert f'id="deployment-{deployment.pk}"' in page
    assert "filter-chip" not in page


@pytest.mark.parametrize("field", ["model__name", "environment", "status", "created_at"])
def test_an_export_is_the_list_as_it_is_shown(field):
    for environment in ("staging", "development", "production"):
        make_deployment(environment=environment)
    make_deployment(environment="staging", status="failed")
    client = sign_in("viewer")
    query = f"?ordering={field}&search=model-"
    shown = [row["id"] for row in client.get(f"/deployments/{query}").context["page"].object_list]
    answer = client.get(f"/api/v1/ml/lifecycle/deployments{query}&export=csv")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert [int(row["id"]) for row in csv.DictReader(io.StringIO(text))] == shown
    assert len(shown) == 4


def test_pages_of_the_list_keep_filters_and_order():
    model = make_model()
    for _each in range(51):
        make_deployment(model_version=make_version(model=model), status="failed")
    page = html(sign_in("viewer"), "/deployments/?status=failed&ordering=created_at")
    assert "?status=failed&amp;ordering=created_at&amp;page=2" in page
    second = html(sign_in("viewer"), "/deployments/?status=failed&ordering=created_at&page=2")
    assert second.count('<tr id="deployment-') == 1


@pytest.mark.parametrize("path", ["/", "/deployments/"])
def test_more_rows_take_no_more_queries(path):
    client = sign_in("operator")

    def queries() -> int:
        for _each in range(3):
            make_serving()
            make_deployment(status="failed", terminated_at=timezone.now())
            make_version().checklist.create(name="Reviewed", status="approved")
        client.get(path)
        with CaptureQueriesContext(connection) as seen:
            assert client.get(path).status_code == 200
        return len(seen)

    first = queries()
    assert queries() == first
    assert first <= 20


@pytest.mark.parametrize("tab", TABS)
def test_a_longer_story_takes_no_more_queries(tab):
    client = sign_in("operator")
    _before, deployment = make_second_version()
    path = f"/deployments/{deployment.pk}/?tab={tab}"

    def queries() -> int:
        for _each in range(5):
            deployment.log("a line")
            deployment.events.create(
                before="deploying", after="active", actor=make_user("operator"), at=timezone.now()
            )
        with CaptureQueriesContext(connection) as seen:
            html(client, path)
        return len(seen)

    assert queries() == queries() <= 20
