"""What a request of MLflow's protocol says: JSON or a query string, held against a table of fields.

MLflow reads requests by protobuf's JSON rules: unknown fields are passed over, null is nothing said, and a number may
be sent as text. So does this, without protobuf.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.http import HttpRequest, QueryDict

from core.bodies import whole_body
from core.errors import AlreadyExists, TooLarge
from core.translation import gettext as _
from lifecycle.mlflow_rest.errors import InvalidParameter

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
LARGEST_INTEGER = 2**63 - 1
INTEGER = re.compile(r"[+-]?\d{1,19}")


class Reader(Protocol):
    def __call__(self, value: Any, /, name: str) -> Any: ...


@dataclass(frozen=True)
class Field:
    read: Reader
    required: bool = False
    default: Any = ""
    repeated: bool = False
    former_name: str = ""  # under which old clients send it


Fields = Mapping[str, Field]


def text(value: Any, /, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, _("Send a text."))
    if UNSTORABLE.search(value):
        raise _wrong(name, _("It holds a character that cannot be kept: NUL, or half a surrogate pair."))
    return value


def integer(value: Any, /, name: str) -> int:
    """A whole number of 64 bits; protobuf takes it as text, and with a fraction of zero, too."""
    if isinstance(value, str) and INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not -LARGEST_INTEGER <= value <= LARGEST_INTEGER
    ):
        raise _wrong(name, _("Send a whole number."))
    return value


def number(value: Any, /, name: str) -> float:
    """A float; JSON has no words for NaN and the infinities, which come as texts."""
    try:
        if isinstance(value, (int, float, str)):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise _wrong(name, _("Send a number."))


def flag(value: Any, /, name: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, _("Send true or false."))
    return value


def one_of(names: Mapping[str, Any]) -> Reader:
    """A value of an enumeration, by its name or by its number, which counts from 1."""

    def read(value: Any, /, name: str) -> Any:
        if isinstance(value, str) and value in names:
            return names[value]
        number = integer(value, name=name)
        if not 1 <= number <= len(names):
            raise _wrong(name, _("Send one of %(names)s.") % {"names": ", ".join(names)})
        return list(names.values())[number - 1]

    return read


def many(read: Reader) -> Reader:
    def read_all(value: Any, /, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(name, _("Send a list."))
        return [read(item, name=f"{name}[{index}]") for index, item in enumerate(value)]

    return read_all


def message(**fields: Field) -> Reader:
    """An object with fields of its own."""

    def read(value: Any, /, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(name, _("Send an object."))
        return _read(value, fields, within=f"{name}.")

    return read


def required(read: Reader, *, former_name: str = "") -> Field:
    """As MLflow has it, an empty text is no value."""
    return Field(read, required=True, former_name=former_name)


def optional(read: Reader, default: Any = "") -> Field:
    return Field(read, default=default)


def repeated(read: Reader) -> Field:
    return Field(many(read), default=(), repeated=True)


TAGS = repeated(message(key=optional(text), value=optional(text)))


def read(request: HttpRequest, fields: Fields) -> dict[str, Any]:
    """What `request` says, with defaults for what it leaves out. Raises InvalidParameter, and TooLarge."""
    if request.method == "GET" and request.GET:
        return _read(_from_query(request.GET, fields), fields)
    return _read(_from_body(request), fields)


def _from_query(query: QueryDict, fields: Fields) -> dict[str, Any]:
    repeated = {name for name, field in fields.items() if field.repeated}
    return {name: query.getlist(name) if name in repeated else query[name] for name in query}


def _from_body(request: HttpRequest) -> dict[str, Any]:
    if not _has_body(request):
        return {}
    if request.method in ("POST", "PUT", "PATCH") and request.content_type != "application/json":
        raise InvalidParameter(_("Set Content-Type to application/json."))
    body = whole_body(request, _too_large, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    if not body:
        return {}
    try:
        content = json.loads(body)
        if isinstance(content, str):  # older clients encode twice
            content = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(_("The body is not valid JSON.")) from error
    if not isinstance(content, dict):
        raise InvalidParameter(_("The body must be a JSON object."))
    return content


def _has_body(request: HttpRequest) -> bool:
    """Whether one was announced: there is none otherwise (RFC 9112, section 6.3)."""
    return bool(request.META.get("CONTENT_LENGTH") or request.META.get("HTTP_TRANSFER_ENCODING"))


def _too_large() -> TooLarge:
    return TooLarge(_("The request body is over the size this server takes."))


def _read(content: Mapping[str, Any], fields: Fields, *, within: str = "") -> dict[str, Any]:
    found = {}
    for name, field in fields.items():
        value = content.get(name)
        if not value and field.former_name:
            value = content.get(field.former_name)
        if value is None or (field.required and value == ""):
            if field.required:
                problem = _("Missing value for required parameter “%(name)s”.") % {"name": within + name}
                raise InvalidParameter(problem)
            found[name] = field.default
        else:
            found[name] = field.read(value, name=within + name)
    return found


def _wrong(name: str, problem: str) -> InvalidParameter:
    return InvalidParameter(
        _("Invalid value for parameter “%(name)s”. %(problem)s") % {"name": name, "problem": problem}
    )


def as_tags(given: list[dict[str, str]]) -> dict[str, str]:
    """Tags by name. Raises AlreadyExists for one that is given twice."""
    tags: dict[str, str] = {}
    for tag in given:
        if tag["key"] in tags:
            raise AlreadyExists(_("The tag “%(name)s” is given twice.") % {"name": tag["key"]})
        tags[tag["key"]] = tag["value"]
    return tags
