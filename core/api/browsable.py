"""The API for people: every endpoint as a page of the site, with its answer, its filters and a form for each change.

The forms go by what the viewset says it takes, never by what is in the database. They are sent by `static/js/api.js`
as JSON, like any other client's requests; so what the API refuses is refused here in the same words. Everybody sees
every form: whether somebody may is for the operation to say, which knows the object and names the role that is missing.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from django import forms
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape, format_html, linebreaks
from django.utils.safestring import SafeString, mark_safe
from rest_framework import renderers, serializers
from rest_framework.utils.breadcrumbs import get_breadcrumbs
from rest_framework.utils.encoders import JSONEncoder

from core.api.serializers import StrictSerializer
from core.translation import gettext as _

if TYPE_CHECKING:  # views are made with this renderer
    from core.api.views import Resource

ADDRESS = re.compile(r"&quot;(https?://(?:(?!&quot;)[^\s<>])+)&quot;")
CODE = re.compile(r"`([^`]+)`")
TEMPLATE = "core/api.html"
DETAIL_METHODS = {"put": "update", "patch": "partial_update", "delete": "destroy"}
LIST_METHODS = {"post": "create"}


@dataclass
class Field:
    """One input of a form: `kind` is text, area, number, select or json."""

    name: str
    kind: str
    required: bool = False
    help: str = ""
    placeholder: str = ""
    value: Any = ""
    choices: list[tuple[str, str]] = field(default_factory=list)
    multiple: bool = False


@dataclass
class Form:
    """A request that can be sent from the page."""

    title: str
    method: str
    url: str
    help: str = ""
    fields: list[Field] = field(default_factory=list)
    raw: str | None = None
    media_types: list[str] = field(default_factory=list)
    takes_file: bool = False


class BrowsableRenderer(renderers.BrowsableAPIRenderer):
    template = TEMPLATE

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> str:
        """The page. Without the site's frame where the database may be what is missing."""
        response, request = renderer_context["response"], renderer_context["request"]
        is_down = response.status_code >= 500
        shell = "plain.html" if is_down or not request.user.is_authenticated else "base.html"
        context = {"shell": shell, **page(data, renderer_context)}
        template = get_template(self.template)
        if response.status_code == 204:
            response.status_code = 200  # a page is a body
        return template.render(context, request=None if is_down else request)


def page(data: Any, renderer_context: dict[str, Any]) -> dict[str, Any]:
    """What the template shows."""
    view, request, response = (renderer_context[part] for part in ("view", "request", "response"))
    answered = response.status_code < 400
    is_list = answered and getattr(view, "action", "") == "list"
    return {
        "name": view.get_view_name(),
        "subject": format_html(
            '<code class="api-subject">{}</code>', " / ".join(map(str, view.kwargs.values()))
        ),
        "description": with_code(view.get_view_description()),
        "trail": get_breadcrumbs(request.path, request)[:-1],
        "request_line": f"{request.method} {request.get_full_path()}",
        "answer": linked(json.dumps(data, indent=2, ensure_ascii=False, cls=JSONEncoder)),
        "status": f"{response.status_code} {response.status_text}",
        "answered": answered,
        "signed_out": response.status_code == 401,
        "filters": filter_fields(view) if is_list else [],
        "paging": paging(view) if is_list else None,
        "exports": is_list and hasattr(view, "export_name"),
        "rows": list(view.entries(data)) if answered and request.method == "GET" else [],
        "links": list(links(view)),
        "forms": [] if response.status_code == 401 else [*own_forms(view), *action_forms(view)],
        "path": request.path,
    }


def linked(text: str) -> SafeString:
    """JSON as HTML, with links where strings are addresses."""
    return mark_safe(ADDRESS.sub(r'&quot;<a href="\1">\1</a>&quot;', escape(text)))  # noqa: S308 (escaped)


def with_code(text: str) -> SafeString:
    """A docstring as HTML, with what is in backticks as code."""
    return mark_safe(linebreaks(CODE.sub(r"<code>\1</code>", escape(text))) if text else "")  # noqa: S308 (escaped)


def paging(view: "Resource") -> dict[str, Any] | None:
    """Which part of the list this is, and where the parts beside it are."""
    page: Any = view.paginator
    if getattr(page, "count", None) is None:
        return None
    last = min(page.offset + page.limit, page.count)
    return {
        "first": min(page.offset + 1, page.count),
        "last": last,
        "count": page.count,
        "previous": page.get_previous_link(),
        "next": page.get_next_link(),
    }


def links(view: "Resource") -> Iterator[tuple[str, str]]:
    """What can be read below this, besides the entries of a list."""
    for name, place in getattr(view, "below", {}).items():
        if view.detail:
            yield str(name), reverse(place, kwargs=view.kwargs)
    for action, url in _actions(view):
        if "get" in action.mapping:
            yield action.kwargs["name"], url


def own_forms(view: "Resource") -> Iterator[Form]:
    """A form for each change that this address itself takes."""
    for method, action in view.action_map.items():
        if method not in ("get", "head", "options"):
            yield _form(view, action, method, view.request.path)
    if view.uploads_to:
        yield Form(
            title=_("Upload a file"),
            method="PUT",
            url=reverse_path(view.uploads_to, view.kwargs),
            fields=[Field("path", "text", required=True, placeholder="model/MLmodel")],
            takes_file=True,
        )


def action_forms(view: "Resource") -> Iterator[Form]:
    """A form for each action on what this page shows."""
    for action, url in _actions(view):
        for method, name in action.mapping.items():
            if method != "get":
                yield _form(view, name, method, url)


def reverse_path(name: str, kwargs: dict[str, Any]) -> str:
    """The address of a file, up to where its path begins."""
    return reverse(name, kwargs={**kwargs, "path": "-"}).removesuffix("-")


def _actions(view: "Resource") -> Iterator[tuple[Any, str]]:
    """The extra actions of this object or this list, and where they are."""
    if view.detail is None or getattr(view, "basename", None) is None:
        return
    action: Any
    for action in view.get_extra_actions():
        kwargs = dict(view.kwargs)
        if view.detail and not action.detail:
            kwargs.pop(view.lookup_url_kwarg or view.lookup_field, None)
        if view.detail or not action.detail:
            try:
                url = reverse(f"{view.basename}-{action.url_name}", kwargs=kwargs)
            except NoReverseMatch:  # it needs to know more, such as which item
                continue
            if url != view.request.path.rstrip("/"):
                yield action, url


def _form(view: "Resource", action: str, method: str, url: str) -> Form:
    documented = cleandoc(getattr(view, action).__doc__ or "").partition("\n")
    form = Form(
        title=documented[0].rstrip("."), method=method.upper(), url=url, help=with_code(documented[2].strip())
    )
    if serializer_class := view.inputs.get(action):
        form.media_types = [parser.media_type for parser in view.parser_classes]
        form.raw = json.dumps(serializer_class.example or {}, indent=2, ensure_ascii=False)
        form.fields = list(serializer_fields(serializer_class))
    return form


def serializer_fields(serializer_class: type[StrictSerializer]) -> Iterator[Field]:
    """The inputs of a form for what a serializer takes."""
    example = serializer_class.example or {}
    for name, part in serializer_class().fields.items():
        if part.read_only:
            continue
        placeholder = example.get(name, "")
        if not isinstance(placeholder, str):
            placeholder = json.dumps(placeholder, ensure_ascii=False)
        yield Field(
            name=name,
            kind=_kind(part),
            required=part.required,
            help=with_code(str(part.help_text or "")),
            placeholder=placeholder,
            choices=_choices(part),
        )


def _kind(part: serializers.Field) -> str:
    match part:
        case serializers.ChoiceField() | serializers.BooleanField():
            return "select"
        case serializers.IntegerField():
            return "number"
        case serializers.CharField() if (part.max_length or 0) >= 10_000:
            return "area"
        case serializers.CharField() | serializers.DateTimeField() | serializers.SlugRelatedField():
            return "text"
    return "json"


def _choices(part: serializers.Field) -> list[tuple[str, str]]:
    """Of related fields none: there may be a hundred thousand."""
    if isinstance(part, serializers.BooleanField):
        return [("true", "true"), ("false", "false")]
    return (
        [(str(value), str(value)) for value in part.choices]
        if isinstance(part, serializers.ChoiceField)
        else []
    )


def filter_fields(view: "Resource") -> list[Field]:
    """The inputs of a list's filter form, with what is asked now."""
    asked = view.request.query_params
    if query := view.queries.get(view.action):
        fields = [part for part in serializer_fields(query) if part.name != "format"]
    else:
        fields = [*_filterset_fields(view)]
        fields += [Field("search", "text")] if view.search_fields else []
        if view.ordering_fields:
            both = [(sign + name, sign + name) for name in view.ordering_fields for sign in ("", "-")]
            fields.append(Field("ordering", "select", choices=both))
        fields.append(Field("limit", "number", placeholder="50"))
    for part in fields:
        part.value = asked.getlist(part.name) if part.multiple else asked.get(part.name, "")
        part.required = False
    return fields


def _filterset_fields(view: "Resource") -> Iterable[Field]:
    filterset = getattr(view, "filterset_class", None)
    for name, filter_ in (filterset.base_filters if filterset else {}).items():
        part = filter_.field
        choices = [(str(value), str(value)) for value, _label in getattr(part, "choices", ()) if value]
        if isinstance(part, forms.NullBooleanField):
            choices = [("true", "true"), ("false", "false")]
        yield Field(
            name=name,
            kind="select" if choices else "text",
            help=with_code(str(filter_.extra.get("help_text", ""))),
            choices=choices,
            multiple=isinstance(part, forms.MultipleChoiceField),
        )
