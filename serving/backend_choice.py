"""Which backend runs the replicas, as SERVING_BACKEND says."""

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from serving.backends.base import Backend
from serving.backends.local import LocalBackend
from serving.backends.run_directory import short_run_directory

CHOICES = ("local",)


@cache
def serving_backend() -> Backend:
    """This process's backend. Raises ImproperlyConfigured for a name nobody implements."""
    if settings.SERVING_BACKEND not in CHOICES:
        raise ImproperlyConfigured(
            f"SERVING_BACKEND is “{settings.SERVING_BACKEND}”. Choose one of: {', '.join(CHOICES)}."
        )
    return LocalBackend(short_run_directory(settings.DATA_DIR))
