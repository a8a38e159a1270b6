"""What keeps a version from an environment, and what waits for whose approval."""

import pytest

from lifecycle.models import ModelVersion
from lifecycle.permissions import deployment_blockers, waiting_for_approval
from tests.factories import make_file, make_model_run, make_registered, make_user, make_version

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("approved", "stage", "environment", "blockers"),
    [
        (False, "experimental", "development", 0),
        (True, "archived", "development", 1),
        (True, "archived", "production", 1),
        (False, "experimental", "staging", 2),
        (True, "experimental", "staging", 1),
        (False, "staging", "staging", 1),
        (True, "staging", "staging", 0),
        (True, "production", "staging", 0),
        (True, "staging", "production", 1),
        (False, "production", "production", 1),
        (True, "production", "production", 0),
    ],
)
def test_where_a_version_may_go(approved, stage, environment, blockers):
    version = make_version(approved=approved, stage=stage)
    assert len(deployment_blockers(version, environment)) == blockers


def test_a_stage_that_does_not_lead_there_names_those_that_do():
    (blocker,) = deployment_blockers(make_version(approved=True), "staging")
    assert "staging / production" in blocker


def test_an_environment_the_setting_leaves_out_asks_for_nothing(settings):
    settings.APPROVAL_REQUIRED_STAGES = ["production"]
    version = make_version()
    assert deployment_blockers(version, "staging") == []
    assert len(deployment_blockers(version, "production")) == 2


def test_development_may_be_made_to_ask_for_approval(settings):
    settings.APPROVAL_REQUIRED_STAGES = ["development"]
    assert len(deployment_blockers(make_version(), "development")) == 1
    assert deployment_blockers(make_version(approved=True), "development") == []


def test_files_that_are_not_those_approved_block():
    version = make_version(approved=True, stage="production")
    ModelVersion.objects.update(content_sha256="f" * 64)
    version.refresh_from_db()
    (blocker,) = deployment_blockers(version, "production")
    assert "changed" in blocker


class TestWaitingForApproval:
    """What waits for somebody is ready to be decided about, and theirs to decide."""

    def waiting(self, actor):
        return set(waiting_for_approval(ModelVersion.objects.all(), actor))

    def test_what_is_ready_and_undecided_waits_for_approvers(self):
        ready = make_registered(ticked=True)
        make_registered()
        make_version()
        for decided in (
            {"approved_at": ready.created_at},
            {"rejected_at": ready.created_at},
            {"stage": "archived"},
        ):
            version = make_registered(ticked=True)
            ModelVersion.objects.filter(pk=version.pk).update(**decided)
        assert self.waiting(make_user("approver")) == self.waiting(make_user("admin")) == {ready}
        for role in ("viewer", "scientist", "operator"):
            assert self.waiting(make_user(role)) == set()

    def test_nothing_somebody_had_a_hand_in_waits_for_them(self):
        approver = make_user("approver", "scientist")
        robot = make_user("scientist", owner=approver)
        robot_of_the_robot = make_user("scientist", owner=robot)
        for account in (approver, robot, robot_of_the_robot):
            make_registered(created_by=account, ticked=True)
            make_registered(run_id=make_model_run(created_by=account).run_id, ticked=True)
            make_file(make_registered(ticked=True).run, "plot.png", "x", actor=account)
        assert self.waiting(approver) == set()
        assert len(self.waiting(make_user("approver"))) == 9
