"""What is kept already comes through the migrations whole, there and back."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from core.models import RegistryName
from lifecycle.models import MetricPoint, RunMetric
from tests.factories import make_model, make_run

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2026, 3, 1, 12, 30, 59, 123_000, tzinfo=UTC)
MILLISECONDS = 1_772_368_259_123


@pytest.fixture
def migrate():
    """Brings `lifecycle` to a migration and gives its models as they were; all is at the newest again afterwards."""

    def to(name):
        executor = MigrationExecutor(connection)
        executor.migrate([("lifecycle", name)])
        return executor.loader.project_state([("lifecycle", name)]).apps

    yield to
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_times_of_metrics_become_milliseconds_and_repeated_points_one(migrate):
    run = make_run()
    RunMetric.objects.create(run=run, name="loss", value=0.5, timestamp=MILLISECONDS)
    then = migrate("0004_let_the_default_experiment_be_nobodys")
    assert then.get_model("lifecycle", "RunMetric").objects.get().timestamp == AT
    points = then.get_model("lifecycle", "MetricPoint").objects
    for microseconds in (0, 0, 400, 1000, 876_600):  # the last one's milliseconds, rounded, would be a second
        moment = AT + timedelta(microseconds=microseconds)
        points.create(run_id=run.pk, name="loss", value=0.5, timestamp=moment)

    migrate("0005_keep_metric_times_as_mlflow_does")

    assert RunMetric.objects.get().timestamp == MILLISECONDS
    kept = MetricPoint.objects.order_by("timestamp").values_list("timestamp", flat=True)
    assert list(kept) == [MILLISECONDS, MILLISECONDS + 1, MILLISECONDS + 876]


def test_models_that_were_there_before_prompts_keep_their_names_for_themselves(migrate):
    make_model(name="wine")
    make_model(name="gone", deleted_at=AT)
    migrate("0008_let_models_be_deleted")
    assert not RegistryName.objects.exists()

    migrate("0009_name_models_in_the_registry")

    assert list(RegistryName.objects.values_list("name", "kind")) == [("wine", "model")]
