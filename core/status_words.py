"""The one table that says how a state looks: its meaning (a colour), its icon and its word.

Every page, list and chart asks here, so that a colour means one thing everywhere and the same state never
carries two names. Colour alone never tells: a chip always has the icon and the word as well.
"""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

NEUTRAL = "neutral"
PROGRESS = "progress"
TRAFFIC = "traffic"
GOOD = "good"
ATTENTION = "attention"
BAD = "bad"


@dataclass(frozen=True)
class StatusWord:
    """How one state is shown. `tone` names the CSS class `tone-…`; `icon` is a Tabler icon's name."""

    tone: str
    icon: str
    word: str | Promise


STATUS_WORDS: dict[str, dict[str, StatusWord]] = {
    "experiment": {
        "active": StatusWord(PROGRESS, "flask", _("Active")),
        "archived": StatusWord(ATTENTION, "archive", _("Archived")),
    },
    "run": {
        "scheduled": StatusWord(NEUTRAL, "clock", _("Scheduled")),
        "running": StatusWord(PROGRESS, "loader-2", _("Running")),
        "completed": StatusWord(GOOD, "circle-check", _("Completed")),
        "failed": StatusWord(BAD, "circle-x", _("Failed")),
        "cancelled": StatusWord(NEUTRAL, "ban", _("Cancelled")),
    },
    "logged_model": {
        "pending": StatusWord(PROGRESS, "loader-2", _("Pending")),
        "ready": StatusWord(GOOD, "circle-check", _("Ready")),
        "failed": StatusWord(BAD, "circle-x", _("Failed")),
    },
    "model_role": {
        "input": StatusWord(NEUTRAL, "eye", _("Input")),
        "output": StatusWord(NEUTRAL, "pencil", _("Output")),
    },
    "stage": {
        "experimental": StatusWord(NEUTRAL, "flask", _("Experimental")),
        "staging": StatusWord(ATTENTION, "stack-2", _("Staging")),
        "production": StatusWord(BAD, "flame", _("Production")),
        "archived": StatusWord(ATTENTION, "archive", _("Archived")),
    },
    "model_version": {
        "draft": StatusWord(NEUTRAL, "pencil", _("Draft")),
        "registered": StatusWord(PROGRESS, "shield-check", _("Registered")),
        "deployed": StatusWord(GOOD, "rocket", _("Deployed")),
        "archived": StatusWord(ATTENTION, "archive", _("Archived")),
    },
    "checklist_item": {
        "pending": StatusWord(NEUTRAL, "circle-dashed", _("Pending")),
        "approved": StatusWord(GOOD, "circle-check", _("Approved")),
        "rejected": StatusWord(BAD, "circle-x", _("Rejected")),
    },
    "deployment": {
        "pending": StatusWord(NEUTRAL, "clock", _("Pending")),
        "validating": StatusWord(PROGRESS, "loader-2", _("Validating")),
        "deploying": StatusWord(TRAFFIC, "arrows-exchange", _("Deploying")),
        "active": StatusWord(GOOD, "circle-check", pgettext_lazy("deployment", "Active")),
        "failed": StatusWord(BAD, "circle-x", _("Failed")),
        "rollback": StatusWord(ATTENTION, "arrow-back-up", _("Rolled back")),
        "terminated": StatusWord(NEUTRAL, "power", _("Terminated")),
    },
    "environment": {
        "development": StatusWord(NEUTRAL, "code", _("Development")),
        "staging": StatusWord(ATTENTION, "stack-2", _("Staging")),
        "production": StatusWord(BAD, "flame", _("Production")),
    },
    "health": {
        "healthy": StatusWord(GOOD, "heartbeat", _("Healthy")),
        "degraded": StatusWord(ATTENTION, "alert-triangle", _("Degraded")),
        "unhealthy": StatusWord(BAD, "heart-broken", _("Unhealthy")),
        "unknown": StatusWord(NEUTRAL, "question-mark", pgettext_lazy("health", "Unknown")),
    },
    "replica": {
        "starting": StatusWord(PROGRESS, "loader-2", _("Starting")),
        "ready": StatusWord(GOOD, "circle-check", _("Ready")),
        "draining": StatusWord(TRAFFIC, "arrows-exchange", _("Draining")),
        "backoff": StatusWord(ATTENTION, "refresh", _("Restarting")),
        "failed": StatusWord(BAD, "circle-x", _("Failed")),
    },
    "severity": {
        "low": StatusWord(NEUTRAL, "circle-minus", pgettext_lazy("severity", "Low")),
        "medium": StatusWord(ATTENTION, "alert-triangle", pgettext_lazy("severity", "Medium")),
        "high": StatusWord(BAD, "alert-circle", pgettext_lazy("severity", "High")),
        "critical": StatusWord(BAD, "flame", pgettext_lazy("severity", "Critical")),
    },
    "role": {
        "viewer": StatusWord(NEUTRAL, "eye", _("Viewer")),
        "scientist": StatusWord(NEUTRAL, "flask", _("Scientist")),
        "approver": StatusWord(NEUTRAL, "shield-check", _("Approver")),
        "operator": StatusWord(NEUTRAL, "server", _("Operator")),
        "admin": StatusWord(NEUTRAL, "key", _("Admin")),
    },
    "message": {
        "debug": StatusWord(NEUTRAL, "code", _("Note")),
        "info": StatusWord(PROGRESS, "info-circle", _("Note")),
        "success": StatusWord(GOOD, "circle-check", _("Done")),
        "warning": StatusWord(ATTENTION, "alert-triangle", _("Warning")),
        "error": StatusWord(BAD, "alert-circle", _("Error")),
    },
}


def status_word(kind: str, value: str) -> StatusWord:
    """The look of `value` among the states of `kind`; a state that the table lacks is a KeyError.

    A silent grey default would hide that somebody added a state and forgot its word and colour.
    """
    return STATUS_WORDS[kind][str(value)]
