"""Names that models and prompts share."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class RegistryKind(models.TextChoices):
    MODEL = "model", _("model")
    PROMPT = "prompt", _("prompt")


class RegistryName(models.Model):
    """What has a name. MLflow's clients ask for models and for prompts by the same addresses, so that of both only one
    may be called so.
    """

    name = models.CharField(_("name"), max_length=250, unique=True)
    kind = models.CharField(_("kind"), max_length=6, choices=RegistryKind)

    class Meta:
        verbose_name = _("name in the registry")
        verbose_name_plural = _("names in the registry")

    def __str__(self) -> str:
        return self.name
