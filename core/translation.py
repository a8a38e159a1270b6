"""Translation for all that operations say: as Django's gettext, but what it returns can be kept and said again."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest
from django.utils import translation

from core.sentences import Sentence, Source, said, source_of


def gettext(message: str) -> Sentence:
    """`message` in the language of this request, remembering what it was."""
    return Sentence(translation.gettext(message), {"id": message})


def say(source: Source) -> str:
    """A kept source in the language of this request."""
    return said(source, translation.gettext)


@contextmanager
def language_of(request: HttpRequest) -> Iterator[str]:
    """Speak the language that `request` asks for, as LocaleMiddleware would, for a view that it does not serve."""
    language = translation.get_language_from_request(request)
    with translation.override(language):
        yield language


def in_english(text: str) -> str:
    """The text as it is written in the code, whatever the language of whoever caused it.

    For records that are compared, hashed or searched, and so must have one wording.
    """
    return str(said(source_of(text)))
