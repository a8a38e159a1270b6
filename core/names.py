"""What no name of anything may hold: characters that nobody sees, or that make a name read as another."""

import unicodedata

from core.errors import Invalid
from core.translation import gettext as _

# Control characters, halves of surrogate pairs, separators of lines and paragraphs, and format characters: those
# turn the direction of text, or take no room ("Trojan Source", Boucher and Anderson, 2021).
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
# Format characters that spelling needs: Persian and Indian scripts, and emoji of several parts.
JOINERS = frozenset("\u200c\u200d")
# Letters, marks and symbols that are drawn as nothing, such as the Hangul fillers ("Default_Ignorable_Code_Point").
DRAWN_AS_NOTHING = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
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
