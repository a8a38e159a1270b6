"""Register model versions, find them, change what is said about them, and notice when their files change."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from core.errors import Conflict, Invalid, NotFound
from core.models import User
from core.names import check_key, check_registered_name
from core.operations import audit
from core.operations.changes import changed_pairs, differences
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.artifact_store.paths import check_artifact_path, holds
from lifecycle.models import ChecklistItem, LoggedModel, ModelVersion, RegisteredModel, Run
from lifecycle.models.artifacts import FileOwner
from lifecycle.names import check_version_label
from lifecycle.operations import approvals, checklist, registered_models, stages, version_metrics
from lifecycle.operations.artifacts import model_files
from lifecycle.operations.logged_models import find_logged_model
from lifecycle.operations.model_files import Description, content_sha256, describe
from lifecycle.operations.runs import find_run

MIN_COMPARED, MAX_COMPARED = 2, 50
LARGEST_VERSION = 2**31 - 1


def find_version(user: User, model_name: str, version: str) -> ModelVersion:
    """The version that `version` names: its number, its label, or “@alias”. Raises NotFound."""
    found = None
    if "\x00" not in model_name + version:
        visible = ModelVersion.objects.visible_to(user).kept().with_status()
        found = (
            visible.filter(_named(version), model__name=model_name)
            .select_related(
                "model",
                "run__experiment",
                "run__created_by",
                "logged_model__experiment",
                "logged_model__created_by",
                "created_by",
                "approved_by",
                "rejected_by",
            )
            .first()
        )
    if found is None:
        raise NotFound(
            _("There is no version “%(version)s” of model “%(model)s”.")
            % {"version": version, "model": model_name}
        )
    return found


def _named(version: str) -> Q:
    if version.startswith("@"):
        return Q(aliases__alias=version[1:])
    if version.isascii() and version.isdecimal() and len(version) <= 10:
        return Q(version=min(int(version), LARGEST_VERSION))
    return Q(version_label=version) & ~Q(version_label="")


@transaction.atomic
def register_version(
    *,
    actor: User,
    model_name: str,
    run_id: str = "",
    artifact_path: str = "",
    logged_model_id: str = "",
    version_label: str = "",
    description: str = "",
    tags: dict[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    **told: str,
) -> ModelVersion:
    """Make the next version of a model out of the files of a run under `artifact_path`, or those of a logged model.

    The model is made when it is new. Without `metrics` the latest ones of the logged model, or else of the run, are
    taken over. `told` is mlflow_source and run_link. The version starts with the default checklist. Raises Invalid when
    the files are not an MLflow model, Conflict when the label is taken.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_registered_name(model_name)
    check_version_label(version_label)
    for name in metrics or ():
        check_key(name)
    owner = _locked_owner(actor, run_id, artifact_path, logged_model_id)
    files = model_files(owner, artifact_path)
    declared = describe(files, artifact_path)
    model = registered_models.ensure(actor, model_name)
    model.last_version += 1
    model.save(update_fields=["last_version", "updated_at"])
    with _label_taken(version_label):
        version = ModelVersion.objects.create(
            model=model,
            version=model.last_version,
            version_label=version_label,
            description=description,
            run=owner if isinstance(owner, Run) else owner.source_run,
            logged_model=owner if isinstance(owner, LoggedModel) else None,
            artifact_path=artifact_path,
            tags=tags or {},
            metrics=version_metrics.stored(version_metrics.taken_over(owner) if metrics is None else metrics),
            framework=declared.framework,
            signature=declared.signature,
            size_bytes=sum(file.size_bytes for file in files),
            content_sha256=content_sha256(files, artifact_path),
            created_by=actor,
            **told,
        )
    ChecklistItem.objects.bulk_create(
        ChecklistItem(model_version=version, name=name) for name in dict.fromkeys(settings.DEFAULT_CHECKLIST)
    )
    audit.record(
        actor=actor,
        action="model_version.register",
        target=version,
        domain=Domain.LIFECYCLE,
        changes=_told_of(owner, artifact_path) | {"content_sha256": version.content_sha256},
    )
    return version


@transaction.atomic
def update_version(
    *,
    actor: User | None,
    version: ModelVersion,
    stage: str | None = None,
    approval_checklist: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> ModelVersion:
    """Change a version all at once or not at all, each part by the right it needs.

    `stage` takes the right to decide, `approval_checklist` ([{id, status, note}]) the right to tick, and the
    rest (version_label, description, tags, rollback_notes) the right to author.
    """
    if approval_checklist:
        require(actor, Right.TICK, domain=Domain.LIFECYCLE)
    if stage is not None:
        RegisteredModel.objects.locked(version.model_id)  # before the version, as `move_stage` does
    version = ModelVersion.objects.locked(version.pk)
    if changes:
        _change(actor, version, changes)
    for item in approval_checklist:
        found = checklist.find_item(version, item["id"])
        checklist.tick(actor=actor, item=found, status=item["status"], note=item.get("note"))
    if stage is not None:
        version = stages.move_stage(actor=actor, version=version, stage=stage)
    return version


def _change(actor: User | None, version: ModelVersion, changes: dict[str, Any]) -> None:
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    check_version_label(changes.get("version_label", ""))
    changed = differences(version, changes)
    if not changed:
        return
    for field in changed:
        setattr(version, field, changes[field])
    with _label_taken(version.version_label):
        version.save(update_fields=[*changed, "updated_at"])
    audit.record(
        actor=actor, action="model_version.update", target=version, domain=Domain.LIFECYCLE, changes=changed
    )


@transaction.atomic
def change_tags(
    *,
    actor: User | None,
    version: ModelVersion,
    tags: dict[str, str] | None = None,
    without: Collection[str] = (),
) -> None:
    """Set `tags` and take those named `without` away; the others stay. Tags are data: no audit row."""
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    kept = ModelVersion.objects.locked(version.pk)
    kept.tags = changed_pairs(kept.tags, tags or {}, without)
    # By itself this is no update of the version, as in MLflow.
    ModelVersion.objects.filter(pk=kept.pk).update(tags=kept.tags)


@transaction.atomic
def files_changed(*, owner: FileOwner, path: str, actor: User | None) -> None:
    """Bring the versions made of `path` up to date after its content changed: an approval of it ends.

    Called in the transaction of the upload. The run or logged model is locked, so that an upload and a registration
    cannot pass each other unseen.
    """
    type(owner).objects.locked(owner.pk)
    for candidate in owner.versions_of_files.order_by("pk"):
        if holds(candidate.artifact_path, path):
            with suppress(NotFound):  # it was deleted meanwhile
                _take_over_files(ModelVersion.objects.locked(candidate.pk), path, actor)


def _take_over_files(version: ModelVersion, path: str, actor: User | None) -> None:
    files = model_files(version.file_owner, version.artifact_path)
    before, after = version.content_sha256, content_sha256(files, version.artifact_path)
    if before == after:
        return
    try:
        declared = describe(files, version.artifact_path)
    except Invalid:
        # The upload stands; that it is no model any more is what the deployment's validation will say.
        declared = Description()
    version.content_sha256, version.size_bytes = after, sum(file.size_bytes for file in files)
    version.framework, version.signature = declared.framework, declared.signature
    version.files_changed_at = timezone.now()
    changed = ["content_sha256", "size_bytes", "framework", "signature", "files_changed_at"]
    version.save(update_fields=[*changed, "updated_at"])
    audit.record(
        actor=actor,
        action="model_version.files_change",
        target=version,
        domain=Domain.LIFECYCLE,
        changes={"path": path, "content_sha256": [before, after]},
    )
    approvals.start_over(
        actor=actor, version=version, reason=_("“%(path)s” changed after it was looked at.") % {"path": path}
    )


def compare_versions(*, user: User, model_name: str, versions: Sequence[str]) -> dict[str, Any]:
    """The metrics of 2 to 50 versions side by side: a row a metric, a value a version, None where missing."""
    if not MIN_COMPARED <= len(versions) <= MAX_COMPARED:
        raise Invalid(
            _("Compare %(least)d to %(most)d versions.") % {"least": MIN_COMPARED, "most": MAX_COMPARED},
            fields={"versions": len(versions)},
        )
    found = [find_version(user, model_name, version) for version in versions]
    if len({version.pk for version in found}) < len(found):
        raise Invalid(_("Each version is compared once."), fields={"versions": _("names one version twice")})
    names = sorted({name for version in found for name in version.metrics})
    return {
        "model_name": model_name,
        "versions": found,
        "metrics": [
            {"metric_name": name, "values": [version.metrics.get(name) for version in found]}
            for name in names
        ],
    }


@contextmanager
def _label_taken(label: str) -> Iterator[None]:
    """A write that the label's uniqueness refuses, as a Conflict."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise Conflict(
            _("Another version of this model has the label “%(label)s”.") % {"label": label}
        ) from error


def _locked_owner(actor: User, run_id: str, artifact_path: str, logged_model_id: str) -> FileOwner:
    """Whose files a version is made of. Raises Invalid unless it is one of the two, and NotFound."""
    if bool(run_id) == bool(logged_model_id):
        raise Invalid(_("Name either a run and the path of the model in it, or a logged model."))
    if run_id:
        check_artifact_path(artifact_path)
        return _kept(Run.objects.locked(find_run(actor, run_id).pk))
    if artifact_path:
        problem = _("A logged model is registered whole: leave the path out.")
        raise Invalid(problem, fields={"artifact_path": problem})
    return _kept(LoggedModel.objects.locked(find_logged_model(actor, logged_model_id).pk))


def _kept(owner: FileOwner) -> FileOwner:
    if owner.deleted_at is not None:
        raise NotFound(_("%s was deleted meanwhile.") % owner)
    return owner


def _told_of(owner: FileOwner, artifact_path: str) -> dict[str, str]:
    if isinstance(owner, Run):
        return {"run_id": owner.run_id, "artifact_path": artifact_path}
    return {"logged_model_id": owner.model_id}
