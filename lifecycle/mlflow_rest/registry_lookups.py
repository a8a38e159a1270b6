"""What the calls on registered models and on their versions share: finding them, and what may be said of them."""

import re

from core.models import User
from core.names import check_registered_name
from core.operations.changes import changed_pairs
from core.translation import gettext as _
from lifecycle.mlflow_rest.errors import InvalidParameter
from lifecycle.mlflow_rest.registry_messages import STAGES
from lifecycle.models import ModelVersion, RegisteredModel
from lifecycle.operations import registered_models, registry
from lifecycle.states import Stage

MAX_TAG_VALUE = 100_000  # as in mlflow.utils.validation
MAX_DESCRIPTION = 5000  # as MLflow's table has it
NUMBER = re.compile(r"\s*([+-]?\d{1,9})\s*")


def find_model(actor: User, name: str) -> RegisteredModel:
    """The model of that name. Raises Invalid for what is no model's name, and NotFound."""
    return registered_models.find_model(actor, check_registered_name(name))


def find_version(actor: User, name: str, version: str) -> ModelVersion:
    """The version of that number. Raises InvalidParameter for what is no number, and NotFound."""
    check_registered_name(name)
    return registry.find_version(actor, name, str(version_number(version)))


def version_number(version: str) -> int:
    """The number that `version` says; the first is 1, and 0 is none. Raises InvalidParameter for what is no number."""
    number = NUMBER.fullmatch(version)
    if number is None:
        raise InvalidParameter(_("“%(version)s” is no number of a version.") % {"version": version})
    return max(int(number[1]), 0)


def stage_named(name: str) -> Stage:
    """The stage that MLflow calls so, in small or capital letters. Raises InvalidParameter."""
    stage = {one.lower(): stage for one, stage in STAGES.items()}.get(name.lower())
    if stage is None:
        raise InvalidParameter(
            _("“%(stage)s” is no stage: name one of %(stages)s.")
            % {"stage": name, "stages": ", ".join(STAGES)}
        )
    return stage


def checked_tags(tags: list[dict[str, str]]) -> dict[str, str]:
    """By name; of one that is named twice the last value counts, as in MLflow. Raises Invalid."""
    if any(len(tag["value"]) > MAX_TAG_VALUE for tag in tags):
        raise InvalidParameter(
            _("The value of a tag has at most %(limit)s characters.") % {"limit": MAX_TAG_VALUE}
        )
    return changed_pairs({}, {tag["key"]: tag["value"] for tag in tags})


def checked_description(description: str) -> str:
    if len(description) > MAX_DESCRIPTION:
        raise InvalidParameter(
            _("A description has at most %(limit)s characters.") % {"limit": MAX_DESCRIPTION}
        )
    return description
