"""Every form that a page posts, filled in as somebody who means well would, and the ways to send one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import quote_plus

from django import forms as django_forms
from django.conf import settings
from django.contrib.messages import get_messages
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from core.attempts import failed_attempts
from core.models import User
from core.operations.access import create_sign_in_link
from tests.admin_rows import registered, url
from tests.hostile.doors import World, routes

Pairs = list[tuple[str, str | bytes]]
# Name, path, whether somebody is signed in, what is sent, and the fields that are tried.
Line = tuple[str, str, bool, Pairs, Iterable[str]]
SECRET = "a" * 32
URLENCODED = "application/x-www-form-urlencoded"
BOUNDARY = "boundary"
TOKEN = ("csrfmiddlewaretoken", SECRET)
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
# The admin's forms follow from what is registered there.
NO_PAGES = ("/api/", "/ajax-api/", "/admin")


@dataclass(frozen=True)
class PageForm:
    """What is sent where; nobody is signed in where `session` is empty."""

    name: str
    path: str
    session: str
    fields: Pairs = field(default_factory=list)
    # Those of them whose hostile values are worth a try: what all actions share is tried once.
    tried: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.name

    def with_value(self, name: str, value: str | bytes) -> Pairs:
        return [(key, value if key == name else kept) for key, kept in self.fields]

    def without(self, name: str) -> Pairs:
        return [pair for pair in self.fields if pair[0] != name]


def page_forms(world: World) -> list[PageForm]:
    """All there are."""
    session = world.client.cookies[settings.SESSION_COOKIE_NAME].value
    return [
        PageForm(name, path, session if signed_in else "", fields, [*tried])
        for name, path, signed_in, fields, tried in (*own_forms(world), *_admin_forms(world))
    ]


def own_forms(world: World) -> Iterator[Line]:
    """Those outside the admin."""
    somebody = User.objects.filter(groups__name="scientist").first()
    secret = create_sign_in_link(actor=None, user=somebody)
    for name, path, signed_in, fields in (
        (
            "sign-in",
            reverse("sign-in"),
            False,
            {"username": somebody.username, "password": "wrong", "next": "/deployments/"},
        ),
        ("sign-in-link", reverse("sign-in-link", args=[secret]), False, {}),
        ("sign-out", reverse("sign-out"), True, {"next": "/sign-in"}),
        ("set_language", reverse("set_language"), True, {"language": "ko", "next": "/"}),
        ("deployment-rollback", *_of_deployment(world, "rollback")),
        ("deployment-terminate", *_of_deployment(world, "terminate")),
    ):
        yield name, path, signed_in, list(fields.items()), fields


def _of_deployment(world: World, name: str) -> tuple[str, bool, dict[str, str]]:
    return reverse(f"deployment-{name}", args=[world.deployment.pk]), True, {"reason": "as asked"}


def _admin_forms(world: World) -> Iterator[Line]:
    request = RequestFactory().get("/")
    request.user = world.admin
    yield "admin:verify_audit", reverse("admin:verify_audit"), True, [], ()
    shared = {"action", "select_across", "index", "confirmed", "_selected_action"}
    for label, owner in registered().items():
        row = owner.model._default_manager.order_by("-pk").first()
        for action in owner.row_actions:
            answers = _filled(action.form_class())
            sent = {"select_across": "0", "index": "0", "confirmed": "1", "_selected_action": str(row.pk)}
            pairs = [("action", action.name), *sent.items(), *answers]
            yield f"{label} {action.name}", url(label), True, pairs, {*dict(answers), *shared}
            shared = set()
        if owner.has_add_permission(request):
            pairs = _filled(owner.get_form(request)())
            yield f"{label} add", url(label, "add"), True, pairs, dict(pairs)
        if owner.has_change_permission(request, row):
            pairs = _filled(owner.get_form(request, row, change=True)(instance=row))
            yield f"{label} change", url(label, "change", row.pk), True, pairs, dict(pairs)


def _filled(form: django_forms.BaseForm) -> Pairs:
    return [(name, value) for name, field in form.fields.items() for value in _values(name, field, form)]


def _values(name: str, field: django_forms.Field, form: django_forms.BaseForm) -> list[str]:
    match field:
        case django_forms.MultipleChoiceField():
            return [str(value) for value, _word in field.choices][:1]
        case django_forms.ChoiceField() if not isinstance(field, django_forms.ModelChoiceField):
            return [str(value) for value, _word in field.choices if value][:1]
        case django_forms.JSONField():
            return ['{"team": "risk"}']
        case django_forms.DateField():
            return ["2999-01-01"]
        case django_forms.BooleanField():
            return ["on"]
        case django_forms.ModelChoiceField():
            return [""]
    return ["a-new-name"]


def urlencoded(pairs: Pairs) -> bytes:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in [*pairs, TOKEN]).encode()


def multipart(pairs: Pairs, *, files: Pairs = (), end: bool = True) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode()
        + (value.encode() if isinstance(value, str) else value)
        + b"\r\n"
        for many, extra in (([*pairs, TOKEN], ""), (files, '; filename="a.txt"'))
        for name, value in many
    ]
    return b"".join(parts) + (f"--{BOUNDARY}--\r\n".encode() if end else b"")


def post(form: PageForm, body: bytes, content_type: str = URLENCODED, *, language: str = "en", **extra: Any):
    """Send a form as a browser does, whose CSRF token is in a header so that a spoilt body cannot lose it."""
    failed_attempts.forget()
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if form.session:
        client.cookies[settings.SESSION_COOKIE_NAME] = form.session
    client.cookies["csrftoken"] = SECRET
    headers = {"X-CSRFToken": SECRET, "Accept-Language": language, "Accept": "text/html"}
    stream = {"wsgi.input": BytesIO(body)}
    return client.generic(
        "POST", form.path, body, content_type=content_type, headers=headers, **(stream | extra)
    )


def said(response: Any) -> str:
    """What the page tells: its messages, the errors of its form, that it asks first, or the text of an error page."""
    told = [str(message) for message in get_messages(response.wsgi_request)]
    context = response.context or {}
    if "form" in context and not isinstance(context["form"], str):
        told.append(str(context["form"].errors or ""))
    if "action" in context:
        told.append(str(context["title"]))
    if "errors" in context:
        told.append(str(context["errors"] or ""))
    if response.status_code >= 400:
        told.append(re.search(r"<h1>.*?</p>", response.content.decode(), re.DOTALL).group())
    return " ".join(filter(None, told))


def posted_routes(world: World) -> set[str]:
    """The names of all routes beside the API's and the admin's whose view takes a POST."""
    paths = {str(pattern.name): path.replace("^", "") for path, pattern in routes()}
    return {
        name for name, path in paths.items() if not path.startswith(NO_PAGES) and _takes_post(world, path)
    }


def _takes_post(world: World, path: str) -> bool:
    path = path.replace("<int:pk>", str(world.deployment.pk)).replace("<str:secret>", "x")
    session = world.client.cookies[settings.SESSION_COOKIE_NAME].value
    with transaction.atomic():
        status = post(PageForm("", path, session), urlencoded([])).status_code
        transaction.set_rollback(True)
    return status != 405
