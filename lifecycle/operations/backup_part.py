"""The lifecycle's part in backups: the artifacts, and deployments that serve and go on in the new place."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone

from core.errors import Conflict
from core.operations.backups.parts import Part, StoredFile
from lifecycle.artifact_store import artifact_store
from lifecycle.models import Artifact, Deployment
from lifecycle.operations.validation import copy_path, fetch_copy
from serving.operations.targets import relocate, wanted_deployments


class Artifacts(Part):
    """The bytes under the key of every row. A key is written once and never again, so they are what the row meant."""

    name = "artifacts"

    def files(self) -> Iterator[StoredFile]:
        columns = ("storage_key", "size_bytes", "sha256", "run__run_id", "logged_model__model_id", "path")
        rows = Artifact.objects.order_by("pk").values_list(*columns)
        for key, size, sha256, run_id, model_id, path in rows.iterator():
            owner = f"run {run_id}" if run_id else f"logged model {model_id}"
            yield StoredFile(key, size, sha256, label=f"“{path}” of {owner}")

    def open(self, file: StoredFile) -> BinaryIO:
        return artifact_store().open(file.key)

    def still_wanted(self, file: StoredFile) -> bool:
        return Artifact.objects.filter(storage_key=file.key).exists()

    def problem(self) -> str:
        if artifact_store().is_empty():
            return ""
        return (
            f"{settings.ARTIFACT_ROOT} holds files already. Name an empty place in ARTIFACT_ROOT, or remove them "
            "if a restore that was cut off left them there."
        )

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        artifact_store().write(key, chunks)

    def delete(self, key: str) -> None:
        artifact_store().delete(key)

    def settle(self) -> Iterator[str]:
        """Nobody works on what was in progress, so it may be taken up at once and has its full time again. What
        served gets its verified copy here, for the next agent to serve from.
        """
        Deployment.objects.in_progress().update(lease_expires_at=None, stage_started_at=timezone.now())
        for deployment in Deployment.objects.filter(pk__in=wanted_deployments()).order_by("pk"):
            yield _bring_along(deployment)


def _bring_along(deployment: Deployment) -> str:
    version = deployment.model_version
    relocate(deployment_id=deployment.pk, model_path=copy_path(deployment.content_sha256))
    try:
        if version.content_sha256 != deployment.content_sha256:
            raise Conflict("Its files were replaced since it was deployed, and only its own copy had them.")
        fetch_copy(version)
    except Conflict as error:
        return f"{deployment} cannot serve: {error.detail} Deploy a version that is whole."
    return f"{deployment} serves again once the platform is started."
