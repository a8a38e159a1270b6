"""Log lines as JSON, without the secrets that a path or a traceback may hold."""

import logging
import re

from pythonjsonlogger.json import JsonFormatter

# What core.models.access.new_secret makes: a prefix and 256 bits in URL-safe Base64.
SECRET = re.compile(r"(link|mlops)_[A-Za-z0-9_-]{43}")


class JsonLines(JsonFormatter):
    """Django logs the path of a refused request, and the path of a sign-in link is as good as a password."""

    def format(self, record: logging.LogRecord) -> str:
        return SECRET.sub(r"\1_…", super().format(record))
