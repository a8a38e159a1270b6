"""The lifecycle's REST routes, mounted at /api/v1/ml/lifecycle/."""

from core.api.views import Router
from lifecycle.api.artifacts import ArtifactViewSet
from lifecycle.api.code_allowances import CodeAllowanceViewSet
from lifecycle.api.deployments import DeploymentViewSet
from lifecycle.api.drift import DriftEventViewSet
from lifecycle.api.experiments import ExperimentViewSet
from lifecycle.api.models import AliasViewSet, ModelVersionListViewSet, ModelVersionViewSet
from lifecycle.api.runs import RunLogViewSet, RunMetricViewSet, RunViewSet

RUN = "runs/(?P<run_id>[^/]+)"

router = Router()
router.register("experiments", ExperimentViewSet, basename="experiment-api")
router.register("runs", RunViewSet, basename="run-api")
router.register(f"{RUN}/metrics", RunMetricViewSet, basename="run-metric-api")
router.register(f"{RUN}/logs", RunLogViewSet, basename="run-log-api")
router.register(f"{RUN}/artifacts", ArtifactViewSet, basename="run-artifact-api")
router.register("deployments", DeploymentViewSet, basename="deployment-api")
router.register("models", ModelVersionListViewSet, basename="model-list-api")
# Before the versions: "aliases" stands where a version does.
router.register(r"models/(?P<model_name>[^/]+)/aliases", AliasViewSet, basename="model-alias-api")
router.register(r"models/(?P<model_name>[^/]+)", ModelVersionViewSet, basename="model-version-api")
router.register("code-allowances", CodeAllowanceViewSet, basename="code-allowance-api")
router.register("drift-events", DriftEventViewSet, basename="drift-event-api")

urlpatterns = [*router.urls]
