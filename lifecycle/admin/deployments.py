"""Deployments, their timeline and log."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import chip, moment, person, plain, shortened, status, structured
from core.admin.forms import ReasonForm
from core.roles import Domain, Right, may
from lifecycle.admin.registry import BY_MODEL_ROW
from lifecycle.models import Deployment, DeploymentEvent, DeploymentLogLine
from lifecycle.operations import deployments
from lifecycle.states import DeploymentStatus, Environment, Health

DEPLOYERS = [Right.DEPLOY_DEVELOPMENT, Right.DEPLOY_PROTECTED]
AT = moment("at", _("time (UTC)"))
BY_DEPLOYMENT = filters.number("deployment", _("Deployment"), lookup="deployment_id")
DEPLOYMENT_NAME = ("deployment__model", "deployment__model_version")


@admin.register(Deployment)
class DeploymentAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    right_to_edit = Right.DEPLOY_DEVELOPMENT
    related = (
        "model",
        "model_version__model",
        "created_by",
        "rollback_from__model",
        "rollback_from__model_version",
        "restores__model",
        "restores__model_version",
    )
    list_display = (
        "title",
        status("environment", "environment", _("environment"), sortable=False),
        status("deployment", "status", _("status"), sortable=False),
        status("health", "health_status", _("health"), sortable=False),
        person("created_by", _("created by")),
        "created_at",
        "deployed_at",
        "terminated_at",
    )
    ordering = ("-id",)  # as by age, which has no index of its own
    sortable_by = ()
    search_fields = ("model__name", "=id", "deployment_notes", "error_message__text")
    search_help_text = _("Model, number, notes or error (in English)")
    list_filter = (
        filters.choices("status", _("Status"), DeploymentStatus.choices),
        filters.choices("environment", _("Environment"), Environment.choices),
        filters.choices("health", _("Health"), Health.choices, lookup="health_status"),
        filters.text("model", _("Model"), lookup="model__name"),
        BY_MODEL_ROW,
        filters.number("version", _("Number of the model version's row"), lookup="model_version_id"),
        filters.dates("created_at", _("Created")),
    )
    editable = ("deployment_notes",)
    facts = (
        "model_version",
        status("environment", "environment", _("environment")),
        status("deployment", "status", _("status")),
        status("health", "health_status", _("health")),
        "error_message",
        structured("endpoint_config", _("endpoint configuration")),
        "is_external",
        "external_endpoint",
        structured("external_metrics", _("pushed metrics")),
        plain("content_sha256", _("content hash")),
        "rollback_from",
        "restores",
        person("created_by", _("created by")),
        "request_id",
        "created_at",
        "updated_at",
        "stage_started_at",
        "deployed_at",
        "terminated_at",
        "fence",
        "lease_expires_at",
    )
    leads_to = (
        (_("Timeline"), "lifecycle.deploymentevent", "deployment", "pk"),
        (_("Log"), "lifecycle.deploymentlogline", "deployment", "pk"),
        (_("Target"), "serving.target", "deployment", "pk"),
        (_("Replicas"), "serving.replica", "deployment", "pk"),
        (_("Requests"), "serving.requestlog", "deployment", "pk"),
    )
    row_actions = (
        RowAction("terminate", _("Terminate"), DEPLOYERS, calling(deployments.terminate, "deployment"),
                  ReasonForm, icon="power_settings_new",
                  warning=_("Predictions from it end once it has drained. This cannot be undone: deploy again.")),
        RowAction("roll_back", _("Roll back"), DEPLOYERS, calling(deployments.roll_back, "deployment"),
                  ReasonForm, icon="undo",
                  warning=_("The version that served before is deployed again. This one serves until that is "
                            "ready.")),
    )  # fmt: skip

    @display(description=_("deployment"))
    def title(self, deployment: Deployment) -> str:
        return str(deployment)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if not isinstance(obj, Deployment):
            return super().has_change_permission(request, obj)
        return may(actor_of(request), deployments.right_to_deploy(obj.environment), domain=self.domain)

    def edit(self, request: HttpRequest, row: Model, changes: dict[str, Any]) -> None:
        deployments.update(actor=actor_of(request), deployment=row, **changes)


@admin.register(DeploymentEvent)
class DeploymentEventAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = ("actor", *DEPLOYMENT_NAME)
    list_display = (AT, "deployment", "move", person("actor", _("actor")), shortened("reason", _("reason")))
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("=deployment__id", "deployment__model__name")
    search_help_text = _("Number of the deployment, or model")
    list_filter = (BY_DEPLOYMENT, filters.choices("after", _("After"), DeploymentStatus.choices))
    facts = (AT, "deployment", "move", person("actor", _("actor")), "reason")

    @display(description=_("move"))
    def move(self, event: DeploymentEvent) -> str:
        return chip("deployment", event.after)


@admin.register(DeploymentLogLine)
class DeploymentLogLineAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    related = DEPLOYMENT_NAME
    list_display = (AT, "deployment", "level", shortened("message", _("message")))
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("message__text",)
    search_help_text = _("Message, in English")
    list_filter = (BY_DEPLOYMENT, filters.text("level", _("Level")))
    facts = (AT, "deployment", "level", plain("message", _("message")))
