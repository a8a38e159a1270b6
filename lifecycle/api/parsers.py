"""Bodies of the lifecycle's endpoints that are not JSON."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core.translation import gettext as _


class LinesParser(BaseParser):
    """Plain text, a log line a line: `command | curl --data-binary @- -H 'Content-Type: text/plain' …`."""

    media_type = "text/plain"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        try:
            # Not from `stream`: once somebody read the body, as an Idempotency-Key makes sure, that is a plain buffer.
            text = (parser_context or {})["request"]._request.body.decode()
        except UnicodeDecodeError as error:
            raise ParseError(_("The text is not UTF-8.")) from error
        return {"lines": [{"message": line} for line in text.splitlines()]}
