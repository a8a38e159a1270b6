"""Which data sets a run read, as its client tells it."""

from typing import TypedDict

from django.db import transaction

from core.errors import Invalid
from core.models import User
from core.names import check_visible
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.models import DatasetInput, Run

MAX_DATASETS_A_REQUEST = 1000
# MLflow's limits (mlflow.utils.validation), in characters.
LIMITS = {"name": 500, "digest": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}
MAX_TAG_NAME, MAX_TAG_VALUE = 255, 500


class Dataset(TypedDict):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str
    profile: str
    tags: dict[str, str]


@transaction.atomic
def log_datasets(*, actor: User | None, run: Run, datasets: list[Dataset]) -> None:
    """Note that `run` read these; what it is known to have read stays as it was first told. The first one gives the run
    its data set, unless it was told another.

    Raises Invalid for what is longer than MLflow would keep, or more than 1,000 at once: nothing is kept then.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if len(datasets) > MAX_DATASETS_A_REQUEST:
        raise Invalid(_("At most %(limit)s data sets a request.") % {"limit": MAX_DATASETS_A_REQUEST})
    for dataset in datasets:
        _check(dataset)
    DatasetInput.objects.bulk_create(
        [DatasetInput(run=run, **dataset) for dataset in datasets], ignore_conflicts=True
    )
    if datasets:
        first = datasets[0]
        Run.objects.filter(pk=run.pk, dataset_name="").update(
            dataset_name=first["name"], dataset_version=first["digest"]
        )


def _check(dataset: Dataset) -> None:
    check_visible(dataset["name"])
    check_visible(dataset["digest"], field="digest")
    told = {field: value for field, value in dataset.items() if isinstance(value, str)}
    for field, limit in LIMITS.items():
        _check_length(field, told[field], limit)
    for name, value in dataset["tags"].items():
        _check_length("key", name, MAX_TAG_NAME)
        _check_length("value", value, MAX_TAG_VALUE)


def _check_length(field: str, value: str, limit: int) -> None:
    if len(value) > limit:
        raise Invalid(
            _("“%(field)s” has at most %(limit)s characters.") % {"field": field, "limit": limit},
            fields={field: value[:100]},
        )
