from django.apps import AppConfig
from django.core.checks import register
from django.utils.translation import gettext_lazy as _

from lifecycle.checks import settings_make_sense


class LifecycleConfig(AppConfig):
    name = "lifecycle"
    verbose_name = _("Model lifecycle")

    def ready(self) -> None:
        register(settings_make_sense)
