"""The admin of accounts, alerts and the audit trail, and what the other apps' admins are made of."""

from django.contrib import admin
from django.contrib.auth.models import Group

from core.admin import alerts, audit, housekeeping, users

__all__ = ["alerts", "audit", "housekeeping", "users"]

# Groups hold the roles. Django registers them; roles change by an operation only, which leaves an audit row.
admin.site.unregister(Group)
