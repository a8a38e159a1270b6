"""The checklist of a version: append, tick, and leave it alone once the version is approved."""

import pytest

from core.models import AuditEvent
from tests.factories import make_client, make_registered, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/models"


def at(version, item=None):
    path = f"{URL}/{version.model.name}/{version.version}/checklist"
    return f"{path}/{item.pk}" if item else path


@pytest.fixture
def version():
    return make_registered()


def test_an_item_is_ticked_with_a_note_and_by_whom(version):
    operator = make_client("operator")
    answer = operator.patch(
        at(version, version.checklist.first()), {"status": "approved", "note": "compared"}
    )
    assert answer.status_code == 200
    assert answer.data["status"] == "approved"
    assert answer.data["note"] == "compared"
    assert answer.data["completed_by"] == operator.user.username
    assert answer.data["completed_at"].endswith("Z")
    event = AuditEvent.objects.get(action="checklist_item.approved")
    assert (event.object_id, event.reason) == (str(version.pk), "compared")


def test_back_to_pending_clears_who_completed_it(version):
    client, item = make_client("scientist"), version.checklist.first()
    client.patch(at(version, item), {"status": "rejected", "note": "look again"})
    answer = client.patch(at(version, item), {"status": "pending"})
    assert (answer.data["completed_at"], answer.data["completed_by"]) == (None, None)
    assert answer.data["note"] == "look again"


@pytest.mark.parametrize(
    ("role", "status"),
    [("viewer", 403), ("scientist", 200), ("approver", 200), ("operator", 200), ("admin", 200)],
)
def test_who_may_tick(version, role, status):
    assert (
        make_client(role).patch(at(version, version.checklist.first()), {"status": "approved"}).status_code
        == status
    )


@pytest.mark.parametrize(
    ("role", "status"),
    [("viewer", 403), ("scientist", 201), ("approver", 201), ("operator", 403), ("admin", 201)],
)
def test_who_may_append(version, role, status):
    answer = make_client(role).post(at(version), {"name": "Load tested"})
    assert answer.status_code == status
    assert AuditEvent.objects.filter(action="checklist_item.append").count() == (status == 201)


def test_a_read_only_token_ticks_and_appends_nothing(version):
    client = make_client("admin", read_only=True)
    assert client.post(at(version), {"name": "Load tested"}).status_code == 403
    assert client.patch(at(version, version.checklist.first()), {"status": "approved"}).status_code == 403


def test_an_anonymous_caller_ticks_nothing(client, version):
    answer = client.patch(
        at(version, version.checklist.first()), {"status": "approved"}, content_type="application/json"
    )
    assert answer.status_code == 401


def test_an_item_is_on_the_list_once(version):
    answer = make_client("scientist").post(at(version), {"name": version.checklist.first().name})
    assert answer.status_code == 409


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 251}, {"name": "x", "status": "approved"}])
def test_what_cannot_be_appended(version, body):
    assert make_client("scientist").post(at(version), body).status_code == 400


@pytest.mark.parametrize(
    "body", [{}, {"status": "done"}, {"status": "approved", "completed_by": "me"}, {"note": "x"}]
)
def test_what_cannot_be_ticked(version, body):
    answer = make_client("scientist").patch(at(version, version.checklist.first()), body)
    assert answer.status_code == 400


def test_an_item_of_another_version_is_not_found(version):
    other = make_registered()
    answer = make_client("scientist").patch(at(version, other.checklist.first()), {"status": "approved"})
    assert answer.status_code == 404


def test_the_checklist_of_an_approved_version_stands():
    version = make_version(approved=True)
    item = version.checklist.create(name="Checked", status="approved")
    client = make_client("scientist")
    for answer in (
        client.post(at(version), {"name": "More"}),
        client.patch(at(version, item), {"status": "pending"}),
        client.patch(
            f"{URL}/{version.model.name}/1", {"approval_checklist": [{"id": item.pk, "status": "pending"}]}
        ),
    ):
        assert answer.status_code == 409
        assert "approved" in answer.data["detail"]


def test_a_version_is_patched_with_several_ticks(version):
    first, second = version.checklist.all()[:2]
    answer = make_client("operator").patch(
        f"{URL}/{version.model.name}/1",
        {
            "approval_checklist": [
                {"id": first.pk, "status": "approved", "note": "yes"},
                {"id": second.pk, "status": "rejected"},
            ]
        },
    )
    assert answer.status_code == 200, answer.data
    assert [(item["status"], item["note"]) for item in answer.data["approval_checklist"]][:2] == [
        ("approved", "yes"),
        ("rejected", ""),
    ]


def test_ticks_by_patch_are_all_or_nothing(version):
    item = version.checklist.first()
    answer = make_client("operator").patch(
        f"{URL}/{version.model.name}/1",
        {
            "approval_checklist": [
                {"id": item.pk, "status": "approved"},
                {"id": 999_999, "status": "approved"},
            ]
        },
    )
    assert answer.status_code == 404
    item.refresh_from_db()
    assert item.status == "pending"


def test_a_patch_ticks_each_item_once_and_not_without_end(version):
    scientist, item = make_client("scientist"), version.checklist.first()
    tick = {"id": item.pk, "status": "approved"}

    twice = scientist.patch(f"{URL}/{version.model.name}/1", {"approval_checklist": [tick, tick]})
    many = scientist.patch(f"{URL}/{version.model.name}/1", {"approval_checklist": [tick] * 101})

    assert (twice.status_code, set(twice.data["fields"])) == (400, {"approval_checklist"})
    assert many.status_code in (400, 413)
    assert version.checklist.filter(status="pending").count() == version.checklist.count()
