"""The agent's own rules, with a backend that only notes what it is asked."""

import pytest

from serving.agent import Agent
from serving.models import Endpoint, Target
from tests.factories import numbers

pytestmark = pytest.mark.django_db


class NotingBackend:
    """Serves nothing; refuses the targets named in `broken`, as a backend with a fault would."""

    def __init__(self, *broken: Target):
        self.broken = {str(target.deployment_id) for target in broken}
        self.ensured = []

    def ensure(self, spec, replicas):
        if spec.target in self.broken:
            raise ValueError("This target surprises the backend.")
        self.ensured.append(spec.target)

    def stop(self, target, *, drain_seconds):
        self.ensured.append(f"not {target}")

    def status(self, target):
        return []

    def targets(self):
        return set()


def make_target(**fields):
    endpoint = Endpoint.objects.create(model_name=f"model{next(numbers)}", environment="production")
    fields = {"state": "serving", "instance_type": "small", "model_version": 1, "model_path": "/"} | fields
    return Target.objects.create(endpoint=endpoint, deployment_id=next(numbers), **fields)


def test_what_is_wrong_with_one_target_does_not_keep_the_others_from_being_served():
    broken, healthy = make_target(), make_target()
    backend = NotingBackend(broken)

    Agent(backend).tick()

    assert backend.ensured == [str(healthy.deployment_id)]


def test_a_profile_that_left_the_settings_does_not_stop_the_agent():
    target = make_target(instance_type="gone")
    backend = NotingBackend()

    Agent(backend).tick()

    assert backend.ensured == [str(target.deployment_id)]


def test_the_agent_forgets_a_target_that_has_stopped():
    target = make_target(state="draining")
    agent = Agent(NotingBackend())

    agent.tick()
    assert set(agent.watched) == {target.pk}
    agent.tick()
    assert agent.watched == {}
