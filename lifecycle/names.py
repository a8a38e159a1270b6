"""What things may be called: MLflow's rules, per noun."""

import posixpath
import re
from functools import lru_cache

from core.errors import Invalid
from core.names import check_visible
from core.translation import gettext as _

MAX_EXPERIMENT_NAME = 500
MAX_MODEL_NAME = 250
MAX_LOGGED_MODEL_NAME = 500
MAX_KEY = 250
MAX_EXPERIMENT_TAG_VALUE = 20_000
KEY = re.compile(r"[/\w.\- :]+")
LABEL = re.compile(r"[\w.+\-]{1,100}")
# Words that stand in a model's paths where a version stands.
RESERVED_LABELS = frozenset({"aliases", "compare"})
ALIAS = re.compile(r"[\w\-]{1,255}")
VERSION_LIKE = re.compile(r"[vV]\d+")


def check_experiment_name(name: str) -> str:
    """Return the name of an experiment if it may be one; it may hold “/”. Raises Invalid."""
    return _check_name(name, limit=MAX_EXPERIMENT_NAME)


def check_model_name(name: str) -> str:
    """Return the name of a registered model if it may be one; “/” and “:” part it from its version. Raises
    Invalid.
    """
    if "/" in name or ":" in name or name in (".", ".."):
        raise Invalid(_("A model's name holds neither “/” nor “:”, and is not “.” or “..”."))
    return _check_name(name, limit=MAX_MODEL_NAME)


def check_logged_model_name(name: str) -> str:
    """Return the name of a logged model if it may be one, by MLflow's rule. Raises Invalid."""
    if any(character in name for character in "/:.%\"'"):
        raise Invalid(
            _("A logged model's name holds none of these: %(characters)s") % {"characters": "/ : . % \" '"}
        )
    return _check_name(name, limit=MAX_LOGGED_MODEL_NAME)


@lru_cache(maxsize=4096)  # a training logs the same names at each step
def check_key(name: str) -> str:
    """Return the name of a metric, parameter or tag of a run if it may be one. Raises Invalid.

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


def check_experiment_tag(name: str, value: str) -> None:
    """Raise Invalid unless MLflow would keep such a tag of an experiment."""
    check_key(name)
    if len(value) > MAX_EXPERIMENT_TAG_VALUE:
        raise Invalid(
            _("The value of a tag has at most %(limit)s characters.") % {"limit": MAX_EXPERIMENT_TAG_VALUE}
        )


def _check_name(name: str, *, limit: int) -> str:
    if not name.strip() or len(name) > limit:
        raise Invalid(_("A name has 1 to %(limit)s characters.") % {"limit": limit})
    return check_visible(name)


def check_version_label(label: str) -> str:
    """Return the label of a model version if it may be one; "" means none. Raises Invalid.

    In a path it stands where the version's number or “@alias” stands, so it may read as neither.
    """
    if label and not LABEL.fullmatch(label):
        raise Invalid(_("A version's label has 1 to 100 letters, digits and . _ + -, such as “v1.2”."))
    if label.isdecimal() or label in RESERVED_LABELS or label in (".", ".."):
        raise Invalid(
            _("“%(label)s” cannot be a label: in a path it means something else.") % {"label": label}
        )
    return label


def check_alias(alias: str) -> str:
    """Return the alias of a model version if it may be one. Raises Invalid for what reads as a version, as
    MLflow does.
    """
    if not ALIAS.fullmatch(alias):
        raise Invalid(_("An alias has 1 to 255 letters, digits and _ -."))
    if VERSION_LIKE.fullmatch(alias) or alias.lower() == "latest":
        raise Invalid(_("“%(alias)s” cannot be an alias: it reads as a version.") % {"alias": alias})
    return alias
