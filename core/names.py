"""What things may be called, in every app. No name holds what nobody sees, or what makes it read as another."""

import posixpath
import re
import unicodedata
from functools import lru_cache

from core.errors import Invalid
from core.translation import gettext as _

# Control characters, halves of surrogate pairs, separators of lines and paragraphs, and format characters: those
# turn the direction of text, or take no room ("Trojan Source", Boucher and Anderson, 2021).
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
# Format characters that spelling needs: Persian and Indian scripts, and emoji of several parts.
JOINERS = frozenset("\u200c\u200d")
# Letters, marks and symbols that are drawn as nothing, such as the Hangul fillers ("Default_Ignorable_Code_Point").
DRAWN_AS_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
MAX_REGISTERED_NAME = 250
MAX_KEY = 250
KEY = re.compile(r"[/\w.\- :]+")
ALIAS = re.compile(r"[\w\-]{1,255}")
VERSION_LIKE = re.compile(r"[vV]\d+")
# Who acts in the audit trail where nobody did.
SYSTEM = "system"


def name_problem(name: str) -> str | None:
    """What keeps people from seeing what `name` is, or None."""
    for character in name:
        unseen = unicodedata.category(character) in UNSEEN and character not in JOINERS
        if unseen or character in DRAWN_AS_NOTHING:
            return _(
                "A name holds no control characters, and none that are invisible or turn its direction: %(code)s."
            ) % {"code": f"U+{ord(character):04X}"}
    if name != name.strip():
        return _("A name neither begins nor ends with a space.")
    return None


def check_visible(name: str, *, field: str = "name") -> str:
    """Return `name` if everybody who reads it sees what it is. Raises Invalid, naming `field`."""
    if problem := name_problem(name):
        raise Invalid(problem, fields={field: problem})
    return name


def check_name(name: str, *, limit: int) -> str:
    """Return `name` if it is one of at most `limit` characters that everybody who reads it sees. Raises Invalid."""
    if not name.strip() or len(name) > limit:
        raise Invalid(_("A name has 1 to %(limit)s characters.") % {"limit": limit})
    return check_visible(name)


def check_registered_name(name: str) -> str:
    """Return the name of a registered model or of a prompt if it may be one; “/” and “:” part it from its version.
    Raises Invalid.
    """
    if "/" in name or ":" in name or name in (".", ".."):
        raise Invalid(_("Such a name holds neither “/” nor “:”, and is not “.” or “..”."))
    return check_name(name, limit=MAX_REGISTERED_NAME)


@lru_cache(maxsize=4096)  # a training logs the same names at each step
def check_key(name: str) -> str:
    """Return the name of a metric, a parameter or a tag if it may be one. Raises Invalid.

    As in MLflow: letters, digits and “_ - . : / space”, and as a path it means only itself (no “..”, no
    “a//b”), because MLflow's clients keep metrics in files of that name.
    """
    if not name or len(name) > MAX_KEY:
        raise Invalid(_("A name has 1 to %(limit)s characters.") % {"limit": MAX_KEY})
    if not KEY.fullmatch(name):
        raise Invalid(_("“%(name)s”: use letters, digits, spaces and _ - . : / only.") % {"name": name})
    if name == "." or name.startswith(("..", "/")) or posixpath.normpath(name) != name:
        raise Invalid(_("“%(name)s”: as a path this name would mean something else.") % {"name": name})
    return name


def check_alias_word(alias: str) -> None:
    """Raise Invalid for what no alias is written as; it may still be a word that is none, such as “latest”."""
    if not ALIAS.fullmatch(alias):
        raise Invalid(_("An alias has 1 to 255 letters, digits and _ -."))


def check_alias(alias: str) -> str:
    """Return the alias of a version if it may be one. Raises Invalid for what reads as a version, as
    MLflow does.
    """
    check_alias_word(alias)
    if VERSION_LIKE.fullmatch(alias) or alias.lower() == "latest":
        raise Invalid(_("“%(alias)s” cannot be an alias: it reads as a version.") % {"alias": alias})
    return alias


def account_name_problem(name: str) -> str | None:
    """What keeps people from knowing by `name` whose account it is, beyond what Django asks of a username, or None."""
    if problem := name_problem(name):
        return problem
    if not any(character.isalnum() for character in name):
        return _("A username has at least one letter or digit.")
    if name.casefold() == SYSTEM:
        return _("“%(user)s” stands for the platform itself in the audit trail. Choose another name.") % {
            "user": name
        }
    return None
