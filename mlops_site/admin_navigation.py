"""What the admin's frame holds: its navigation by job, and the files that carry our colours and theme to it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from core.translation import gettext as _

# By job: a heading, and under it models with their icons (Material Symbols).
JOBS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "train",
        (
            ("lifecycle.experiment", "science"),
            ("lifecycle.run", "model_training"),
            ("lifecycle.loggedmodel", "inventory_2"),
            ("lifecycle.datasetinput", "dataset"),
            ("lifecycle.artifact", "folder_open"),
            ("lifecycle.runparameter", "tune"),
            ("lifecycle.runmetric", "speed"),
            ("lifecycle.metricpoint", "timeline"),
            ("lifecycle.runtag", "sell"),
            ("lifecycle.runlogline", "notes"),
        ),
    ),
    (
        "review",
        (
            ("lifecycle.registeredmodel", "deployed_code"),
            ("lifecycle.modelversion", "layers"),
            ("lifecycle.checklistitem", "checklist"),
            ("lifecycle.modelalias", "alternate_email"),
            ("lifecycle.codeallowance", "terminal"),
        ),
    ),
    (
        "prompts",
        (
            ("prompts.prompt", "chat"),
            ("prompts.promptversion", "history_edu"),
            ("prompts.promptalias", "alternate_email"),
        ),
    ),
    (
        "serve",
        (
            ("lifecycle.deployment", "rocket_launch"),
            ("lifecycle.deploymentevent", "history"),
            ("lifecycle.deploymentlogline", "notes"),
            ("serving.endpoint", "api"),
            ("serving.target", "target"),
            ("serving.replica", "dns"),
        ),
    ),
    (
        "watch",
        (
            ("core.alert", "notifications"),
            ("lifecycle.driftevent", "trending_down"),
            ("serving.requestlog", "receipt_long"),
            ("serving.requestsums", "bar_chart"),
            ("core.heartbeat", "favorite"),
        ),
    ),
    (
        "access",
        (
            ("core.auditevent", "policy"),
            ("core.auditchain", "link"),
            ("core.user", "group"),
            ("core.accesstoken", "key"),
            ("core.signinlink", "login"),
            ("core.idempotentrequest", "replay"),
            ("core.registryname", "badge"),
        ),
    ),
)


def _heading(job: str) -> str:
    return {
        "train": _("Training"),
        "review": _("Registry and review"),
        "prompts": _("Prompts"),
        "serve": _("Serving"),
        "watch": _("Watching"),
        "access": _("Access and audit"),
    }[job]


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The navigation of the admin: only what somebody may open."""
    admins = {model._meta.label_lower: owner for model, owner in admin.site._registry.items()}
    groups = [
        {
            "title": _heading(job),
            "separator": True,
            "items": [
                _entry(admins[label], icon)
                for label, icon in models
                if admins[label].has_view_permission(request)
            ],
        }
        for job, models in JOBS
    ]
    return [{"items": [_home(), _platform()]}, *(group for group in groups if group["items"])]


def _home() -> dict[str, Any]:
    return {"title": _("Overview of the admin"), "icon": "home", "link": reverse("admin:index")}


def _platform() -> dict[str, Any]:
    link = reverse("overview")  # every path begins with it, so that Unfold would call it the page one is on
    return {"title": _("Back to the platform"), "icon": "arrow_back", "link": link, "active": False}


def _entry(owner: admin.ModelAdmin, icon: str) -> dict[str, str]:
    options = owner.model._meta
    name = str(options.verbose_name_plural)
    return {
        "title": name[:1].upper() + name[1:],
        "icon": icon,
        "link": reverse(f"admin:{options.app_label}_{options.model_name}_changelist"),
    }


def favicon(request: HttpRequest) -> str:
    return static("img/mark.svg")


def stylesheet(request: HttpRequest) -> str:
    return static("css/admin.css")


def script(request: HttpRequest) -> str:
    return static("js/admin.js")
