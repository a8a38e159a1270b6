"""One row of every noun, telling of one another."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from core.models import AccessToken, Alert, Heartbeat, IdempotentRequest, User
from core.operations import audit
from core.operations.access import create_sign_in_link
from core.operations.alerts import raise_alert
from core.roles import Domain
from core.sentences import sentence
from lifecycle.models import (
    ChecklistItem,
    CodeAllowance,
    DatasetInput,
    Deployment,
    DriftEvent,
    Experiment,
    LoggedModel,
    LoggedModelMetric,
    MetricPoint,
    ModelAlias,
    ModelVersion,
    RegisteredModel,
    Run,
    RunLogLine,
    RunMetric,
    RunModel,
    RunParameter,
    RunTag,
)
from lifecycle.operations.code_allowances import allow_code
from prompts.models import PromptAlias, PromptVersion
from serving.models import Endpoint, Replica, RequestLog, RequestSums, Target
from tests.factories import (
    make_deployment,
    make_experiment,
    make_file,
    make_logged_model,
    make_model,
    make_model_run,
    make_prompt,
    make_prompt_version,
    make_registered,
    make_run,
    make_token,
    make_user,
    make_version,
)


@dataclass
class Everything:
    author: User  # made it all, and asks for nothing in tests
    token: AccessToken
    experiment: Experiment
    archived_experiment: Experiment
    run: Run  # with what runs log, and files of a model
    other_run: Run
    deleted_run: Run
    logged_model: LoggedModel  # which the run wrote
    version: ModelVersion  # the first of its model, which waits for approval
    checked_item: ChecklistItem
    prompt: PromptVersion  # the first of its prompt
    approved: ModelVersion  # the second, which served before the third
    deployment: Deployment  # of the third, in development
    deployment_in_production: Deployment
    drift: DriftEvent
    alert: Alert
    allowance: CodeAllowance


def make_everything(*, name: str = "diabetes", author: str = "mina") -> Everything:
    """At least one row of every model, named as examples of the API are, with values that engines and encodings treat
    differently.
    """
    mina = make_user("scientist", username=author)
    make_token(mina, name="nightly")
    create_sign_in_link(actor=None, user=mina)
    for key, answer in {"none": None, "text": "a kept answer: ㄱ\u2028😀\\\"'"}.items():
        IdempotentRequest.objects.create(user=mina, key=key, path="/", body_sha256="0" * 64, answer=answer)
    experiment = make_experiment(name=name, owner=mina, tags={"team": "risk"})
    run = make_model_run(experiment=experiment, created_by=mina, name="ridge")
    _log(run)
    version = make_registered(created_by=mina, run_id=run.run_id, model_name=name, ticked=True)
    ModelAlias.objects.create(model=version.model, alias="champion", version=version)
    RegisteredModel.objects.filter(pk=version.model_id).update(tags={"team": "risk"})
    make_model(name=f"{name}, empty", created_by=mina)
    approved, third = (_approved_beside(version) for _ in range(2))
    deployment, in_production = (_serve(approved, third, place) for place in ("development", "production"))
    Heartbeat.objects.beat("worker")
    everything = Everything(
        author=mina,
        token=mina.access_tokens.get(),
        experiment=experiment,
        archived_experiment=make_experiment(name=f"{name}, old", owner=mina, status="archived"),
        run=run,
        other_run=make_run(experiment=experiment, created_by=mina),
        deleted_run=make_run(experiment=experiment, created_by=mina, deleted_at=timezone.now()),
        logged_model=_log_model(run),
        version=version,
        checked_item=version.checklist.first(),
        prompt=_write_prompt(name, mina),
        approved=approved,
        deployment=deployment,
        deployment_in_production=in_production,
        drift=version.drift_events.create(
            severity="low",
            metric_name="psi",
            metric_value=1e-300,
            threshold=1,
            detected_at=timezone.now(),
        ),
        alert=raise_alert(
            key=name,
            domain=Domain.LIFECYCLE,
            severity="high",
            title=sentence("Disk %s full") % 90,
            message="soon",
        ),
        allowance=allow_code(actor=make_user("admin"), reason="Reviewed.", uploader=mina),
    )
    audit.seal()
    return everything


def _write_prompt(name: str, author: User) -> PromptVersion:
    prompt = make_prompt(name=f"{name} prompt", actor=author, tags={"ㄱ": "multi\nline"})
    version = make_prompt_version(
        prompt=prompt, actor=author, content="Greet {{ name }}: 안녕하세요 \u2028😀"
    )
    PromptAlias.objects.create(prompt=prompt, alias="champion", version=version)
    return version


def put_behind_an_endpoint(deployment: Deployment, **fields: Any) -> None:
    endpoint, _ = Endpoint.objects.get_or_create(
        model_name=deployment.model.name, environment=deployment.environment
    )
    target = Target.objects.create(
        endpoint=endpoint,
        deployment_id=deployment.pk,
        model_version=1,
        model_path=f"/somewhere/else/models/{deployment.content_sha256}",
        instance_type="small",
        **{"state": "serving", "weight": 100, **fields},
    )
    Replica.objects.create(target=target, name=f"replica-{target.pk}", state="ready")


def _log(run: Run) -> None:
    now = timezone.now()
    make_file(run, "notes.txt")
    RunParameter.objects.create(run=run, name="depth", value="3")
    RunTag.objects.create(run=run, name="ㄱ", value="multi\nline")
    DatasetInput.objects.create(
        run=run, name="와인", digest="a1", source="s3://bucket/wine", tags={"mlflow.data.context": "training"}
    )
    for measurement in (RunMetric, MetricPoint):
        measurement.objects.create(run=run, name="loss", value=0.1 + 0.2, step=2**62, timestamp=2**62)
    RunLogLine.objects.create(run=run, at=now, message="epoch 1: loss 0.62")


def _log_model(run: Run) -> LoggedModel:
    model = make_logged_model(
        experiment=run.experiment,
        source_run=run,
        name="ridge 모델",
        parameters={"depth": "3"},
        tags={"ㄱ": "multi\nline"},
    )
    RunModel.objects.create(run=run, logged_model=model, role="output", step=2**62)
    LoggedModelMetric.objects.create(
        run=run, logged_model=model, name="loss", value=0.1 + 0.2, dataset="와인", timestamp=2**62
    )
    return model


def _approved_beside(version: ModelVersion) -> ModelVersion:
    """Another version of the same model, of the same files."""
    return make_version(
        approved=True,
        stage="production",
        model=version.model,
        run=version.run,
        content_sha256=version.content_sha256,
        tags={"team": "risk"},
        created_by=version.created_by,
    )


def _serve(before: ModelVersion, version: ModelVersion, environment: str) -> Deployment:
    """A deployment that serves and can be rolled back."""
    now = timezone.now()
    ended = make_deployment(
        model_version=before,
        environment=environment,
        status="terminated",
        deployed_at=now - timedelta(hours=2),
    )
    put_behind_an_endpoint(ended, state="stopped", weight=0)
    deployment = make_deployment(model_version=version, environment=environment, status="active")
    deployment.log(sentence("Waited %s seconds.") % 3)
    deployment.events.create(before="deploying", after="active", at=now, reason=sentence("Ready."))
    requests = {"deployment_id": deployment.pk}
    RequestLog.objects.create(
        request_id="r", at=now, status=200, latency_ms=1.5, input="sampled secret", **requests
    )
    RequestSums.objects.create(span="hour", start=now, last_at=now, histogram={"1": 2}, **requests)
    return deployment
