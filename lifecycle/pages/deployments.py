"""The deployment list, and the page of one deployment."""

from functools import reduce
from operator import or_
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from core.pages.views import page, reason_of
from core.status_words import status_word
from core.translation import gettext as _
from lifecycle.models import Deployment
from lifecycle.operations import deployments
from lifecycle.operations.monitoring import metrics_of
from lifecycle.pages.deployment_context import TABS, detail, first_deployment_snippet, log_as_text, summary
from lifecycle.states import IN_PROGRESS, DeploymentStatus, Environment, Health

STOP_POLLING = 286  # htmx: swap this answer in and ask no more
PER_PAGE = 50
# The REST API's words, so that an export of what is shown is the same list in the same order.
ORDERINGS = ("model__name", "environment", "status", "created_at")
SEARCHED = ("model__name", "deployment_notes", "error_message__text")
# The words of the chips, so that a filter and what it finds are called the same.
FILTERS: dict[str, tuple[Any, ...]] = {
    "environment": tuple((value, status_word("environment", value).word) for value in Environment),
    "status": tuple((value, status_word("deployment", value).word) for value in DeploymentStatus),
    "health_status": tuple((value, status_word("health", value).word) for value in Health),
}


@page
@require_safe
def deployment_list(request: HttpRequest) -> HttpResponse:
    chosen = _chosen(request)
    queryset = _ordered(_filtered(_deployments(request), chosen), request.GET.get("ordering", ""))
    shown = Paginator(queryset, PER_PAGE).get_page(request.GET.get("page"))
    figures = metrics_of(shown.object_list)
    shown.object_list = [summary(deployment, figures[deployment.pk]) for deployment in shown.object_list]
    return render(
        request,
        "lifecycle/deployment_list.html",
        {
            "page": shown,
            "fields": [
                {"name": "search", "label": _("Search")},
                {"name": "environment", "label": _("Environment"), "options": FILTERS["environment"]},
                {"name": "status", "label": _("Status"), "options": FILTERS["status"]},
                {"name": "health_status", "label": _("Health"), "options": FILTERS["health_status"]},
            ],
            "ordering": "-created_at",
            "in_progress": any(row["status"] in IN_PROGRESS for row in shown.object_list),
            "filtered": bool(chosen),
            "export_url": reverse("deployment-api-list"),
            "snippet": first_deployment_snippet(),
            "deploy_url": "",
        },
    )


@page
@require_safe
def deployment_detail(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "lifecycle/deployment_detail.html", _context(request, pk))


@page
@require_safe
def deployment_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The page's changing part. Answers "ask no more" once the deployment has settled."""
    context = _context(request, pk)
    status = 200 if context["in_progress"] else STOP_POLLING
    return render(request, "lifecycle/_deployment_live.html", context, status=status)


@page
@require_safe
def deployment_log(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines after `?after=`, and the next asking while more can come."""
    deployment = get_object_or_404(_deployments(request), pk=pk)
    after = request.GET.get("after", "0")
    after = int(after) if after.isascii() and after.isdigit() and len(after) < 18 else 0
    lines = list(deployment.log_lines.filter(id__gt=after))
    last = lines[-1].pk if lines else after
    poll = f"{reverse('deployment-log', args=[pk])}?after={last}" if deployment.is_in_progress else ""
    return render(request, "partials/log_lines.html", {"lines": lines, "poll_url": poll})


@page
@require_safe
def deployment_log_file(request: HttpRequest, pk: int) -> HttpResponse:
    deployment = get_object_or_404(_deployments(request), pk=pk)
    return HttpResponse(
        log_as_text(deployment),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="deployment-{pk}.log"'},
    )


@page
@require_POST
def roll_back(request: HttpRequest, pk: int) -> HttpResponse:
    deployment = get_object_or_404(_deployments(request), pk=pk)
    created = deployments.roll_back(actor=request.user, deployment=deployment, reason=reason_of(request))
    messages.success(request, _("Rolling back to version %d.") % created.model_version.version)
    return redirect("deployment", created.pk)


@page
@require_POST
def terminate(request: HttpRequest, pk: int) -> HttpResponse:
    deployment = get_object_or_404(_deployments(request), pk=pk)
    deployments.terminate(actor=request.user, deployment=deployment, reason=reason_of(request))
    messages.success(request, _("The deployment was terminated."))
    return redirect("deployment", pk)


def _deployments(request: HttpRequest) -> QuerySet[Deployment]:
    return Deployment.objects.visible_to(request.user).with_origin().select_related("restores")


def _chosen(request: HttpRequest) -> dict[str, str]:
    """The filters in use; a value that no option has filters nothing."""
    asked = {name: request.GET.get(name, "") for name in FILTERS}
    chosen = {name: value for name, value in asked.items() if value in dict(FILTERS[name])}
    text = request.GET.get("search", "").replace("\x00", "").strip()
    return chosen | ({"search": text} if text else {})


def _filtered(queryset: QuerySet[Deployment], chosen: dict[str, str]) -> QuerySet[Deployment]:
    if text := chosen.get("search"):
        found = [Q(**{f"{field}__icontains": text}) for field in SEARCHED]
        queryset = queryset.filter(reduce(or_, found))
    return queryset.filter(**{name: value for name, value in chosen.items() if name in FILTERS})


def _ordered(queryset: QuerySet[Deployment], ordering: str) -> QuerySet[Deployment]:
    known = ordering.removeprefix("-") in ORDERINGS
    return queryset.order_by(ordering if known else "-created_at", "-pk")


def _context(request: HttpRequest, pk: int) -> dict[str, Any]:
    deployment = get_object_or_404(_deployments(request), pk=pk)
    tab = request.GET.get("tab", "")
    return detail(
        deployment,
        metrics_of([deployment])[deployment.pk],
        user=request.user,
        tab=tab if tab in TABS else "health" if deployment.status == DeploymentStatus.ACTIVE else "logs",
    )
