"""Request bodies: files read piece by piece, never whole in memory, and chunked ones."""

from collections.abc import Iterator
from io import BytesIO

from django.conf import settings
from django.http import HttpRequest

from core.errors import Invalid, TooLarge
from core.translation import gettext as _

CHUNK_BYTES = 1024 * 1024


def body_length(request: HttpRequest) -> int | None:
    """What Content-Length says; None for a chunked body. Raises Invalid when the end of the body cannot be
    known.
    """
    text = request.META.get("CONTENT_LENGTH") or ""
    if text.isascii() and text.isdigit():
        return int(text)
    if text or not request.META.get("wsgi.input_terminated"):
        raise Invalid(_("Send a Content-Length header."), code="length_required")
    return None


def hold_chunked_body(request: HttpRequest) -> None:
    """Take in a body that was sent in chunks, so that parsers find it: Django takes it for an empty one.

    Raises TooLarge over API_MAX_BODY_BYTES, the bound of every body that is read whole.
    """
    if "Transfer-Encoding" not in request.headers or request.META.get("CONTENT_LENGTH"):
        return
    content = bytearray()
    for chunk in body_chunks(request):
        content += chunk
        if len(content) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge(_("The request body is over the size this server takes."))
    request._stream = BytesIO(content)  # type: ignore[attr-defined]
    request.META["CONTENT_LENGTH"] = str(len(content))


def body_chunks(request: HttpRequest) -> Iterator[bytes]:
    """The raw body, read from the server as it is asked for.

    Django's own reader takes a chunked body for an empty one, so this reads the server's stream itself. It
    ends early when the sender does; whoever knows the length has to compare. Raises Invalid when the
    connection breaks.
    """
    stream, left = request.META["wsgi.input"], body_length(request)
    while left is None or left > 0:
        try:
            chunk = stream.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
        except OSError as error:
            raise Invalid(_("The upload was cut short: the connection broke. Nothing was kept.")) from error
        if not chunk:
            return
        left = None if left is None else left - len(chunk)
        yield chunk
