from lifecycle.models.artifacts import Artifact
from lifecycle.models.deployments import Deployment, DeploymentEvent, DeploymentLogLine
from lifecycle.models.drift import DriftEvent
from lifecycle.models.experiments import Experiment
from lifecycle.models.logged_models import LoggedModel, LoggedModelMetric, RunModel
from lifecycle.models.registry import ModelAlias, ModelVersion, RegisteredModel
from lifecycle.models.reviews import ChecklistItem, CodeAllowance
from lifecycle.models.run_inputs import DatasetInput
from lifecycle.models.runs import MetricPoint, Run, RunLogLine, RunMetric, RunParameter, RunTag

__all__ = [
    "Artifact",
    "ChecklistItem",
    "CodeAllowance",
    "DatasetInput",
    "Deployment",
    "DeploymentEvent",
    "DeploymentLogLine",
    "DriftEvent",
    "Experiment",
    "LoggedModel",
    "LoggedModelMetric",
    "MetricPoint",
    "ModelAlias",
    "ModelVersion",
    "RegisteredModel",
    "Run",
    "RunLogLine",
    "RunMetric",
    "RunModel",
    "RunParameter",
    "RunTag",
]
