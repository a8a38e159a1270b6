"""The lifecycle's pages."""

from django.urls import path

from lifecycle.pages import deployments, overview

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("deployments/", deployments.deployment_list, name="deployment-list"),
    path("deployments/<int:pk>/", deployments.deployment_detail, name="deployment"),
    path("deployments/<int:pk>/live", deployments.deployment_live, name="deployment-live"),
    path("deployments/<int:pk>/log", deployments.deployment_log, name="deployment-log"),
    path("deployments/<int:pk>/log.txt", deployments.deployment_log_file, name="deployment-log-file"),
    path("deployments/<int:pk>/rollback", deployments.roll_back, name="deployment-rollback"),
    path("deployments/<int:pk>/terminate", deployments.terminate, name="deployment-terminate"),
]
