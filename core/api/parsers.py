"""JSON in, with the errors a caller can act on."""

import json
from json import JSONDecodeError
from typing import Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from core.translation import gettext as _

# Far more than any request of ours needs, and far from where Python's own stack ends.
MOST_LEVELS = 100


class StrictJSONParser(JSONParser):
    """JSON as RFC 8259 has it, in UTF-8: no NaN and Infinity, no name twice in an object, nothing that would
    exhaust the stack.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            content = json.loads(
                stream.read().decode(),
                object_pairs_hook=_without_repetition,
                parse_constant=_refuse_constant,
            )
        except JSONDecodeError as error:
            raise ParseError(_("This is not JSON: %s.") % error) from error
        except UnicodeDecodeError as error:
            raise ParseError(_("JSON is UTF-8, and this is not.")) from error
        except RecursionError as error:
            raise _too_deep() from error
        except ValueError as error:  # Python reads no number of thousands of digits
            raise ParseError(_("A number has too many digits.")) from error
        if _is_deep(content):
            raise _too_deep()
        return content


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Which of two values of one name counts differs from reader to reader."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _value in pairs]
        twice = next(name for name in content if names.count(name) > 1)
        raise ParseError(_("“%s” is given twice in one object. Give it once.") % twice)
    return content


def _refuse_constant(word: str) -> NoReturn:
    raise ParseError(
        _("JSON has no word %(word)s. Send it as text where a field takes it: “%(word)s”.") % {"word": word}
    )


def _is_deep(content: Any) -> bool:
    level = [content]
    for _each in range(MOST_LEVELS):
        level = [
            part
            for container in level
            if isinstance(container, (dict, list))
            for part in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return False
    return True


def _too_deep() -> ParseError:
    return ParseError(_("The JSON is nested too deeply: at most %d levels.") % MOST_LEVELS)
