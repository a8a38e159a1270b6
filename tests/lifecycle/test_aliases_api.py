"""Aliases: names that point at a version and can be moved."""

import pytest

from core.models import AuditEvent
from tests.factories import make_client, make_model, make_version

pytestmark = pytest.mark.django_db


def at(model, alias="champion"):
    return f"/api/v1/ml/lifecycle/models/{model.name}/aliases/{alias}"


@pytest.fixture
def model():
    model = make_model()
    make_version(model=model, version_label="v1.0")
    make_version(model=model)
    return model


@pytest.fixture
def scientist():
    return make_client("scientist")


def test_an_alias_points_at_a_version(scientist, model):
    assert scientist.put(at(model), {"version": 2}).status_code == 200
    assert scientist.get(at(model)).data == {
        "model_name": model.name,
        "alias": "champion",
        "version": 2,
        "version_label": "",
    }
    assert scientist.get(f"/api/v1/ml/lifecycle/models/{model.name}/2").data["aliases"] == ["champion"]


def test_moving_an_alias_is_audited_with_both_versions(scientist, model):
    scientist.put(at(model), {"version": "2"})
    assert scientist.put(at(model), {"version": "v1.0"}).data["version"] == 1
    assert [
        event.changes["version"]
        for event in AuditEvent.objects.filter(action="model_alias.set").order_by("id")
    ] == [
        [None, 2],
        [2, 1],
    ]


def test_setting_an_alias_where_it_is_changes_nothing(scientist, model):
    for _ in range(2):
        assert scientist.put(at(model), {"version": 1}).status_code == 200
    assert AuditEvent.objects.filter(action="model_alias.set").count() == 1


def test_an_alias_can_follow_another(scientist, model):
    scientist.put(at(model), {"version": 2})
    assert scientist.put(at(model, "challenger"), {"version": "@champion"}).data["version"] == 2


def test_a_removed_alias_is_gone(scientist, model):
    scientist.put(at(model), {"version": 2})
    assert scientist.delete(at(model)).status_code == 204
    assert scientist.get(at(model)).status_code == 404
    assert scientist.delete(at(model)).status_code == 404
    assert AuditEvent.objects.get(action="model_alias.delete").changes["version"] == [2, None]


@pytest.mark.parametrize("alias", ["v1", "V12", "latest", "LATEST", "a b", "a.b", "a:b", "x" * 256, "%00"])
def test_what_reads_as_a_version_or_holds_other_characters_is_no_alias(scientist, model, alias):
    answer = scientist.put(at(model, alias), {"version": 1})
    assert answer.status_code == 400
    assert scientist.get(at(model, alias)).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ({"version": 9}, 404), ({"version": 1, "note": "x"}, 400)]
)
def test_what_an_alias_cannot_point_at(scientist, model, body, status):
    assert scientist.put(at(model), body).status_code == status


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_an_unknown_model_is_not_found(scientist, method):
    answer = getattr(scientist, method)("/api/v1/ml/lifecycle/models/none/aliases/champion", {"version": 1})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("role", "limits", "status"),
    [
        ("viewer", {}, 403),
        ("approver", {}, 403),
        ("operator", {}, 403),
        ("scientist", {"read_only": True}, 403),
        ("scientist", {"domain": "features"}, 403),
        ("scientist", {}, 200),
        ("admin", {}, 200),
    ],
)
def test_authors_set_and_remove_aliases(model, role, limits, status):
    client = make_client(role, **limits)
    assert client.put(at(model), {"version": 1}).status_code == status
    make_client("admin").put(at(model), {"version": 1})
    assert client.delete(at(model)).status_code == (204 if status == 200 else status)


def test_aliases_take_a_sign_in(client, model):
    assert client.get(at(model)).status_code == 401
    assert client.put(at(model), {"version": 1}, content_type="application/json").status_code == 401
    assert client.delete(at(model)).status_code == 401
