"""`manage.py demo`: the main job through the public API, on a server that runs."""

import re

import pytest

from lifecycle.demo.story import ENVIRONMENT, MODEL
from tests.stack import free_port

pytestmark = pytest.mark.slow


def test_it_runs_on_an_empty_server_and_again_on_the_one_it_left(platform):
    for first_version in (1, 3):
        done = platform.stack.manage("demo", "--url", platform.stack.url, check=False)

        assert done.returncode == 0, done.stdout + done.stderr
        steps, _, table = done.stdout.partition("\n\n")
        assert f"{MODEL} version {first_version}," in steps
        assert "count failed requests during both changes: 0 of" in steps
        assert "pending → validating → deploying → active" in steps
        told = [columns(line)[2].partition(": ")[0] for line in steps.splitlines()]
        head, _rule, *rows, total = map(columns, table.splitlines())
        assert head == ["who", "what", "seconds"]
        assert [what for _who, what, _seconds in rows] == told
        assert float(total[-1]) == pytest.approx(sum(float(seconds) for *_, seconds in rows), abs=0.2)

    (serving,) = platform.admin.get(f"/deployments?model_name={MODEL}&status=active")["results"]
    assert (serving["environment"], serving["model_version"]) == (ENVIRONMENT, 3)
    platform.terminate(serving["id"])


def test_it_fails_when_the_server_is_away(platform):
    done = platform.stack.manage("demo", "--url", f"http://127.0.0.1:{free_port()}", check=False)

    assert done.returncode != 0
    assert "The demo failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_fails_at_the_step_that_does_not_do_what_it_should(platform):
    """Whatever answers there, it is not this platform."""
    done = platform.stack.manage("demo", "--url", f"{platform.stack.url}/elsewhere", check=False)

    assert done.returncode != 0
    assert "answered 404" in done.stderr


def columns(line: str) -> list[str]:
    """What stands in the columns of a printed line."""
    return re.split(r" {2,}", line.strip())
