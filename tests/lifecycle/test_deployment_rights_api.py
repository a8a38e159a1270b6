"""/deployments: who may read and change what."""

import pytest

from lifecycle.models import Deployment
from tests.factories import make_client, make_deployment, make_user, make_version
from tests.lifecycle.deployments import MODELS, URL, at, body, make_external, make_history

pytestmark = pytest.mark.django_db


READS = ["", "/logs", "/events", "/metrics"]
DEVELOPMENT_ROLES = {"scientist", "operator", "admin"}
PROTECTED_ROLES = {"operator", "admin"}
ROLES = ["viewer", "scientist", "approver", "operator", "admin"]
CHANGES = ["deploy", "deploy by version", "notes", "nothing", "terminate", "terminate by patch", "rollback"]


def ask(client, action, environment):
    """Ask for one change in an environment where nothing but rights stands in its way."""
    if action.startswith("deploy"):
        version = make_version(approved=True, stage="production")
        if action == "deploy":
            return client.post(URL, body(version, environment=environment))
        return client.post(
            f"{MODELS}/{version.model.name}/{version.version}/deploy", {"environment": environment}
        )
    _first, active = make_history("terminated", "active", environment=environment)
    if action == "rollback":
        return client.post(at(active, "/rollback"))
    if action == "terminate":
        return client.delete(at(active))
    changes = {"notes": {"deployment_notes": "x"}, "terminate by patch": {"status": "terminated"}}
    return client.patch(at(active), changes.get(action, {}))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", READS)
def test_everybody_signed_in_reads(role, path):
    deployment = make_deployment()
    assert make_client(role).get(at(deployment, path)).status_code == 200
    assert make_client(role).get(URL).status_code == 200


@pytest.mark.parametrize("environment", ["development", "staging", "production"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", CHANGES)
def test_who_may_change_what(action, role, environment):
    allowed = role in (DEVELOPMENT_ROLES if environment == "development" else PROTECTED_ROLES)
    answer = ask(make_client(role), action, environment)
    assert answer.status_code == (201 if action in ("deploy", "deploy by version", "rollback") else 200) or (
        not allowed and answer.status_code == 403 and answer.data["code"] == "not_allowed"
    )
    assert (answer.status_code < 400) == allowed


@pytest.mark.parametrize("role", ROLES)
def test_who_may_push_what_is_served_elsewhere(role):
    deployment = make_external(environment="production", status="active")
    answer = make_client(role).patch(at(deployment), {"health_status": "healthy"})
    assert answer.status_code == (200 if role in PROTECTED_ROLES else 403)


@pytest.mark.parametrize("action", CHANGES)
def test_a_read_only_token_changes_nothing(action):
    assert ask(make_client("admin", read_only=True), action, "development").status_code == 403


@pytest.mark.parametrize("action", CHANGES)
def test_a_token_of_another_domain_changes_nothing(action):
    assert ask(make_client("admin", domain="features"), action, "development").status_code == 403


@pytest.mark.parametrize("path", READS)
def test_a_token_of_another_domain_reads_nothing(path):
    client = make_client("admin", domain="features")
    assert client.get(at(make_deployment(), path)).status_code == 403
    assert client.get(URL).status_code == 403


def test_a_read_only_token_reads():
    assert make_client(read_only=True).get(URL).status_code == 200


def test_a_token_of_this_domain_deploys():
    client = make_client(user=make_user("operator"), domain="lifecycle")
    assert ask(client, "deploy", "production").status_code == 201


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_signing_in(client, path):
    assert client.get(at(make_deployment(), path)).status_code == 401
    assert client.get(URL).status_code == 401


def test_nobody_changes_without_signing_in(client):
    _first, active = make_history("terminated", "active")
    kind = "application/json"
    assert client.post(URL, body(active.model_version), content_type=kind).status_code == 401
    assert client.patch(at(active), {"deployment_notes": "x"}, content_type=kind).status_code == 401
    assert client.delete(at(active)).status_code == 401
    assert client.post(at(active, "/rollback"), {}, content_type=kind).status_code == 401
    page = f"{MODELS}/{active.model.name}/1/deploy"
    assert client.post(page, {"environment": "development"}, content_type=kind).status_code == 401
    assert Deployment.objects.count() == 2
