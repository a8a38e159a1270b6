"""The validating stage: is this the approved model, and does it load and predict?"""

import filecmp
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from core.errors import Conflict
from core.sentences import joined
from core.translation import gettext as _
from lifecycle.models import Deployment, ModelVersion
from lifecycle.operations.artifacts import fetch_model
from lifecycle.operations.code_allowances import code_allowed
from lifecycle.permissions import deployment_blockers
from serving.backend_choice import serving_backend
from serving.backends.base import CheckReport
from serving.operations.targets import replica_spec

FETCHING = "fetching-"
# A copy that takes longer than this was left behind by a worker that was killed.
LONGEST_FETCH_SECONDS = 3600.0


@dataclass(frozen=True)
class CheckedModel:
    """Files that loaded and predicted, and what was found out about them; replicas load exactly these."""

    path: Path
    allow_code: bool
    framework: str
    signature: dict[str, Any] | None


def validate(deployment: Deployment) -> CheckedModel:
    """Try the model, and log what was looked at with the deployment. Raises Conflict with what is wrong."""
    version = deployment.model_version
    blockers = deployment_blockers(version, deployment.environment)
    if blockers:
        raise Conflict(joined(blockers))
    # Asked before the files are copied: the copy has the hash read above, so leave given to whoever replaces
    # a file meanwhile is never leave for what was there before.
    allow_code = code_allowed(version)
    path = fetch_copy(version)
    deployment.log(_("Files are those registered (SHA-256 %s…).") % version.content_sha256[:12])
    if allow_code:
        deployment.log(_("An admin allowed this model’s files to run code when they load."), level="warning")
    spec = replica_spec(
        target=f"check-{deployment.pk}-{deployment.fence}",
        generation=1,
        model_path=str(path),
        allow_code=allow_code,
        instance_type=deployment.endpoint_config["instance_type"],
    )
    report = serving_backend().check(spec, time_limit_seconds=settings.VALIDATION_TIME_LIMIT_SECONDS)
    for line in report.log:
        if line != report.error:  # it ends the deployment, and is logged then
            deployment.log(line)
    _judge(report)
    return CheckedModel(path, allow_code, framework=report.flavor, signature=report.signature)


def keep_findings(version: ModelVersion, model: CheckedModel) -> None:
    """Write down what the check found out. Raises Conflict when the version's files changed meanwhile."""
    unchanged = ModelVersion.objects.filter(pk=version.pk, content_sha256=model.path.name)
    if not unchanged.update(framework=model.framework, signature=model.signature):
        raise Conflict(_("The files of %s changed while they were checked. Deploy again.") % version)


def fetch_copy(version: ModelVersion) -> Path:
    """A verified local copy of the version's files, kept under their content's hash, so that replicas load
    exactly what was approved whatever happens to the artifact store later."""
    path = copy_path(version.content_sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=FETCHING) as temporary:
        fetched = Path(temporary) / "model"
        fetch_model(version, fetched)
        if path.exists() and not _same_files(path, fetched):
            path.rename(Path(temporary) / "damaged")
        if not path.exists():
            _publish(fetched, path)
    return path


def copy_path(content_sha256: str) -> Path:
    """Where the verified copy of files with this content lies."""
    return settings.DATA_DIR / "models" / content_sha256


def _same_files(kept: Path, fetched: Path) -> bool:
    """Whether a copy made earlier still is what it was: disks and people change files."""
    names = _files_in(fetched)
    return names == _files_in(kept) and all(
        filecmp.cmp(kept / name, fetched / name, shallow=False) for name in names
    )


def _files_in(folder: Path) -> set[Path]:
    return {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}


def clear_unused_copies(*, in_use: set[str]) -> int:
    """Delete model copies no target uses and no deployment in progress is about to use, and copies that a
    killed worker did not finish; returns how many."""
    waiting = Deployment.objects.in_progress().values_list("model_version__content_sha256", flat=True)
    keep = {Path(path).name for path in in_use} | set(waiting)
    folder = settings.DATA_DIR / "models"
    unused = [copy for copy in folder.glob("*") if copy.name not in keep and not _being_fetched(copy)]
    with tempfile.TemporaryDirectory(dir=folder, prefix=FETCHING) as leaving:
        for copy in unused:
            # Renamed first: what is found under its hash is whole, even when this worker is killed meanwhile.
            copy.rename(Path(leaving) / copy.name)
    return len(unused)


def _being_fetched(copy: Path) -> bool:
    return copy.name.startswith(FETCHING) and time.time() - copy.stat().st_mtime < LONGEST_FETCH_SECONDS


def _publish(fetched: Path, path: Path) -> None:
    try:
        fetched.rename(path)
    except OSError:
        # Another worker published the same content first; a rename over a filled directory fails.
        if not path.exists():
            raise


def _judge(report: CheckReport) -> None:
    if report.missing_packages:
        raise Conflict(
            _("The model needs packages that are not installed here: %s.")
            % ", ".join(report.missing_packages)
        )
    if not report.ok:
        raise Conflict(report.error)
