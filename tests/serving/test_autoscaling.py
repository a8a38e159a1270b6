"""When the autoscaler adds and removes replicas."""

from serving.autoscaling import BUSY_SECONDS, IDLE_SECONDS, Autoscaler

BOUNDS = {"minimum": 1, "maximum": 3}


def test_full_queues_for_long_enough_add_one_replica():
    scaler = Autoscaler()
    assert scaler.wanted(now=1, current=1, ready=1, waiting=50, **BOUNDS) == 1
    assert scaler.wanted(now=1 + BUSY_SECONDS, current=1, ready=1, waiting=50, **BOUNDS) == 2


def test_the_next_replica_waits_for_as_long_again():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=1, ready=1, waiting=50, **BOUNDS)
    scaler.wanted(now=1 + BUSY_SECONDS, current=1, ready=1, waiting=50, **BOUNDS)
    assert scaler.wanted(now=1.2 + BUSY_SECONDS, current=2, ready=2, waiting=50, **BOUNDS) == 2


def test_a_replica_that_takes_long_to_load_is_waited_for_before_another_is_added():
    scaler = Autoscaler()
    loading = [scaler.wanted(now=1 + s, current=2, ready=1, waiting=50, **BOUNDS) for s in range(30)]
    assert set(loading) == {2}
    scaler.wanted(now=31, current=2, ready=2, waiting=50, **BOUNDS)
    assert scaler.wanted(now=31 + BUSY_SECONDS, current=2, ready=2, waiting=50, **BOUNDS) == 3


def test_replicas_that_are_not_ready_are_not_taken_for_idle():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=3, ready=0, waiting=0, **BOUNDS)
    assert scaler.wanted(now=2 + IDLE_SECONDS, current=3, ready=0, waiting=0, **BOUNDS) == 3


def test_a_short_burst_adds_nothing():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=1, ready=1, waiting=50, **BOUNDS)
    scaler.wanted(now=2, current=1, ready=1, waiting=1, **BOUNDS)
    assert scaler.wanted(now=1 + BUSY_SECONDS, current=1, ready=1, waiting=50, **BOUNDS) == 1


def test_a_request_that_waited_for_another_now_and_then_does_not_keep_a_replica():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=2, ready=2, waiting=0.05, **BOUNDS)
    assert scaler.wanted(now=1 + IDLE_SECONDS, current=2, ready=2, waiting=0.02, **BOUNDS) == 1


def test_never_above_the_maximum():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=3, ready=3, waiting=500, **BOUNDS)
    assert scaler.wanted(now=1 + BUSY_SECONDS, current=3, ready=3, waiting=500, **BOUNDS) == 3


def test_empty_queues_for_long_enough_remove_one_replica_but_never_the_last():
    scaler = Autoscaler()
    scaler.wanted(now=1, current=2, ready=2, waiting=0, **BOUNDS)
    assert scaler.wanted(now=1 + IDLE_SECONDS, current=2, ready=2, waiting=0, **BOUNDS) == 1
    assert scaler.wanted(now=1 + 2 * IDLE_SECONDS, current=1, ready=1, waiting=0, **BOUNDS) == 1


def test_a_count_outside_new_bounds_is_brought_inside():
    assert Autoscaler().wanted(now=1, current=9, ready=9, waiting=1, **BOUNDS) == 3
