"""Request bodies that are files: read piece by piece, never whole in memory."""

from collections.abc import Iterator

from django.http import HttpRequest

from core.errors import Invalid
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
