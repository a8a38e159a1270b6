from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps  # not the class: Django would take it for this app's
from django.utils.translation import gettext_lazy as _


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = _("Access and audit")


class PlatformAdminConfig(admin_apps.SimpleAdminConfig):
    """Django's admin with our site as the default one.

    What it shows is registered with the URLs: workers and commands have no use for it, and start sooner.
    """

    default = False
    default_site = "core.admin_site.PlatformAdminSite"
