"""Real models for the tests of the pipeline: saved, uploaded, registered, approved, carried forward."""

import time
from pathlib import Path

from lifecycle.models import Deployment, ModelVersion
from lifecycle.operations.approvals import approve
from lifecycle.operations.deployments import deploy
from lifecycle.operations.pipeline import advance
from lifecycle.operations.stages import move_stage
from serving.agent import Agent
from serving.models import Target
from tests.factories import make_file, make_registered, make_run, make_user

LONGEST_SECONDS = 60.0


def make_real_version(folder: Path, *, approved: bool = False, **fields) -> ModelVersion:
    """A registered version with the files of `folder`; `approved` makes it one for production."""
    author = fields.setdefault("created_by", make_user("scientist"))
    run = make_run(created_by=author)
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        make_file(run, f"model/{file.relative_to(folder)}", file.read_bytes())
    version = make_registered(run_id=run.run_id, ticked=True, **fields)
    if approved:
        approver = make_user("approver")
        version = approve(actor=approver, version=version)
        version = move_stage(actor=approver, version=version, stage="production")
    return version


def start(version: ModelVersion, environment: str = "development", **asked) -> Deployment:
    """Ask for a deployment as an operator."""
    return deploy(actor=make_user("operator"), version=version, environment=environment, **asked)


def carry(agent: Agent, deployment: Deployment, *, until: str = "") -> Deployment:
    """Do what worker and agent do, until the deployment is `until`, or on its way no more."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (deployment := Deployment.objects.get(pk=deployment.pk)).is_in_progress:
        if deployment.status == until:
            return deployment
        assert time.monotonic() < deadline, f"{deployment.status} for too long: {said(deployment)}"
        advance(deployment_id=deployment.pk)
        agent.tick()
        time.sleep(0.02)
    return deployment


def settle(agent: Agent, deployment: Deployment) -> Target:
    """Tick until the deployment's target has stopped."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (target := Target.objects.get(deployment_id=deployment.pk)).state != "stopped":
        assert time.monotonic() < deadline, target.state
        agent.tick()
        time.sleep(0.05)
    return target


def said(deployment: Deployment) -> list[str]:
    return list(deployment.log_lines.values_list("message", flat=True))


def moves(deployment: Deployment) -> list[tuple[str, str]]:
    """Every change of state in the timeline, without the row that tells of the request."""
    return list(deployment.events.exclude(before="").values_list("before", "after"))
