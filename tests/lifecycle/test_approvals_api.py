"""Approving and rejecting: four eyes, a complete checklist, and exactly the files that were looked at."""

import threading

import pytest
from django.db import connection

from core.errors import Conflict, NotAllowed
from core.models import Alert, AuditEvent
from lifecycle.models import ModelVersion
from lifecycle.operations.approvals import approve
from tests.factories import (
    make_client,
    make_deployment,
    make_file,
    make_registered,
    make_run,
    make_user,
    make_version,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/ml/lifecycle/models"


def at(version, action):
    return f"{URL}/{version.model.name}/{version.version}/{action}"


def now(version):
    return ModelVersion.objects.with_status().get(pk=version.pk)


@pytest.fixture
def version():
    return make_registered(ticked=True)


# --- Approving ----------------------------------------------------------------------------------------------


def test_an_approval_is_of_the_files_as_they_are(version):
    approver = make_client("approver")
    answer = approver.post(at(version, "approve"), {"approval_notes": "well done"})
    assert answer.status_code == 200, answer.data
    assert answer.data["status"] == "registered"
    assert answer.data["approved_by"] == approver.user.username
    assert answer.data["approved_at"].endswith("Z")
    assert answer.data["approval_notes"] == "well done"
    assert answer.data["approved_sha256"] == answer.data["content_sha256"]
    event = AuditEvent.objects.get(action="model_version.approve")
    assert (event.actor, event.reason) == (approver.user, "well done")


@pytest.mark.parametrize("action", ["approve", "reject"])
@pytest.mark.parametrize("roles", [["viewer"], ["scientist"], ["operator"], ["scientist", "operator"]])
def test_deciding_takes_an_approver(version, action, roles):
    assert (
        make_client(*roles)
        .post(at(version, action), {"reason": "no"} if action == "reject" else {})
        .status_code
        == 403
    )
    assert now(version).status == "draft"


@pytest.mark.parametrize("limits", [{"read_only": True}, {"domain": "features"}])
def test_a_limited_token_decides_nothing(version, limits):
    assert make_client("approver", **limits).post(at(version, "approve")).status_code == 403


@pytest.mark.parametrize(("action", "body"), [("approve", {}), ("reject", {"reason": "no"})])
@pytest.mark.parametrize("role", ["approver", "admin"])
class TestFourEyes:
    """Nobody decides about what they had a hand in, whichever way they sign in."""

    def refused(self, client, version, action, body):
        answer = client.post(at(version, action), body)
        return (answer.status_code, answer.data["code"]) == (403, "four_eyes") and now(
            version
        ).status == "draft"

    def test_who_registered_it(self, action, body, role):
        author = make_user("scientist", role)
        assert self.refused(
            make_client(user=author), make_registered(created_by=author, ticked=True), action, body
        )

    def test_who_ran_what_made_it(self, action, body, role):
        author = make_user("scientist", role)
        version = make_version(run=make_run(created_by=author))
        assert self.refused(make_client(user=author), version, action, body)

    def test_who_uploaded_files_to_the_run(self, action, body, role):
        uploader = make_user("scientist", role)
        version = make_registered(ticked=True)
        make_file(version.run, "model/model.skops", "other weights", actor=uploader)
        assert self.refused(make_client(user=uploader), version, action, body)

    def test_a_service_account_of_the_author(self, action, body, role):
        version = make_registered(ticked=True)
        robot = make_user(role, owner=version.created_by)
        assert self.refused(make_client(user=robot), version, action, body)

    def test_the_person_behind_a_service_account_that_registered_it(self, action, body, role):
        person = make_user(role)
        robot = make_user("scientist", owner=person)
        assert self.refused(
            make_client(user=person), make_registered(created_by=robot, ticked=True), action, body
        )

    def test_another_service_account_of_the_same_person(self, action, body, role):
        person = make_user("viewer")
        author, decider = make_user("scientist", owner=person), make_user(role, owner=person)
        assert self.refused(
            make_client(user=decider), make_registered(created_by=author, ticked=True), action, body
        )


def test_files_that_changed_are_approved_by_who_says_which_they_looked_at(version):
    """An author could change them, tick the list again, and wait for somebody who had looked before."""
    looked_at = version.content_sha256
    make_file(version.run, "model/model.skops", "other weights", actor=version.created_by)
    version.checklist.update(status="approved")
    approver = make_client("approver")

    unsaid = approver.post(at(version, "approve"))
    before = approver.post(at(version, "approve"), {"content_sha256": looked_at})
    now_shown = approver.get(at(version, "")).data["content_sha256"]
    after = approver.post(at(version, "approve"), {"content_sha256": now_shown})

    assert (unsaid.status_code, unsaid.data["code"]) == (409, "content_sha256_required")
    assert (before.status_code, before.data["code"]) == (409, "conflict")
    assert (after.status_code, now(version).approved_sha256) == (200, now_shown)


def test_a_service_account_of_somebody_else_may_decide(version):
    robot = make_user("approver", owner=make_user("viewer"))
    assert make_client(user=robot).post(at(version, "approve")).status_code == 200


def test_the_system_approves_nothing(version):
    with pytest.raises(NotAllowed):
        approve(actor=None, version=version)


def test_an_open_checklist_item_is_named():
    version = make_registered(ticked=True)
    version.checklist.filter(pk=version.checklist.first().pk).update(status="rejected")
    answer = make_client("approver").post(at(version, "approve"))
    assert answer.status_code == 409
    assert answer.data["code"] == "checklist_incomplete"
    assert version.checklist.first().name in answer.data["detail"]


def test_an_empty_checklist_never_counts_as_passed(settings):
    settings.DEFAULT_CHECKLIST = []
    answer = make_client("approver").post(at(make_registered(), "approve"))
    assert (answer.status_code, answer.data["code"]) == (409, "checklist_incomplete")


def test_an_archived_version_is_not_decided_about(version):
    ModelVersion.objects.update(stage="archived")
    approver = make_client("approver")
    assert approver.post(at(version, "approve")).status_code == 409
    assert approver.post(at(version, "reject"), {"reason": "no"}).status_code == 409


def test_a_version_is_approved_once(version):
    make_client("approver").post(at(version, "approve"))
    assert make_client("approver").post(at(version, "approve")).status_code == 409
    assert AuditEvent.objects.filter(action="model_version.approve").count() == 1


def test_an_approval_of_files_that_changed_since_they_were_looked_at_is_refused(version):
    make_file(version.run, "model/model.skops", "swapped")
    version.checklist.update(status="approved")
    approver = make_client("approver")
    assert (
        approver.post(at(version, "approve"), {"content_sha256": version.content_sha256}).status_code == 409
    )
    assert (
        approver.post(at(version, "approve"), {"content_sha256": now(version).content_sha256}).status_code
        == 200
    )


@pytest.mark.parametrize("body", [{"notes": "x"}, {"content_sha256": "abc"}, {"approved_by": "me"}])
def test_an_unknown_or_malformed_field_of_an_approval_is_refused(version, body):
    assert make_client("approver").post(at(version, "approve"), body).status_code == 400
    assert now(version).status == "draft"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_approve_at_once_one_is_told_so():
    version = make_registered(ticked=True)
    approvers = [make_user("approver"), make_user("approver")]
    start, outcomes = threading.Barrier(2), []

    def decide(actor):
        start.wait()
        try:
            approve(actor=actor, version=ModelVersion.objects.get(pk=version.pk))
            outcomes.append("approved")
        except Conflict:
            outcomes.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=[actor]) for actor in approvers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "conflict"]
    assert AuditEvent.objects.filter(action="model_version.approve").count() == 1


# --- Rejecting ----------------------------------------------------------------------------------------------


def test_a_rejection_says_why(version):
    approver = make_client("approver")
    answer = approver.post(at(version, "reject"), {"reason": "leaks the target"})
    assert answer.status_code == 200
    assert answer.data["status"] == "draft"
    assert answer.data["rejected_by"] == approver.user.username
    assert answer.data["approval_notes"] == "leaks the target"
    assert AuditEvent.objects.get(action="model_version.reject").reason == "leaks the target"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "  "}])
def test_a_rejection_without_a_reason_is_refused(version, body):
    answer = make_client("approver").post(at(version, "reject"), body)
    assert answer.status_code == 400
    assert "reason" in answer.data["fields"]


def test_a_rejection_takes_an_approval_back():
    version = make_version(approved=True)
    answer = make_client("approver").post(at(version, "reject"), {"reason": "found a leak"})
    assert (answer.data["approved_by"], answer.data["approved_at"], answer.data["approved_sha256"]) == (
        None,
        None,
        "",
    )
    event = AuditEvent.objects.get(action="model_version.reject")
    assert event.changes["approved_by"] == [version.approved_by.username, None]


def test_a_rejected_version_can_be_approved_later(version):
    approver = make_client("approver")
    approver.post(at(version, "reject"), {"reason": "not yet"})
    answer = approver.post(at(version, "approve"))
    assert answer.data["status"] == "registered"
    assert answer.data["rejected_by"] is None


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("status", ["active", "deploying"])
def test_what_serves_in_a_protected_environment_is_not_rejected(environment, status):
    version = make_version(approved=True, stage="production")
    make_deployment(model_version=version, environment=environment, status=status)
    answer = make_client("approver").post(at(version, "reject"), {"reason": "no"})
    assert answer.status_code == 409
    assert environment in answer.data["detail"]
    assert now(version).approved_at


def test_what_serves_in_development_may_be_rejected():
    version = make_version(approved=True)
    make_deployment(model_version=version, environment="development", status="active")
    assert make_client("approver").post(at(version, "reject"), {"reason": "no"}).status_code == 200


def test_a_rejected_version_waits_for_a_decision_again_once_its_checklist_is_worked_on(version):
    make_client("approver").post(at(version, "reject"), {"reason": "not yet"})
    assert version not in ModelVersion.objects.awaiting_approval()
    item = version.checklist.first()
    author = make_client("scientist")
    author.patch(at(version, f"checklist/{item.pk}"), {"status": "approved", "note": "Measured again."})
    assert version in ModelVersion.objects.awaiting_approval()
    assert (now(version).rejected_by, now(version).approval_notes) == (None, "")
    event = AuditEvent.objects.get(action="model_version.reopen")
    assert event.actor == author.user
    assert event.changes["approval_notes"] == ["not yet", None]


def test_an_approver_who_says_on_the_checklist_what_is_missing_keeps_it_from_waiting(version):
    approver = make_client("approver")
    approver.post(at(version, "reject"), {"reason": "see the list"})
    approver.patch(at(version, f"checklist/{version.checklist.first().pk}"), {"status": "rejected"})
    assert version not in ModelVersion.objects.awaiting_approval()


# --- Voiding ------------------------------------------------------------------------------------------------


def test_a_changed_file_voids_the_approval(version):
    make_client("approver").post(at(version, "approve"), {"approval_notes": "fine"})
    approved = now(version)
    make_file(version.run, "model/model.skops", "swapped")
    voided = now(version)
    assert (voided.status, voided.approved_by, voided.approved_sha256) == ("draft", None, "")
    event = AuditEvent.objects.get(action="model_version.approval_void")
    assert event.actor == version.created_by
    assert event.changes["approved_by"] == [approved.approved_by.username, None]
    assert event.changes["approved_sha256"] == [approved.content_sha256, None]
    assert event.changes["approval_notes"] == ["fine", None]
    alert = Alert.objects.get()
    assert (alert.severity, alert.object_id) == ("high", str(version.pk))


def test_a_file_added_to_the_model_voids_the_approval(version):
    make_client("approver").post(at(version, "approve"))
    make_file(version.run, "model/code/extra.py", "import os")
    assert now(version).status == "draft"


def test_changed_files_are_looked_at_anew_so_the_checklist_is_open_again(version):
    names = [item.name for item in version.checklist.all()]
    make_file(version.run, "model/model.skops", "swapped")
    assert {(item.status, item.completed_by, item.completed_at) for item in version.checklist.all()} == {
        ("pending", None, None)
    }
    event = AuditEvent.objects.get(action="model_version.checklist_reset")
    assert event.changes == {"items": names}
    assert "model/model.skops" in event.reason


def test_changed_files_of_a_version_nobody_looked_at_undo_nothing():
    version = make_registered()
    before = AuditEvent.objects.count()
    make_file(version.run, "model/model.skops", "swapped")
    assert list(AuditEvent.objects.order_by("id").values_list("action", flat=True))[before:] == [
        "artifact.replace",
        "model_version.files_change",
    ]


def test_changed_files_make_a_rejected_version_one_to_decide_about_again(version):
    make_client("approver").post(at(version, "reject"), {"reason": "leaks the target"})
    make_file(version.run, "model/model.skops", "swapped")
    assert now(version).rejected_at is None
    assert AuditEvent.objects.get(action="model_version.reopen").actor == version.created_by


def test_the_same_content_again_leaves_the_approval(version):
    make_client("approver").post(at(version, "approve"))
    make_file(version.run, "model/model.skops", "weights")
    make_file(version.run, "notes.txt", "not part of the model")
    assert now(version).status == "registered"
    assert not Alert.objects.exists()


def test_every_version_made_of_the_file_is_voided(version):
    second = make_registered(
        model_name="other", run_id=version.run.run_id, created_by=version.created_by, ticked=True
    )
    for each in (version, second):
        make_client("approver").post(at(each, "approve"))
    make_file(version.run, "model/model.skops", "swapped")
    assert {now(version).status, now(second).status} == {"draft"}
    assert Alert.objects.count() == 2


def test_approving_again_ends_the_alert(version):
    approver = make_client("approver")
    approver.post(at(version, "approve"))
    make_file(version.run, "model/model.skops", "swapped")
    assert approver.post(at(version, "approve")).status_code == 409
    version.checklist.update(status="approved")
    approver.post(at(version, "approve"), {"content_sha256": now(version).content_sha256})
    assert now(version).status == "registered"
    assert Alert.objects.get().resolved_at


def test_rejecting_what_changed_ends_the_alert(version):
    approver = make_client("approver")
    approver.post(at(version, "approve"))
    make_file(version.run, "model/model.skops", "swapped")
    approver.post(at(version, "reject"), {"reason": "no more of this"})
    assert Alert.objects.get().resolved_at
