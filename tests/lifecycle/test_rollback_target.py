"""Which version a rollback goes back to."""

from datetime import timedelta

import pytest
from django.utils import timezone

from lifecycle.operations.deployments import rollback_target
from tests.factories import make_deployment, make_model, make_version

pytestmark = pytest.mark.django_db


class Place:
    """One model's history in one environment, told in order."""

    def __init__(self):
        self.model = make_model()
        self.moment = timezone.now() - timedelta(days=1)

    def version(self):
        return make_version(model=self.model)

    def served(self, version, **fields):
        self.moment += timedelta(minutes=1)
        fields.setdefault("status", "terminated")
        return make_deployment(model_version=version, deployed_at=self.moment, **fields)


@pytest.fixture
def place():
    return Place()


def test_the_version_that_served_before(place):
    first, second = place.version(), place.version()
    earlier = place.served(first)
    active = place.served(second, status="active")
    assert rollback_target(active) == earlier


def test_nothing_before_the_first(place):
    assert rollback_target(place.served(place.version(), status="active")) is None


def test_a_second_rollback_goes_further_back(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1, d2 = place.served(v1), place.served(v2)
    d3 = place.served(v3, status="rollback")
    d4 = place.served(v2, status="active", rollback_from=d3, restores=d2)
    assert rollback_target(d4) == d1


def test_never_to_a_version_already_rolled_back_from(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1 = place.served(v1)
    d2 = place.served(v2, status="rollback")
    place.served(v1, rollback_from=d2, restores=d1)
    d4 = place.served(v3, status="active")
    assert rollback_target(d4) == d1


def test_nor_when_it_was_terminated_while_the_rollback_was_on_its_way(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1 = place.served(v1)
    d2 = place.served(v2, status="terminated")
    place.served(v1, rollback_from=d2, restores=d1)
    assert rollback_target(place.served(v3, status="active")) == d1


def test_nor_when_it_was_rolled_back_elsewhere(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1, _again = place.served(v1), place.served(v2)
    place.served(v2, status="rollback", is_external=True)
    assert rollback_target(place.served(v3, status="active")) == d1


def test_a_rollback_that_failed_leaves_its_version_a_way_back(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1, d2 = place.served(v1), place.served(v2)
    make_deployment(model_version=v1, status="failed", rollback_from=d2, restores=d1)
    assert rollback_target(place.served(v3, status="active")) == d2


def test_a_version_that_never_served_is_passed_over(place):
    v1, v2, v3 = place.version(), place.version(), place.version()
    d1 = place.served(v1)
    make_deployment(model_version=v2, status="failed")
    active = place.served(v3, status="active")
    assert rollback_target(active) == d1


def test_the_same_version_deployed_again_is_not_a_way_back(place):
    v1 = place.version()
    place.served(v1)
    assert rollback_target(place.served(v1, status="active")) is None


def test_other_environments_and_models_do_not_count(place):
    v1, v2 = place.version(), place.version()
    place.served(v1, environment="staging")
    Place().served(make_version())
    assert rollback_target(place.served(v2, status="active")) is None
