"""One of everything, made by people who do not ask in these tests."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from core.models import AccessToken, Alert
from core.models.access import digest, new_secret
from core.operations.access import create_sign_in_link
from lifecycle.models import CodeAllowance, ModelAlias
from tests.factories import (
    make_deployment,
    make_experiment,
    make_file,
    make_model,
    make_model_run,
    make_registered,
    make_run,
    make_user,
    make_version,
)


class World:
    """What the requests of `tests.access.rules` are about."""

    def __init__(self) -> None:
        self.author = make_user("scientist", username="author")
        self.experiment = make_experiment(name="churn", owner=self.author)
        self.archived_experiment = make_experiment(name="old", owner=self.author, status="archived")
        self.run = make_run(experiment=self.experiment, created_by=self.author, status="running")
        self.other_run = make_run(experiment=self.experiment, created_by=self.author, status="running")
        self.deleted_run = make_run(
            experiment=self.experiment, created_by=self.author, deleted_at=timezone.now()
        )
        make_file(self.run, "notes.txt")
        self.model_run = make_model_run(created_by=self.author)
        self.draft = make_registered(created_by=self.author, model_name="churn", ticked=True)
        self.checked_item = self.draft.checklist.first()
        self.serving = self._serving("development")
        self.serving_in_production = self._serving("production")
        self.approved = make_version(approved=True, stage="production", created_by=self.author)
        ModelAlias.objects.create(model=self.draft.model, alias="champion", version=self.draft)
        self.drift = self.draft.drift_events.create(
            severity="low", metric_name="psi", metric_value=0.3, threshold=0.2, detected_at=timezone.now()
        )
        self.alert = Alert.objects.create(
            key="drift", domain="lifecycle", severity="high", title="Drift", object_type="model"
        )
        self.allowance = CodeAllowance.objects.create(
            model=self.draft.model, reason="Reviewed.", allowed_by=make_user("admin")
        )
        self.token = AccessToken.objects.create(
            user=self.author, name="nightly", digest=digest(new_secret("mlops")), hint="mlops_abcdef"
        )
        self.link = create_sign_in_link(actor=None, user=self.author)

    def _serving(self, environment: str) -> Any:
        """A deployment that serves and can be rolled back."""
        model = make_model(created_by=self.author)
        versions = [
            make_version(model=model, created_by=self.author, approved=True, stage="production")
            for _ in range(2)
        ]
        now = timezone.now()
        make_deployment(
            model_version=versions[0],
            environment=environment,
            status="terminated",
            deployed_at=now - timedelta(hours=2),
        )
        return make_deployment(
            model_version=versions[1], environment=environment, status="active", deployed_at=now
        )
