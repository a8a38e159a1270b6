from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import filters
from core.admin.base import PlatformAdmin
from core.admin.columns import bytes_, status
from core.roles import Domain
from serving.models import Endpoint, Replica, Target
from serving.states import ReplicaState, TargetState

# The lifecycle's environments; this app takes whatever it is told.
ENVIRONMENT = filters.text("environment", _("Environment"))


@admin.register(Endpoint)
class EndpointAdmin(PlatformAdmin):
    domain = Domain.SERVING
    list_display = facts = ("model_name", "environment")
    search_fields = ("model_name",)
    search_help_text = _("Model")
    ordering = ("model_name", "environment")
    list_filter = (ENVIRONMENT,)
    leads_to = ((_("Targets"), "serving.target", "endpoint", "pk"),)


@admin.register(Target)
class TargetAdmin(PlatformAdmin):
    domain = Domain.SERVING
    related = ("endpoint",)
    list_display = (
        "endpoint",
        "model_version",
        "state",
        "instances",
        "weight",
        "instance_type",
        "updated_at",
    )
    search_fields = ("endpoint__model_name", "=deployment_id")
    search_help_text = _("Model, or number of the deployment")
    ordering = ("-id",)
    list_filter = (
        filters.choices("state", _("State"), TargetState.choices),
        filters.text("environment", _("Environment"), lookup="endpoint__environment"),
        filters.number("deployment", _("Deployment"), lookup="deployment_id"),
        filters.number("endpoint", _("Number of the endpoint"), lookup="endpoint_id"),
    )
    facts = (
        "endpoint",
        "model_version",
        "deployment_id",
        "state",
        "instances",
        "min_instances",
        "max_instances",
        "weight",
        "instance_type",
        "allow_code",
        "generation",
        "model_path",
        "created_at",
        "updated_at",
    )
    leads_to = (
        (_("Replicas"), "serving.replica", "deployment", "deployment_id"),
        (_("Requests"), "serving.requestlog", "deployment", "deployment_id"),
    )


@admin.register(Replica)
class ReplicaAdmin(PlatformAdmin):
    domain = Domain.SERVING
    related = ("target__endpoint",)
    list_display = (
        "name",
        "target",
        status("replica", "state", _("state")),
        bytes_("memory_bytes", _("memory")),
        "requests",
        "errors",
        "restarts",
        "started_at",
    )
    search_fields = ("name", "target__endpoint__model_name")
    search_help_text = _("Name or model")
    list_filter = (
        filters.choices("state", _("State"), ReplicaState.choices),
        filters.number("deployment", _("Deployment"), lookup="target__deployment_id"),
    )
    facts = (
        "name",
        "target",
        status("replica", "state", _("state")),
        "generation",
        "address",
        "pid",
        bytes_("memory_bytes", _("memory")),
        "queue_depth",
        "requests",
        "errors",
        "restarts",
        "message",
        "started_at",
        "ready_at",
        "updated_at",
    )
