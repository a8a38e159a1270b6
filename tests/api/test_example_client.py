"""The client that docs/examples has does the main job on a real platform."""

import os
import subprocess
import sys

import pytest

from tests.stack import ROOT

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "docs" / "examples" / "main_job.py"


def run(seeded, **changes):
    roles = ("scientist", "approver", "operator", "viewer")
    tokens = {f"MLOPS_{role.upper()}_TOKEN": seeded.tokens[role] for role in roles}
    environment = {**os.environ, "MLOPS_URL": seeded.stack.url, **tokens, **changes}
    return subprocess.run(
        [sys.executable, str(EXAMPLE)], env=environment, capture_output=True, text=True, timeout=240
    )


def test_the_example_does_the_main_job(seeded):
    done = run(seeded)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "answered 403: To approve, reject and move stages you need one of these roles" in said
    served = [line.split()[1] for line in said.splitlines() if " predicts " in line]
    assert (served[0], served[-2], served[-1]) == ("1", "2", "1")
    for action in ("model_version.approve", "deployment.active", "deployment.roll_back"):
        assert action in said


def test_the_example_says_what_the_server_said(seeded):
    done = run(seeded, MLOPS_SCIENTIST_TOKEN="nobody's")
    assert done.returncode == 1
    assert "This token is unknown, revoked or expired." in done.stderr
