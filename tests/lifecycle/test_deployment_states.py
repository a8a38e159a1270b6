"""The deployment's table of moves, its lease and its fence."""

import pytest
from django.utils import timezone

from core.errors import Conflict
from core.models import AuditEvent
from lifecycle.models import Deployment
from lifecycle.models.deployments import DeploymentQuerySet
from lifecycle.states import DEPLOYMENT_MOVES, DeploymentStatus
from tests.factories import make_deployment

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("before", DeploymentStatus.values)
@pytest.mark.parametrize("after", DeploymentStatus.values)
def test_only_the_moves_of_the_table_are_made(before, after):
    deployment = make_deployment(status=before)
    if after in DEPLOYMENT_MOVES[before]:
        deployment.move_to(after)
        assert Deployment.objects.get(pk=deployment.pk).status == after
    else:
        with pytest.raises(Conflict):
            deployment.move_to(after)
        assert Deployment.objects.get(pk=deployment.pk).status == before


def test_a_move_leaves_one_event_and_one_audit_row():
    deployment = make_deployment()
    deployment.move_to(DeploymentStatus.VALIDATING, reason="why")
    event = deployment.events.get()
    assert (event.before, event.after, event.reason) == ("pending", "validating", "why")
    assert AuditEvent.objects.get(object_id=str(deployment.pk)).action == "deployment.validating"


def test_a_lease_is_taken_once():
    deployment = make_deployment()
    first, second = Deployment.objects.get(pk=deployment.pk), Deployment.objects.get(pk=deployment.pk)
    assert first.claim(lease_seconds=10)
    assert not second.claim(lease_seconds=10)


def test_whoever_lost_the_lease_can_change_nothing():
    slow = make_deployment()
    assert slow.claim(lease_seconds=10)
    Deployment.objects.filter(pk=slow.pk).update(lease_expires_at=timezone.now())
    quick = Deployment.objects.get(pk=slow.pk)
    assert quick.claim(lease_seconds=10)
    with pytest.raises(Conflict):
        slow.move_to(DeploymentStatus.VALIDATING)
    assert not slow.renew(lease_seconds=10)
    slow.release()
    assert Deployment.objects.get(pk=slow.pk).lease_expires_at is not None


def test_a_claim_that_pauses_does_not_take_the_next_holders_fence_for_its_own(monkeypatch):
    slow = make_deployment()
    update = DeploymentQuerySet.update

    def paused(claimable, **values):
        monkeypatch.undo()
        taken = update(claimable, **values)
        Deployment.objects.filter(pk=slow.pk).update(lease_expires_at=timezone.now())
        assert Deployment.objects.get(pk=slow.pk).claim(lease_seconds=10)
        return taken

    monkeypatch.setattr(DeploymentQuerySet, "update", paused)
    assert slow.claim(lease_seconds=10)
    assert not slow.renew(lease_seconds=10)
    with pytest.raises(Conflict):
        slow.move_to(DeploymentStatus.VALIDATING)


def test_a_deployment_that_ended_is_not_claimed():
    deployment = make_deployment(status=DeploymentStatus.FAILED)
    assert not deployment.claim(lease_seconds=10)
