"""Every list, detail, form and deletion of every model in the admin: who may open which."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db.models import CharField, Value
from django.db.models.functions import Concat
from django.test import Client
from django.urls import reverse

from core.models import AuditEvent
from tests.admin_rows import FOR_ADMINS, ROLES, client_of, labels, registered, url
from tests.everything import make_everything
from tests.factories import make_user

pytestmark = pytest.mark.django_db
ADDED_BY = {
    "core.user": {"admin"},
    "lifecycle.codeallowance": {"admin"},
    "lifecycle.experiment": {"scientist", "admin"},
}


@pytest.fixture(autouse=True)
def world():
    return make_everything()


def first(label):
    return apps.get_model(label).objects.first()


def test_every_model_has_an_admin_and_nothing_else_has():
    assert sorted(registered()) == labels()


def test_groups_are_no_second_way_to_change_roles():
    assert not admin.site.is_registered(Group)
    assert client_of("admin").get("/admin/auth/group/").status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_everybody_signed_in_reads_everything_and_admins_the_accounts_too(role):
    client = client_of(role)
    for label in labels():
        expected = 403 if label in FOR_ADMINS and role != "admin" else 200
        assert client.get(url(label)).status_code == expected, label
        assert client.get(url(label, "change", first(label).pk)).status_code == expected, label


@pytest.mark.parametrize("role", ROLES)
def test_rows_are_added_by_those_whose_role_allows_it(role):
    client = client_of(role)
    for label in labels():
        expected = 200 if role in ADDED_BY.get(label, ()) else 403
        assert client.get(url(label, "add")).status_code == expected, label
        if expected == 403:
            assert client.post(url(label, "add"), {"name": "x"}).status_code == 403, label


@pytest.mark.parametrize("role", ROLES)
def test_nobody_deletes_a_row(role):
    client = client_of(role)
    before = {label: apps.get_model(label).objects.count() for label in labels()}
    for label in labels():
        target = url(label, "delete", first(label).pk)
        assert client.get(target).status_code == 403, label
        assert client.post(target, {"post": "yes"}).status_code == 403, label
        many = {"action": "delete_selected", "_selected_action": [first(label).pk], "post": "yes"}
        assert client.post(url(label), many).status_code == 403, label
    assert {label: apps.get_model(label).objects.count() for label in labels()} == before


def test_a_superuser_may_no_more_than_an_admin():
    client = client_of(user=make_user(is_superuser=True, is_staff=True))
    for label in labels():
        assert client.get(url(label)).status_code == 200
        assert client.get(url(label, "delete", first(label).pk)).status_code == 403
        assert client.post(url(label, "delete", first(label).pk), {"post": "yes"}).status_code == 403


def test_whoever_is_not_signed_in_is_led_to_the_sign_in_page_and_back():
    client = Client()
    paths = [reverse("admin:index"), reverse("admin:verify_audit")]
    for label in labels():
        pk = first(label).pk
        paths += [url(label), url(label, "add"), url(label, "change", pk), url(label, "delete", pk)]
        paths.append(url(label, "history", pk))
    for path in paths:
        for response in (client.get(path), client.post(path)):
            assert response.status_code == 302, path
            assert response.url.startswith("/admin/login/"), path
    asked = client.get("/admin/login/?next=/admin/core/alert/")
    assert asked.url == "/sign-in?next=%2Fadmin%2Fcore%2Falert%2F"
    assert client.post("/admin/login/", {"username": "a", "password": "b"}).url == "/sign-in?next=%2Fadmin%2F"


def test_a_switched_off_account_is_not_let_in():
    client = client_of("admin")
    type(client.user).objects.update(is_active=False)
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("path", ["password_change/", "password_change/done/", "search/?s=x&page=zzz"])
def test_what_would_be_a_second_way_past_the_rules_is_not_there(path):
    assert client_of("admin").get(f"/admin/{path}").status_code == 404


def test_there_is_no_second_trail(world):
    client = client_of("scientist")
    experiment = world.experiment
    client.post(
        url("lifecycle.experiment", "change", experiment.pk),
        {"name": experiment.name, "description": "changed", "tags": "{}", "metadata": "{}"},
    )
    assert AuditEvent.objects.filter(action="experiment.update", via="admin").count() == 1
    assert not LogEntry.objects.exists()


def test_the_history_of_a_row_is_what_the_audit_trail_has_of_it(world):
    client = client_of("viewer")
    version = world.version
    response = client.get(url("lifecycle.modelversion", "history", version.pk), follow=True)
    assert (
        response.redirect_chain[0][0]
        == f"{url('core.auditevent')}?object_type=modelversion&object_id={version.pk}"
    )
    events = response.context["cl"].result_list
    assert {(event.object_type, event.object_id) for event in events} == {("modelversion", str(version.pk))}
    assert client.get(url("core.user", "history", client.user.pk)).status_code == 403


def test_a_row_that_is_not_there_is_not_found():
    client = client_of("admin")
    for label in labels():
        for pk in ("999999", "99999999999999999999999", "x", "%00", "../1"):
            assert client.get(f"/admin/{label.replace('.', '/')}/{pk}/change/").status_code == 404, (
                label,
                pk,
            )


@pytest.mark.parametrize(
    "query",
    [
        "p=zzz",
        "p=99999",
        "o=zzz",
        "o=-99",
        "all=",
        "q=" + "word+" * 400,
        "q=%00",
        "q=%25",
        "_facets=True",
        "e=1",
    ],
)
def test_an_address_made_up_by_hand_breaks_no_list(query):
    client = client_of("admin")
    for label in labels():
        assert client.get(f"{url(label)}?{query}", follow=True).status_code == 200, label


def test_every_filter_takes_any_answer():
    client = client_of("admin")
    for label, owner in registered().items():
        for filter_ in owner.list_filter:
            for parameter, field in filter_.fields.items():
                good = [value for value, _label in getattr(field, "choices", [])] or ["1", "2026-01-01", "x"]
                for value in [*good, "\0", "x" * 2000, "-1", "9" * 30, "9999-12-31"]:
                    answer = client.get(url(label), {parameter: value})
                    assert answer.status_code == 200, (label, parameter, value)


def test_an_answer_that_no_filter_takes_finds_nothing_and_says_why():
    response = client_of("viewer").get(url("lifecycle.run"), {"experiment": "seven"})
    assert response.context["cl"].result_count == 0
    assert "Enter a whole number." in response.content.decode()


def test_hashes_cannot_be_guessed_by_filtering():
    client = client_of("admin")
    for label, lookup in (
        ("core.accesstoken", "digest__startswith"),
        ("core.user", "password__startswith"),
        ("core.signinlink", "digest"),
        ("core.signinlink", "user__password__startswith"),
        ("serving.requestlog", "input__contains"),
    ):
        assert client.get(url(label), {lookup: "a"}).status_code == 400, lookup


def test_secrets_are_on_no_page():
    client = client_of("admin")
    user, token, link = first("core.user"), first("core.accesstoken"), first("core.signinlink")
    hidden = [user.password, token.digest, link.digest, "sampled secret", client.session.session_key]
    hidden += ["a kept answer", first("core.idempotentrequest").body_sha256[:40]]
    for label in labels():
        for path in (url(label), url(label, "change", first(label).pk)):
            page = client.get(path).content.decode()
            assert not [secret for secret in hidden if secret in page], path


def test_names_are_text_and_not_markup(world):
    script = "<script>alert(1)</script>"
    client = client_of("admin")
    type(client.user).objects.filter(pk=client.user.pk).update(username=script)
    for named in ("lifecycle.experiment", "lifecycle.registeredmodel"):
        unique = Concat(Value(script), "pk", output_field=CharField())
        apps.get_model(named).objects.update(name=unique, description=script, tags={script: script})
    apps.get_model("lifecycle.run").objects.update(name=script)
    apps.get_model("lifecycle.modelversion").objects.update(metrics={script: script})
    apps.get_model("lifecycle.runlogline").objects.update(message=script)
    apps.get_model("core.alert").objects.update(title=script, message=script)
    for label in labels():
        for path in (url(label), url(label, "change", first(label).pk)):
            assert script not in client.get(path).content.decode(), path
    asked = client.post(
        url("lifecycle.experiment"),
        {"action": "archive", "index": "0", "_selected_action": world.experiment.pk},
    )
    assert "&lt;script&gt;alert(1)" in asked.content.decode()
    assert script not in asked.content.decode()
