"""Request bodies: whole ones up to a limit, and files read piece by piece, never whole in memory."""

from collections.abc import Callable, Iterator
from io import BytesIO

from django.conf import settings
from django.http import HttpRequest

from core.errors import Invalid, TooLarge, UnsupportedMediaType
from core.translation import gettext as _

CHUNK_BYTES = 1024 * 1024
# Python refuses to read a number of thousands of digits; no length is longer than this.
MOST_DIGITS = 18
MULTIPART = "multipart/form-data"
FORM_TYPES = ("application/x-www-form-urlencoded", MULTIPART)


def body_length(request: HttpRequest) -> int | None:
    """What Content-Length says; None for a chunked body. Raises Invalid when the end of the body cannot be
    known, TooLarge for a length that no body has, UnsupportedMediaType for a compressed body: what it would
    become cannot be known, so nothing here inflates one.
    """
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMediaType(_("Send the body without a Content-Encoding."))
    text = request.META.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdigit():
        if len(text) > MOST_DIGITS:
            raise _over_the_limit()
        return int(text)
    if text or not request.META.get("wsgi.input_terminated"):
        raise Invalid(_("Send a Content-Length header."), code="length_required")
    return None


def body_chunks(request: HttpRequest) -> Iterator[bytes]:
    """The raw body, read from the server as it is asked for.

    Django's own reader takes a chunked body for an empty one, so this reads the server's stream itself. It
    ends early when the sender does; whoever knows the length has to compare. Raises Invalid when the
    connection breaks, or its chunks are malformed.
    """
    stream, left = request.META["wsgi.input"], body_length(request)
    while left is None or left > 0:
        try:
            chunk = stream.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        except OSError as error:
            raise cut_short() from error
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk


def whole_body(request: HttpRequest, too_large: Callable[[], TooLarge], *, limit: int) -> bytes:
    """The body, never more of it than `limit` bytes. Raises what `too_large` makes beyond, without reading what is
    announced as larger, and Invalid when the body is not whole.
    """
    length = body_length(request)
    if length is not None and length > limit:
        raise too_large()
    chunks, size = [], 0
    for chunk in body_chunks(request):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise too_large()
    if length is not None and size < length:
        raise cut_short()
    return b"".join(chunks)


def hold_body(request: HttpRequest) -> None:
    """Take in the body, so that parsers find it whole: Django takes a chunked one for an empty one, and one
    that was cut short for a shorter one.

    Raises TooLarge over API_MAX_BODY_BYTES, Invalid when it is not whole.
    """
    if not request.META.get("CONTENT_LENGTH") and "Transfer-Encoding" not in request.headers:
        return
    if request._read_started:  # type: ignore[attr-defined]  # a form, which the check of its CSRF token has read
        return
    content = whole_body(request, _over_the_limit, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    request._stream = BytesIO(content)  # type: ignore[attr-defined]
    request.META["CONTENT_LENGTH"] = str(len(content))


def hold_form(request: HttpRequest) -> None:
    """Take in a page's form, and see that it is one and is whole. Django takes a part of it for all that was said,
    and content in another form, a file where a text belongs or an unknown charset for nothing said or a fault of ours.

    Raises UnsupportedMediaType, TooLarge or Invalid.
    """
    if request.META.get("CONTENT_LENGTH") in (None, "", "0") and "Transfer-Encoding" not in request.headers:
        return
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    if request.content_type not in FORM_TYPES or charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(_("Send a form, as a browser does, in UTF-8."))
    hold_body(request)
    if request.content_type == MULTIPART:
        boundary = (request.content_params or {}).get("boundary", "")
        if f"--{boundary}--".encode() not in request.body:
            raise cut_short()
        if request.FILES:
            raise Invalid(_("No form here takes files. Enter text."))


def _over_the_limit() -> TooLarge:
    return TooLarge(_("The request body is over the size this server takes."))


def cut_short() -> Invalid:
    return Invalid(_("The connection broke before the body was complete. Nothing was kept."))
