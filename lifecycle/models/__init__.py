from lifecycle.models.artifacts import Artifact
from lifecycle.models.deployments import Deployment, DeploymentEvent, DeploymentLogLine
from lifecycle.models.drift import DriftEvent
from lifecycle.models.experiments import Experiment
from lifecycle.models.registry import ChecklistItem, CodeAllowance, ModelAlias, ModelVersion, RegisteredModel
from lifecycle.models.runs import MetricPoint, Run, RunLogLine, RunMetric, RunParameter, RunTag

__all__ = [
    "Artifact",
    "ChecklistItem",
    "CodeAllowance",
    "Deployment",
    "DeploymentEvent",
    "DeploymentLogLine",
    "DriftEvent",
    "Experiment",
    "MetricPoint",
    "ModelAlias",
    "ModelVersion",
    "RegisteredModel",
    "Run",
    "RunLogLine",
    "RunMetric",
    "RunParameter",
    "RunTag",
]
