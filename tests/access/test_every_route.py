"""Every address of the site as everybody: nothing is to be read or changed that the table of rights does not allow."""

import json
import re
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.db import connection, transaction
from django.urls import reverse
from limits import parse

from lifecycle.operations.experiments import default_experiment
from tests.access import rules
from tests.access.callers import by_session, not_signed_in, without_csrf
from tests.access.mlflow_rules import MLFLOW
from tests.access.routes import METHODS, every_route
from tests.access.rules import EVERYBODY, PAGES, Rule
from tests.everything import Everything, make_everything
from tests.factories import make_client, make_user

pytestmark = pytest.mark.django_db
API = [*rules.API, *MLFLOW]
OURS = ("core", "serving", "prompts", "lifecycle")
NOTED_BY_SIGNING_IN = {"last_used_at", "last_login"}


@pytest.fixture(autouse=True)
def nobody_has_to_wait(settings):
    settings.FAILED_TOKENS_PER_ADDRESS = parse("100000/minute")


@pytest.fixture
def world():
    default_experiment()  # which MLflow's clients make by asking for it
    return make_everything()


@cache
def tables() -> list[str]:
    """A query of each of our tables."""
    quote = connection.ops.quote_name
    queries = []
    for model in (model for app in OURS for model in apps.get_app_config(app).get_models()):
        columns = [quote(column.column) for column in model._meta.concrete_fields]
        columns = [column for column in columns if column.strip('"') not in NOTED_BY_SIGNING_IN]
        queries.append(f"SELECT {', '.join(columns)} FROM {quote(model._meta.db_table)} ORDER BY 1")
    return queries


def every_row() -> list[Any]:
    """All there is in the database, to see whether it changed."""
    found = []
    with connection.cursor() as cursor:
        for query in tables():
            cursor.execute(query)
            found.append(cursor.fetchall())
    return found


@contextmanager
def undone():
    """What happens inside did not happen."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def send(client: Any, rule: Rule, world: Everything) -> Any:
    path, body = reverse(rule.route, kwargs=rule.path(world)), rule.body(world)
    if rule.method == "GET":
        return client.get(path, body)
    if rule in PAGES:
        return client.post(path, urlencode(body), content_type="application/x-www-form-urlencoded")
    return client.generic(rule.method, path, json.dumps(body), content_type="application/json")


def answer(client: Any, rule: Rule, world: Everything) -> tuple[int, bool]:
    """The status, and whether anything was different afterwards."""
    with undone():
        before = every_row()
        response = send(client, rule, world)
        return response.status_code, every_row() != before


# --- The walk -----------------------------------------------------------------------------------------------


def test_every_route_has_its_rules():
    ruled = {(rule.route, rule.method) for rule in [*API, *PAGES]}
    known = rules.PUBLIC | set(rules.ELSEWHERE)
    for route in every_route():
        if route.name in known:
            continue
        if route.is_admin:
            assert route.name in rules.ADMIN, f"{route.address}: who may?"
            continue
        if route.methods is None:
            assert any(name == route.name for name, _method in ruled), f"{route.address}: who may?"
        else:
            missing = {method for method in route.methods if (route.name, method) not in ruled}
            assert not missing, f"{route.address}: who may {missing}?"


@pytest.mark.parametrize("rule", API, ids=str)
def test_the_api_lets_in_whom_the_table_names_and_nobody_else(rule, world):
    nobodies = not_signed_in()
    for who, client in nobodies.items():
        assert answer(client, rule, world) == (401, False), who
    for role in sorted(EVERYBODY):
        user = make_user(role)
        clients = {"session": by_session(user)}
        clients["token"] = make_client(user=user)
        for door, client in clients.items():
            status, changed = answer(client, rule, world)
            if role in rule.who and (rule.token or door == "session"):
                assert status in rule.allowed, (role, door, status)
                assert changed == rule.changes, (role, door)
            else:
                assert (status, changed) == (403, False), (role, door)


@pytest.mark.parametrize("rule", API, ids=str)
def test_a_token_of_the_api_is_held_to_its_limits(rule, world):
    status, changed = answer(make_client("admin", read_only=True), rule, world)
    if rule.changes or not rule.token:
        assert (status, changed) == (403, False), "read-only"
    else:
        assert status in rule.allowed

    status, changed = answer(make_client("admin", domain="features"), rule, world)
    assert not changed
    if rule.all_domains:
        assert status == (404 if rule.changes else 200)
    else:
        assert status == 403, "of another domain"


@pytest.mark.parametrize("rule", [rule for rule in [*API, *PAGES] if rule.changes], ids=str)
def test_a_change_by_session_needs_its_csrf_token(rule, world):
    assert answer(without_csrf(make_user("admin")), rule, world) == (403, False)


@pytest.mark.parametrize("rule", PAGES, ids=str)
def test_a_page_lets_in_whom_the_table_names_and_nobody_else(rule, world):
    for who, client in not_signed_in().items():
        with undone():
            before = every_row()
            response = send(client, rule, world)
            assert response.status_code == 302, who
            assert response.url.startswith("/sign-in?next="), who
            assert every_row() == before
    for role in sorted(EVERYBODY):
        client = by_session(make_user(role))
        status, changed = answer(client, rule, world)
        if role in rule.who:
            assert status in rule.allowed, role
            assert changed == rule.changes, role
        else:
            # A refused form leads back to its page, which says why.
            assert (status, changed) == (302, False), role


def test_the_admin_lets_in_nobody_who_is_nobody_here(world):
    row = {"object_id": world.experiment.pk, "content_type_id": 1, "app_label": "core", "url": "nothing/"}
    named = {route.name for route in every_route() if route.is_admin and "." not in route.name}
    paths = {
        reverse(f"admin:{name}", kwargs={key: value for key, value in row.items() if f"<{key}>" in address})
        for name, address in ((route.name, _plain(route.address)) for route in every_route())
        if name in named
    }
    nobodies = not_signed_in()
    before = every_row()
    for who, client in nobodies.items():
        for path in sorted(paths):
            for response in (client.get(path), client.post(path)):
                assert response.status_code == 302, (who, path)
                assert response.url.startswith(("/admin/login/?next=", "/sign-in")) or "logout" in path, (
                    who,
                    path,
                )
    assert every_row() == before


def _plain(address: str) -> str:
    """An address with its parameters written alike, whether it is a path or a pattern."""
    return re.sub(r"<\w+:", "<", address)


@pytest.mark.parametrize(
    "route", [route for route in every_route() if route.is_api and route.methods], ids=lambda it: it.name
)
def test_what_a_route_does_not_do_is_refused(route, world):
    """Other methods change nothing, and tell strangers nothing either."""
    kwargs = next((rule.path(world) for rule in API if rule.route == route.name), {"pk": world.token.pk})
    path = reverse(route.name, kwargs=kwargs)
    admin = by_session(make_user("admin"))
    stranger = not_signed_in()["anonymous"]
    before = every_row()
    for method in set(METHODS) - route.methods:
        assert admin.generic(method, path, "{}", content_type="application/json").status_code == 405, method
        assert stranger.generic(method, path, "{}", content_type="application/json").status_code == 401
    assert stranger.options(path).status_code == 401
    assert every_row() == before


@pytest.mark.parametrize("name", sorted(rules.PUBLIC))
def test_what_anybody_may_ask_tells_nothing(name, world, client):
    path = reverse(name, args=["link_guess"] if name == "sign-in-link" else [])
    before = every_row()
    for method in METHODS:
        text = client.generic(method, path).content.decode()
        assert not {word for word in ("diabetes", "mina", "nightly") if f" {word} " in text}
    assert every_row() == before
