"""The navigation every page shows: only what exists, with what waits for whoever looks."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `navigation`, a list of {label, url, icon, active}."""
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return {}
    name = request.resolver_match.url_name if request.resolver_match else ""
    return {
        "navigation": [
            {
                "label": _("Overview"),
                "url": reverse("overview"),
                "icon": "layout-dashboard",
                "active": name == "overview",
            },
            {
                "label": _("Deployments"),
                "url": reverse("deployment-list"),
                "icon": "rocket",
                "active": (name or "").startswith("deployment"),
            },
        ]
    }
