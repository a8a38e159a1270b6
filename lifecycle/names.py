"""What things may be called: MLflow's rules, per noun."""

import re

from core.errors import Invalid
from core.names import check_key, check_name
from core.translation import gettext as _

MAX_EXPERIMENT_NAME = 500
MAX_LOGGED_MODEL_NAME = 500
MAX_EXPERIMENT_TAG_VALUE = 20_000
LABEL = re.compile(r"[\w.+\-]{1,100}")
# Words that stand in a model's paths where a version stands.
RESERVED_LABELS = frozenset({"aliases", "compare"})


def check_experiment_name(name: str) -> str:
    """Return the name of an experiment if it may be one; it may hold “/”. Raises Invalid."""
    return check_name(name, limit=MAX_EXPERIMENT_NAME)


def check_logged_model_name(name: str) -> str:
    """Return the name of a logged model if it may be one, by MLflow's rule. Raises Invalid."""
    if any(character in name for character in "/:.%\"'"):
        raise Invalid(
            _("A logged model's name holds none of these: %(characters)s") % {"characters": "/ : . % \" '"}
        )
    return check_name(name, limit=MAX_LOGGED_MODEL_NAME)


def check_experiment_tag(name: str, value: str) -> None:
    """Raise Invalid unless MLflow would keep such a tag of an experiment."""
    check_key(name)
    if len(value) > MAX_EXPERIMENT_TAG_VALUE:
        raise Invalid(
            _("The value of a tag has at most %(limit)s characters.") % {"limit": MAX_EXPERIMENT_TAG_VALUE}
        )


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
