"""experiments/*: an MLflow experiment is one of ours; what MLflow deletes is archived here."""

import re
from typing import Any

from django.db.models import Q, QuerySet

from core.errors import AlreadyExists, Conflict, NotFound
from core.lookups import one_or_none
from core.milliseconds import milliseconds_of
from core.models import User
from core.translation import gettext as _
from lifecycle.lookups import TagText
from lifecycle.mlflow_rest import search
from lifecycle.mlflow_rest.calls import Call
from lifecycle.mlflow_rest.errors import BadRequest, InvalidParameter, InvalidState
from lifecycle.mlflow_rest.messages import TAGS, as_tags, integer, one_of, optional, repeated, required, text
from lifecycle.models import Experiment
from lifecycle.models.experiments import DEFAULT_EXPERIMENT
from lifecycle.names import check_experiment_tag
from lifecycle.operations import experiments
from lifecycle.states import ExperimentStatus

ACTIVE, DELETED = ExperimentStatus.ACTIVE, ExperimentStatus.ARCHIVED
VIEWS = {"ACTIVE_ONLY": (ACTIVE,), "DELETED_ONLY": (DELETED,), "ALL": (ACTIVE, DELETED)}
COLUMNS = {
    "name": "name",
    "experiment_id": "pk",
    "creation_time": "created_at",
    "last_update_time": "updated_at",
}
TIMES = {"creation_time", "last_update_time"}
NEWEST_FIRST = ["creation_time DESC", "experiment_id ASC"]


def shown(experiment: Experiment) -> dict[str, Any]:
    """The experiment as MLflow's `Experiment` message."""
    return {
        "experiment_id": str(experiment.pk),
        "name": experiment.name,
        "artifact_location": f"mlflow-artifacts:/{experiment.pk}",
        "lifecycle_stage": "active" if experiment.status == ACTIVE else "deleted",
        "creation_time": milliseconds_of(experiment.created_at),
        "last_update_time": milliseconds_of(experiment.updated_at),
        "tags": [{"key": name, "value": value} for name, value in experiment.tags.items()],
        "workspace": "default",
    }


def find(actor: User, experiment_id: str, *statuses: str) -> Experiment:
    """The experiment of that id that `actor` may see, in one of `statuses` if any are named.

    Raises NotFound, and InvalidParameter for what is no number.
    """
    check_id(experiment_id)
    found = one_or_none(Experiment.objects.visible_to(actor).numbered(experiment_id.strip()))
    if found is None and experiment_id.strip() == str(DEFAULT_EXPERIMENT):
        found = experiments.default_experiment()
    if found is None or statuses and found.status not in statuses:
        raise NotFound(_("No Experiment with id=%(id)s exists") % {"id": experiment_id})
    return found


def check_id(experiment_id: str) -> None:
    """Raise InvalidParameter for what is no id of any experiment."""
    if not re.fullmatch(r"\s*[+-]?\d+\s*", experiment_id):
        raise InvalidParameter(
            _("“%(id)s” is no id of an experiment: it is a number.") % {"id": experiment_id}
        )


def create(actor: User, *, name: str, artifact_location: str, tags: list[dict[str, str]]) -> dict[str, Any]:
    if artifact_location:
        raise InvalidParameter(
            _("Artifacts are kept where this server keeps them. Leave “artifact_location” out.")
        )
    wanted = _checked(as_tags(tags))
    experiment = experiments.create_experiment(actor=actor, name=name, tags=wanted)
    return {"experiment_id": str(experiment.pk)}


def get(actor: User, *, experiment_id: str) -> dict[str, Any]:
    return {"experiment": shown(find(actor, experiment_id))}


def get_by_name(actor: User, *, experiment_name: str) -> dict[str, Any]:
    found = one_or_none(Experiment.objects.visible_to(actor).filter(name=experiment_name))
    if found is None and experiment_name == "Default":
        found = experiments.default_experiment()
    if found is None:
        raise NotFound(_("Could not find experiment with name “%(name)s”") % {"name": experiment_name})
    return {"experiment": shown(found)}


def delete(actor: User, *, experiment_id: str) -> dict[str, Any]:
    experiments.archive_experiment(actor=actor, experiment=find(actor, experiment_id, ACTIVE), with_runs=True)
    return {}


def restore(actor: User, *, experiment_id: str) -> dict[str, Any]:
    experiments.restore_experiment(
        actor=actor, experiment=find(actor, experiment_id, DELETED), with_runs=True
    )
    return {}


def update(actor: User, *, experiment_id: str, new_name: str) -> dict[str, Any]:
    experiment = find(actor, experiment_id)
    if experiment.status != ACTIVE:
        raise InvalidState(_("Cannot rename a non-active experiment."))
    try:
        experiments.update_experiment(actor=actor, experiment=experiment, name=new_name)
    except AlreadyExists as error:
        raise BadRequest(error.detail) from error
    return {}


def set_tag(actor: User, *, experiment_id: str, key: str, value: str) -> dict[str, Any]:
    _change_tags(actor, experiment_id, tags=_checked({key: value}))
    return {}


def delete_tag(actor: User, *, experiment_id: str, key: str) -> dict[str, Any]:
    _change_tags(actor, experiment_id, without=[key])
    return {}


def _change_tags(actor: User, experiment_id: str, **changes: Any) -> None:
    try:
        experiments.change_tags(actor=actor, experiment=find(actor, experiment_id), **changes)
    except Conflict as error:  # of one that is archived, which MLflow calls an invalid parameter
        raise InvalidParameter(error.detail) from error


def _checked(tags: dict[str, str]) -> dict[str, str]:
    for name, value in tags.items():
        check_experiment_tag(name, value)
    return tags


def search_experiments(
    actor: User,
    *,
    max_results: int,
    page_token: str,
    filter: str,
    order_by: list[str],
    view_type: tuple[str, ...],
) -> dict[str, Any]:
    experiments.default_experiment()
    rows = Experiment.objects.visible_to(actor).filter(status__in=view_type)
    search.check_size(filter, order_by)
    with search.refusing_what_mlflow_refuses():
        parser = search.grammar().SearchExperimentsUtils
        conditions = parser.parse_search_filter(filter)
        terms = [parser.parse_order_by_for_search_experiments(term) for term in order_by or NEWEST_FIRST]
    search.check_terms(conditions, terms)
    for number, condition in enumerate(conditions):
        rows = _narrowed(rows, condition, alias=f"tag_{number}")
    rows = search.ordered(rows, [_column(*term) for term in terms], "-pk")
    found, token = search.page(rows, max_results=max_results, page_token=page_token)
    return {"experiments": [shown(experiment) for experiment in found]} | (
        {"next_page_token": token} if token else {}
    )


def _column(kind: str, key: str, ascending: bool) -> tuple[str, bool]:
    if kind != "attribute":
        raise InvalidParameter(_("Experiments cannot be ordered by “%(kind)s”.") % {"kind": kind})
    return COLUMNS[key], ascending


def _narrowed(rows: QuerySet[Experiment], condition: search.Condition, *, alias: str) -> QuerySet[Experiment]:
    key, comparator, value = condition["key"], condition["comparator"], condition["value"]
    if condition["type"] == "tag":
        return rows.alias(**{alias: TagText("tags", key)}).filter(_tag_condition(alias, comparator, value))
    if key == "experiment_id":
        return rows.filter(_id_condition(comparator, value))
    if key in TIMES:
        return rows.filter(search.moment_condition(COLUMNS[key], comparator, value))
    if comparator in ("IN", "NOT IN"):
        raise search.wrong_comparator(key, comparator)
    return rows.filter(search.text_condition(COLUMNS[key], comparator, value))


def _tag_condition(alias: str, comparator: str, value: Any) -> Q:
    if comparator in ("IS NULL", "IS NOT NULL"):
        return Q(**{f"{alias}__isnull": comparator == "IS NULL"})
    if comparator in ("IN", "NOT IN"):
        raise search.wrong_comparator("tag", comparator)
    return Q(**{f"{alias}__isnull": False}) & search.text_condition(alias, comparator, value)


def _id_condition(comparator: str, value: Any) -> Q:
    """Ids are compared for being the same only. Raises InvalidParameter for what is no id."""
    if comparator not in ("=", "!=", "IN", "NOT IN"):
        raise search.wrong_comparator("experiment_id", comparator)
    ids = [integer(one, name="experiment_id") for one in (value if isinstance(value, tuple) else [value])]
    condition = Q(pk__in=ids)
    return ~condition if comparator in ("!=", "NOT IN") else condition


BY_ID = {"experiment_id": required(text)}
SEARCH = Call(
    search_experiments,
    {
        "max_results": optional(integer, 0),
        "page_token": optional(text),
        "filter": optional(text),
        "order_by": repeated(text),
        "view_type": optional(one_of(VIEWS), VIEWS["ACTIVE_ONLY"]),
    },
)
CALLS = {
    "experiments/create": {
        "POST": Call(create, {"name": required(text), "artifact_location": optional(text), "tags": TAGS})
    },
    "experiments/get": {"GET": Call(get, BY_ID)},
    "experiments/get-by-name": {"GET": Call(get_by_name, {"experiment_name": required(text)})},
    "experiments/search": {"GET": SEARCH, "POST": SEARCH},
    "experiments/update": {"POST": Call(update, BY_ID | {"new_name": required(text)})},
    "experiments/delete": {"POST": Call(delete, BY_ID)},
    "experiments/restore": {"POST": Call(restore, BY_ID)},
    "experiments/set-experiment-tag": {
        "POST": Call(set_tag, BY_ID | {"key": required(text), "value": optional(text)})
    },
    "experiments/delete-experiment-tag": {"POST": Call(delete_tag, BY_ID | {"key": required(text)})},
}
