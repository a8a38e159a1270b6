"""One of everything, for tests that ask every endpoint: each example path of the schema leads to something."""

from typing import Any

from core.models.alerts import Severity
from core.operations.alerts import raise_alert
from core.roles import Domain
from lifecycle.operations import aliases, code_allowances, drift, experiments, logs, metrics
from lifecycle.operations.checklist import append_item
from tests.factories import make_deployment, make_model_run, make_registered, make_user

NAME = "diabetes"


def make_seeds() -> dict[str, dict[str, Any]]:
    """Path parameters that lead to something, by the tag of the operations they are for."""
    scientist, admin = make_user("scientist", username="mina"), make_user("admin", username="root")
    experiment = experiments.create_experiment(actor=scientist, name=NAME, tags={"team": "risk"})
    run = make_model_run(experiment=experiment, created_by=scientist, name="ridge")
    metrics.log_metrics(
        actor=scientist, run=run, metrics=[{"metric_name": "accuracy", "value": 0.94, "step": 1}]
    )
    logs.append_lines(actor=scientist, run=run, lines=[{"message": "epoch 1: loss 0.62"}])
    version = make_registered(created_by=scientist, run_id=run.run_id, model_name=NAME)
    item = append_item(actor=scientist, version=version, name="Reviewed by risk")
    aliases.set_alias(actor=scientist, model=version.model, alias="champion", version=version)
    deployment = make_deployment(model_version=version, status="terminated")
    event = drift.record_drift(
        actor=scientist,
        version=version,
        severity=Severity.LOW,
        metric_name="psi.bmi",
        metric_value=0.31,
        threshold=0.2,
    )
    alert = raise_alert(key="test", domain=Domain.LIFECYCLE, severity=Severity.HIGH, title="Something is up")
    allowance = code_allowances.allow_code(actor=admin, reason="Reviewed.", uploader=scientist)
    return {
        "Experiments": {"name": NAME},
        "Runs": {"run_id": run.run_id, "path": "model/MLmodel"},
        "Model registry": {"model_name": NAME, "version": "1", "item_id": item.pk, "alias": "champion"},
        "Deployments": {"id": deployment.pk},
        "Drift": {"id": event.pk},
        "Alerts": {"id": alert.pk},
        "Access": {"id": allowance.pk},
        "Predictions": {"model_name": NAME, "environment": "development"},
    }
