"""The prediction endpoint: where a request goes."""

import time

import pytest

from serving.models import Replica, RequestSums, Target
from tests.serving.invocations import call, logged, make_caller, make_target

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_process")]


def test_where_nothing_is_deployed_is_not_found():
    make_target(environment="staging")
    make_target(model_name="ended", state="stopped", weight=0)
    client = make_caller()

    for place in [("churn", "production"), ("nobody", "staging"), ("ended", "production")]:
        response = call(client, place=place)
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert logged() == []


def test_while_the_first_deployment_comes_up_callers_are_told_to_try_again():
    make_target(state="starting", weight=0)
    response = call(make_caller())
    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (
        503,
        "unavailable",
        "1",
    )
    assert response.json()["fields"] == {}


def test_a_first_deployment_answers_from_the_moment_it_is_active(start_process):
    target = make_target(start_process().address, state="starting", weight=0)
    client = make_caller()
    assert call(client).status_code == 503

    Target.objects.filter(pk=target.pk).update(state="serving", weight=100)

    assert call(client).status_code == 200


def test_a_model_nobody_served_a_moment_ago_answers_as_soon_as_it_is_active(start_process):
    client = make_caller()
    assert call(client).status_code == 404

    make_target(start_process().address)

    assert call(client).status_code == 200


def test_without_a_ready_replica_the_request_is_an_error_of_the_deployment():
    target = make_target()
    Replica.objects.create(target=target, name="r", state="backoff", address="unix:///nowhere")

    response = call(make_caller())

    assert (response.status_code, response.json()["code"], response["Retry-After"]) == (
        503,
        "unavailable",
        "1",
    )
    (log,) = logged()
    assert (log.status, log.deployment_id) == (503, target.deployment_id)
    assert RequestSums.objects.get(span="minute").errors == 1


def test_a_dead_replica_is_an_error_too():
    make_target("unix:///nowhere/s")
    assert call(make_caller()).status_code == 503
    assert [log.status for log in logged()] == [503]


def test_with_one_replica_dead_the_other_answers(start_process):
    # Not the address of another test: the gateway passes over a dead replica for a second.
    make_target("unix:///nowhere/other", start_process().address)
    client = make_caller()
    assert [call(client).status_code for _ in range(4)] == [200] * 4
    assert any(log.retried for log in logged())


def test_a_replica_that_came_back_elsewhere_is_found_at_once(start_process):
    target = make_target("unix:///nowhere/s")
    client = make_caller()
    assert call(client).status_code == 503

    target.replicas.update(address=start_process().address)

    assert call(client).status_code == 200


def test_traffic_follows_the_weights_within_a_second(start_process):
    old, new = start_process(), start_process()
    first, second = make_target(old.address), make_target(new.address, weight=0, model_version=4)
    client = make_caller()
    assert {call(client)["X-Model-Version"] for _ in range(5)} == {"3"}

    Target.objects.filter(pk=first.pk).update(weight=0, state="draining")
    Target.objects.filter(pk=second.pk).update(weight=100)
    time.sleep(1.0)

    assert {call(client)["X-Model-Version"] for _ in range(5)} == {"4"}


def test_two_targets_share_by_weight(start_process):
    first, second = start_process(), start_process()
    make_target(first.address, weight=75)
    make_target(second.address, weight=25)
    client = make_caller()

    for _ in range(200):
        call(client)

    # Five standard deviations of a fair draw of 200 with p = 0.75 are 30.
    assert len(first.received) == pytest.approx(150, abs=31)
    assert len(first.received) + len(second.received) == 200


def test_a_target_without_a_replica_gives_its_share_to_the_other(start_process):
    make_target(start_process().address, weight=1)
    make_target(weight=99, model_version=4)
    client = make_caller()
    assert {call(client)["X-Model-Version"] for _ in range(10)} == {"3"}
