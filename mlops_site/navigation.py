"""The navigation every page shows: only what exists, with what waits for whoever looks."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from core.models import User
from core.translation import gettext as _
from lifecycle.models import ModelVersion
from lifecycle.permissions import waiting_for_approval


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `navigation`, a list of {label, url, icon, active, badge}, and `release`.

    Which release runs is for people who are signed in: to others it would tell which faults to try.
    """
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    name = request.resolver_match.url_name if request.resolver_match else ""
    return {
        "release": settings.RELEASE,
        "navigation": [
            {
                "label": _("Overview"),
                "url": reverse("overview"),
                "icon": "layout-dashboard",
                "active": name == "overview",
                "badge": _waiting_for(request.user),
            },
            {
                "label": _("Deployments"),
                "url": reverse("deployment-list"),
                "icon": "rocket",
                "active": (name or "").startswith("deployment"),
            },
            {"label": _("Administration"), "url": reverse("admin:index"), "icon": "settings"},
        ],
    }


def _waiting_for(user: User) -> Callable[[], int]:
    """How many model versions wait for `user`; counted once, by templates that show it, which fragments do not."""
    return cache(lambda: waiting_for_approval(ModelVersion.objects.visible_to(user), user).count())
