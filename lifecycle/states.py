"""The words of the lifecycle and the moves between them. Pure: no models."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class ExperimentStatus(models.TextChoices):
    ACTIVE = "active", _("Active")
    ARCHIVED = "archived", _("Archived")


class RunStatus(models.TextChoices):
    SCHEDULED = "scheduled", _("Scheduled")
    RUNNING = "running", _("Running")
    COMPLETED = "completed", _("Completed")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


FINISHED_RUNS = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})

# A finished run may be resumed; what it then becomes is told when it finishes again. One that was preempted waits
# for its turn once more.
RUN_MOVES: dict[str, frozenset[str]] = {
    RunStatus.SCHEDULED: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.RUNNING: FINISHED_RUNS | {RunStatus.SCHEDULED},
    RunStatus.COMPLETED: frozenset({RunStatus.RUNNING}),
    RunStatus.FAILED: frozenset({RunStatus.RUNNING}),
    RunStatus.CANCELLED: frozenset({RunStatus.RUNNING}),
}


class LoggedModelStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Failed")


class ModelRole(models.TextChoices):
    INPUT = "input", _("Input")
    OUTPUT = "output", _("Output")


class Stage(models.TextChoices):
    EXPERIMENTAL = "experimental", _("Experimental")
    STAGING = "staging", _("Staging")
    PRODUCTION = "production", _("Production")
    ARCHIVED = "archived", _("Archived")


class VersionStatus(models.TextChoices):
    DRAFT = "draft", _("Draft")
    REGISTERED = "registered", _("Registered")
    DEPLOYED = "deployed", _("Deployed")
    ARCHIVED = "archived", _("Archived")


class ChecklistStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    APPROVED = "approved", _("Approved")
    REJECTED = "rejected", _("Rejected")


class Environment(models.TextChoices):
    DEVELOPMENT = "development", _("Development")
    STAGING = "staging", _("Staging")
    PRODUCTION = "production", _("Production")


# Which stages a version must be in to go to an environment; development takes every version that is not archived.
STAGES_FOR = {
    Environment.STAGING: frozenset({Stage.STAGING, Stage.PRODUCTION}),
    Environment.PRODUCTION: frozenset({Stage.PRODUCTION}),
}


class DeploymentStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    VALIDATING = "validating", _("Validating")
    DEPLOYING = "deploying", _("Deploying")
    ACTIVE = "active", _("Active")
    FAILED = "failed", _("Failed")
    ROLLBACK = "rollback", _("Rolled back")
    TERMINATED = "terminated", _("Terminated")


IN_PROGRESS = frozenset({DeploymentStatus.PENDING, DeploymentStatus.VALIDATING, DeploymentStatus.DEPLOYING})
STOPPED = frozenset({DeploymentStatus.FAILED, DeploymentStatus.TERMINATED})

DEPLOYMENT_MOVES: dict[str, frozenset[str]] = {
    DeploymentStatus.PENDING: STOPPED | {DeploymentStatus.VALIDATING},
    DeploymentStatus.VALIDATING: STOPPED | {DeploymentStatus.DEPLOYING},
    DeploymentStatus.DEPLOYING: STOPPED | {DeploymentStatus.ACTIVE},
    DeploymentStatus.ACTIVE: frozenset({DeploymentStatus.ROLLBACK, DeploymentStatus.TERMINATED}),
    DeploymentStatus.FAILED: frozenset(),
    DeploymentStatus.ROLLBACK: frozenset(),
    DeploymentStatus.TERMINATED: frozenset(),
}


class Health(models.TextChoices):
    HEALTHY = "healthy", _("Healthy")
    DEGRADED = "degraded", _("Degraded")
    UNHEALTHY = "unhealthy", _("Unhealthy")
    UNKNOWN = "unknown", _("Unknown")
