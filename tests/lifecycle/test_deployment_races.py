"""People and workers who change one model's deployments at the same moment: one wins, others are told."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from core.models import AuditEvent
from lifecycle.models import Deployment, DeploymentEvent
from lifecycle.operations.pipeline import advance
from lifecycle.states import IN_PROGRESS
from serving.models import Target
from serving.operations.targets import Scale, ensure_target, move_traffic
from tests.factories import make_client, make_deployment, make_model, make_version

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/ml/lifecycle/deployments"
ROUNDS = 50


@pytest.fixture
def at_once():
    """Calls functions at the same moment, each in a thread with a database connection of its own."""
    with ThreadPoolExecutor(max_workers=4) as pool:

        def call(*functions: Callable[[], object]) -> list[object]:
            barrier = threading.Barrier(len(functions))

            def wait_and_call(function):
                try:
                    barrier.wait(timeout=10)
                    return function()
                finally:
                    connection.close()

            calls = [pool.submit(wait_and_call, function) for function in functions]
            return [each.result(timeout=60) for each in calls]

        yield call


@pytest.fixture
def clients():
    return make_client("operator"), make_client("operator")


def make_candidate(**fields):
    return make_version(approved=True, stage="production", **fields)


def make_place():
    """A model whose version 1 served before version 2, which serves now; version 3 waits."""
    model = make_model()
    versions = [make_candidate(model=model) for _ in range(3)]
    now = timezone.now()
    before = make_deployment(
        model_version=versions[0], status="terminated", deployed_at=now - timedelta(hours=2)
    )
    active = make_deployment(model_version=versions[1], status="active", deployed_at=now - timedelta(hours=1))
    make_ready(active)
    move_traffic(deployment_id=active.pk)
    return before, active, versions[2]


def make_ready(deployment):
    """The deployment's replicas, as the agent shows them once they are up."""
    target = ensure_target(
        deployment_id=deployment.pk,
        model_name=deployment.model.name,
        environment=deployment.environment,
        model_version=deployment.model_version.version,
        model_path="/nowhere",
        allow_code=False,
        scale=Scale(instance_type="small", minimum=1, maximum=1, initial=1),
        wake_task="",
    )
    target.replicas.create(name=f"replica-{deployment.pk}", state="ready")


def body(version):
    return {
        "model_name": version.model.name,
        "version": str(version.version),
        "environment": "development",
    }


def status_of(deployment):
    return Deployment.objects.get(pk=deployment.pk).status


def target_of(deployment):
    target = Target.objects.get(deployment_id=deployment.pk)
    return target.state, target.weight


def finish(model):
    """Carry the one deployment of the model that is on its way to its end."""
    (winner,) = Deployment.objects.filter(model=model, status__in=IN_PROGRESS)
    for status in ("validating", "deploying"):
        winner.move_to(status)
    make_ready(winner)
    advance(deployment_id=winner.pk)
    return Deployment.objects.get(pk=winner.pk)


def test_two_people_deploy_the_same_model_at_once(at_once, clients):
    one, other = clients
    for _ in range(ROUNDS):
        version = make_candidate()
        answers = at_once(partial(one.post, URL, body(version)), partial(other.post, URL, body(version)))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        (loser,) = [answer for answer in answers if answer.status_code == 409]
        assert loser.data["code"] == "deployment_in_progress"
        (winner,) = Deployment.objects.filter(model=version.model)
        assert DeploymentEvent.objects.filter(deployment=winner).count() == 1
    assert AuditEvent.objects.filter(action="deployment.create").count() == ROUNDS


def test_one_request_sent_twice_at_once_is_one_deployment(at_once, clients):
    client, _other = clients
    for number in range(20):
        version = make_candidate()

        def send(key=f"key-{number}", version=version):
            return client.post(URL, body(version), headers={"Idempotency-Key": key})

        answers = at_once(send, send)
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].data["id"] == answers[1].data["id"]
        assert Deployment.objects.filter(model=version.model).count() == 1


def test_a_rollback_and_a_deployment_at_the_same_moment(at_once, clients):
    """One of them wins; what serves at the end is either version 3, or version 1 again."""
    one, other = clients
    winners = set()
    for _ in range(ROUNDS):
        _before, active, candidate = make_place()
        deploying, rolling_back = at_once(
            partial(one.post, URL, body(candidate)), partial(other.post, f"{URL}/{active.pk}/rollback")
        )
        assert sorted([deploying.status_code, rolling_back.status_code]) == [201, 409]
        assert status_of(active) == "active"
        end = finish(active.model)
        assert end.status == "active"
        if deploying.status_code == 201:
            assert (end.model_version.version, status_of(active)) == (3, "terminated")
        else:
            assert (end.model_version.version, status_of(active)) == (1, "rollback")
            assert end.rollback_from == active
        assert target_of(end) == ("serving", 100)
        assert target_of(active) == ("draining", 0)
        winners.add(end.model_version.version)
    assert winners <= {1, 3}


def test_a_rollback_while_a_deployment_becomes_active(at_once, clients):
    """The deployment was first: it ends active, and the rollback is refused whichever moment it comes."""
    client, _other = clients
    for _ in range(ROUNDS):
        _before, active, candidate = make_place()
        coming = make_deployment(model_version=candidate, status="deploying")
        make_ready(coming)
        _none, answer = at_once(
            partial(advance, deployment_id=coming.pk), partial(client.post, f"{URL}/{active.pk}/rollback")
        )
        assert answer.status_code == 409
        assert (status_of(coming), status_of(active)) == ("active", "terminated")
        assert not Deployment.objects.filter(model=active.model, status__in=IN_PROGRESS).exists()
        assert (target_of(coming), target_of(active)) == (("serving", 100), ("draining", 0))


def test_two_people_roll_back_at_once(at_once, clients):
    one, other = clients
    for _ in range(20):
        _before, active, _candidate = make_place()
        path = f"{URL}/{active.pk}/rollback"
        answers = at_once(partial(one.post, path), partial(other.post, path))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        assert Deployment.objects.filter(rollback_from=active).count() == 1


def test_a_termination_while_a_deployment_becomes_active(at_once, clients):
    """It ends terminated, on its way or just active; what served before serves on in the first case only."""
    client, _other = clients
    for _ in range(ROUNDS):
        _before, active, candidate = make_place()
        coming = make_deployment(model_version=candidate, status="deploying")
        make_ready(coming)
        _none, answer = at_once(
            partial(advance, deployment_id=coming.pk), partial(client.delete, f"{URL}/{coming.pk}")
        )
        assert answer.status_code in (200, 409)
        if answer.status_code == 409:
            assert status_of(coming) == "active"
            continue
        assert (status_of(coming), target_of(coming)) == ("terminated", ("draining", 0))
        was_active = coming.events.filter(after="active").exists()
        assert status_of(active) == ("terminated" if was_active else "active")
        assert target_of(active) == (("draining", 0) if was_active else ("serving", 100))


def test_four_workers_woken_at_once_activate_once(at_once):
    for _ in range(20):
        _before, active, candidate = make_place()
        coming = make_deployment(model_version=candidate, status="deploying")
        make_ready(coming)
        at_once(*[partial(advance, deployment_id=coming.pk)] * 4)
        assert (status_of(coming), status_of(active)) == ("active", "terminated")
        assert list(coming.events.values_list("before", "after")) == [("deploying", "active")]
