"""What the state of a model version allows, and to whom. Pure questions: each operation asks, and refuses
itself."""

from django.conf import settings

from core.models import User
from core.roles import Domain, Right, may
from core.translation import gettext as _
from lifecycle.models import ModelVersion
from lifecycle.models.registry import ModelVersionQuerySet
from lifecycle.states import STAGES_FOR, Stage


def approval_refusal(actor: User | None, version: ModelVersion) -> str | None:
    """Why `actor` may not decide about `version`, or None when they may.

    Four eyes: a version is decided by somebody who had no hand in it. People are compared, not accounts, so
    that a service account counts as the person who answers for it. The system is nobody, and decides nothing.
    """
    if actor is None:
        return _("A model version is approved or rejected by a person.")
    if actor.person in version.authors:
        return _("You had a hand in this version, so somebody else has to decide about it.")
    return None


def waiting_for_approval(versions: ModelVersionQuerySet, actor: User) -> ModelVersionQuerySet:
    """Those of `versions` that wait for `actor`: ready to be decided about, and theirs to decide."""
    if not may(actor, Right.DECIDE, domain=Domain.LIFECYCLE):
        return versions.none()
    return versions.awaiting_approval().not_by(accounts_of(actor.person))


def accounts_of(person: User) -> set[int]:
    """The ids of a person's own account and of every service account they answer for."""
    found, newest = set(), {person.pk}
    while newest:
        found |= newest
        newest = set(User.objects.filter(owner__in=newest).values_list("pk", flat=True)) - found
    return found


def deployment_blockers(version: ModelVersion, environment: str) -> list[str]:
    """Everything that keeps `version` from serving in `environment`, as sentences; empty when nothing does.

    An archived version goes nowhere. Where the setting APPROVAL_REQUIRED_STAGES names the environment, the
    version must be approved, with the files that were approved, and be in a stage that leads there
    (`STAGES_FOR`). An environment that the setting leaves out asks for neither: such an installation has
    chosen to go without review.
    """
    if version.stage == Stage.ARCHIVED:
        return [_("%s is archived. Move it to another stage first.") % version]
    if environment not in settings.APPROVAL_REQUIRED_STAGES:
        return []
    return [problem for problem in (approval_gap(version), _stage_gap(version, environment)) if problem]


def approval_gap(version: ModelVersion) -> str | None:
    """What is missing for `version` to count as approved, or None."""
    if version.approved_at is None:
        return _("%s is not approved. Complete its checklist and have somebody else approve it.") % version
    if not version.is_approved:
        return _("The files of %s changed after it was approved. It has to be approved again.") % version
    return None


def stage_fits(stage: str, environment: str) -> bool:
    """Whether a version in `stage` may serve in `environment`, approval aside."""
    if stage == Stage.ARCHIVED:
        return False
    if environment not in settings.APPROVAL_REQUIRED_STAGES:
        return True
    return stage in STAGES_FOR.get(environment, frozenset(Stage))


def _stage_gap(version: ModelVersion, environment: str) -> str | None:
    if stage_fits(version.stage, environment):
        return None
    return _(
        "%(version)s is in stage “%(stage)s”. To go to %(environment)s, move it to %(stages)s first."
    ) % {
        "version": version,
        "stage": version.stage,
        "environment": environment,
        "stages": " / ".join(stage for stage in Stage if stage in STAGES_FOR[environment]),
    }
