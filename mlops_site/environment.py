"""Reading the environment, with errors for whoever set it."""

import os
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured


class Environment(environ.Env):
    """As django-environ, but a value that cannot be read is refused by the name of its setting."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, *args, **options)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"The setting {var} is “{os.environ.get(var)}”, which cannot be read: {error}"
            ) from error
