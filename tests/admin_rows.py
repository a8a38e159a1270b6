"""What the tests of the admin share."""

from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from core.models import User
from tests.factories import make_user

APPS = ("core", "serving", "prompts", "lifecycle")
ROLES = ("viewer", "scientist", "approver", "operator", "admin")
FOR_ADMINS = {"core.user", "core.accesstoken", "core.signinlink", "core.idempotentrequest"}


def labels() -> list[str]:
    """Every model of the platform, as "app.model"."""
    return sorted(model._meta.label_lower for app in APPS for model in apps.get_app_config(app).get_models())


def client_of(*roles: str, user: User | None = None) -> Client:
    """A browser signed in; its `user` is who it is."""
    client = Client()
    client.user = user or make_user(*roles)
    client.force_login(client.user)
    return client


def url(label: str, page: str = "changelist", *arguments: Any) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=arguments)


def act(client: Client, label: str, action: str, *rows: Model, path: str = "", **answers: Any) -> Any:
    """Answer an action's page for these rows, as its button does."""
    return client.post(
        path or url(label),
        {
            "action": action,
            "select_across": "0",
            "confirmed": "1",
            "_selected_action": [row.pk for row in rows],
            **answers,
        },
    )


def told(response: Any) -> list[str]:
    """The messages of a response, or of the page it leads to."""
    return [str(message) for message in response.context["messages"]]


def registered() -> dict[str, Any]:
    import_module(settings.ROOT_URLCONF)  # registers them
    return {model._meta.label_lower: owner for model, owner in admin.site._registry.items()}
