"""Remove files of runs and of logged models, but none that a registered version is made of."""

from functools import partial

from django.db import transaction

from core.errors import Conflict, NotFound
from core.models import User
from core.operations import audit
from core.roles import Domain, Right, require
from core.translation import gettext as _
from lifecycle.artifact_store import artifact_store
from lifecycle.artifact_store.paths import check_artifact_path, holds
from lifecycle.models.artifacts import FileOwner


@transaction.atomic
def remove_files(*, actor: User | None, owner: FileOwner, path: str) -> None:
    """Remove the file of that path, or the folder with all that is in it; "" is all files of the owner.

    Raises Invalid for a path no file can have, NotFound when nothing is there, Conflict when a registered version
    is made of any of it: what was approved stays to be looked at.
    """
    require(actor, Right.AUTHOR, domain=Domain.LIFECYCLE)
    if path:
        check_artifact_path(path)
    # Locked, as registering locks it: neither passes the other unseen.
    type(owner).objects.locked(owner.pk)
    _refuse_evidence(owner, path)
    file = owner.artifacts.filter(path=path)
    chosen = file if file.exists() else owner.artifacts.under(path)
    sizes = dict(chosen.values_list("storage_key", "size_bytes"))
    if not sizes:
        raise NotFound(_("There is no file “%(path)s”.") % {"path": path})
    chosen.delete()
    audit.record(
        actor=actor,
        action="artifact.delete",
        target=owner,
        domain=Domain.LIFECYCLE,
        changes={"path": path, "files": len(sizes), "size_bytes": sum(sizes.values())},
    )
    for key in sizes:
        transaction.on_commit(partial(artifact_store().delete, key), robust=True)


def _refuse_evidence(owner: FileOwner, path: str) -> None:
    for version in owner.versions_of_files.select_related("model"):
        if holds(path, version.artifact_path) or holds(version.artifact_path, path):
            raise Conflict(
                _("“%(path)s” is what %(version)s was registered with, and stays as its evidence.")
                % {"path": path or "/", "version": version}
            )
