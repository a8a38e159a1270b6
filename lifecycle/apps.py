from django.apps import AppConfig
from django.core.checks import register

from lifecycle.checks import settings_make_sense


class LifecycleConfig(AppConfig):
    name = "lifecycle"

    def ready(self) -> None:
        register(settings_make_sense)
