from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.admin import filters
from core.admin.actions import RowAction, actor_of, calling
from core.admin.base import PlatformAdmin
from core.admin.columns import bytes_, chip, person, plain, status, structured
from core.admin.forms import ReasonForm, RequiredReasonForm
from core.models import User
from core.roles import Domain, Right
from lifecycle.admin.forms import AliasForm, ApproveForm, DeployForm, StageForm, VersionForm
from lifecycle.admin.registry import BY_MODEL_ROW
from lifecycle.models import ModelVersion
from lifecycle.operations import approvals, deployments, registry, stages
from lifecycle.operations.aliases import set_alias
from lifecycle.states import Stage


def deploy(actor: User, version: ModelVersion, *, instance_type: str, **answers: Any) -> None:
    config = {"instance_type": instance_type} if instance_type else {}
    deployments.deploy(actor=actor, version=version, endpoint_config=config, **answers)


def point_alias(actor: User, version: ModelVersion, *, alias: str) -> None:
    set_alias(actor=actor, model=version.model, alias=alias, version=version)


@admin.register(ModelVersion)
class ModelVersionAdmin(PlatformAdmin):
    domain = Domain.LIFECYCLE
    right_to_edit = Right.AUTHOR
    form = VersionForm
    related = ("model", "run", "created_by", "approved_by", "rejected_by")
    list_display = (
        "title",
        "version_label",
        "status_chip",
        status("stage", "stage", _("stage"), sortable=False),
        "framework",
        bytes_("size_bytes", _("size")),
        person("created_by", _("created by")),
        "created_at",
        "deleted_at",
    )
    sortable_by = ("created_at",)
    search_fields = ("model__name", "version_label", "=content_sha256")
    search_help_text = _("Model, label or whole content hash")
    list_filter = (
        filters.choices("stage", _("Stage"), Stage.choices),
        filters.conditions(
            "review",
            _("Review"),
            [
                ("approved", _("Approved"), Q(approved_at__isnull=False)),
                ("rejected", _("Rejected"), Q(rejected_at__isnull=False)),
                ("open", _("Not decided"), Q(approved_at=None, rejected_at=None)),
            ],
        ),
        filters.KEPT,
        filters.text("model", _("Model"), lookup="model__name"),
        BY_MODEL_ROW,
        filters.text("run", _("Run id"), lookup="run__run_id"),
        filters.text("logged_model", _("Logged model's id"), lookup="logged_model__model_id"),
        filters.text("author", _("Created by"), lookup="created_by__username"),
        filters.dates("created_at", _("Created")),
    )
    editable = ("version_label", "description", "tags", "rollback_notes")
    facts = (
        "model",
        "version",
        "status_chip",
        status("stage", "stage", _("stage")),
        "run",
        "artifact_path",
        "logged_model",
        "mlflow_source",
        "run_link",
        "framework",
        bytes_("size_bytes", _("size")),
        structured("metrics", _("metrics")),
        structured("signature", _("signature")),
        plain("content_sha256", _("content hash")),
        "approved_at",
        person("approved_by", _("approved by")),
        plain("approved_sha256", _("approved content hash")),
        "rejected_at",
        person("rejected_by", _("rejected by")),
        "approval_notes",
        person("created_by", _("created by")),
        "created_at",
        "updated_at",
        "deleted_at",
    )
    leads_to = (
        (_("Checklist"), "lifecycle.checklistitem", "version", "pk"),
        (_("Deployments"), "lifecycle.deployment", "version", "pk"),
        (_("Drift events"), "lifecycle.driftevent", "version", "pk"),
    )
    row_actions = (
        RowAction("approve", _("Approve"), [Right.DECIDE], calling(approvals.approve, "version"), ApproveForm,
                  icon="verified", seen="content_sha256"),
        RowAction("reject", _("Reject"), [Right.DECIDE], calling(approvals.reject, "version"),
                  RequiredReasonForm, icon="gpp_bad"),
        RowAction("move_stage", _("Move to a stage"), [Right.DECIDE], calling(stages.move_stage, "version"),
                  StageForm, icon="stairs"),
        RowAction("archive", _("Archive"), [Right.DECIDE], calling(stages.archive, "version"), ReasonForm,
                  icon="archive", warning=_("It goes nowhere until it is moved to another stage.")),
        RowAction("deploy", _("Deploy"), [Right.DEPLOY_DEVELOPMENT, Right.DEPLOY_PROTECTED], deploy, DeployForm,
                  icon="rocket_launch",
                  warning=_("What serves there now is replaced once this one is ready.")),
        RowAction("set_alias", _("Point an alias here"), [Right.AUTHOR], point_alias, AliasForm,
                  icon="alternate_email"),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).with_status()

    @display(description=_("version"))
    def title(self, version: ModelVersion) -> str:
        return str(version)

    @display(description=_("status"))
    def status_chip(self, version: Any) -> str:
        return chip("model_version", version.status)

    def edit(self, request: HttpRequest, row: Model, changes: dict[str, Any]) -> None:
        registry.update_version(actor=actor_of(request), version=row, **changes)
