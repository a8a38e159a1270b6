"""Reading the environment, with errors for whoever set it."""

import os
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from limits import RateLimitItem, parse

DATABASE_FORMS = "postgres://user:password@host:5432/name or sqlite:////absolute/path"
REDIS_FORMS = "redis://:password@host:6379/0 or rediss://… for TLS"
DATABASE_SCHEMES = {"postgres", "postgresql", "sqlite"}
REDIS_SCHEMES = {"redis", "rediss"}


class Environment(environ.Env):
    """As django-environ, but a value that cannot be read is refused by the name of its setting."""

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, *args, **options)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"The setting {var} is “{os.environ.get(var)}”, which cannot be read: {error}"
            ) from error

    def database(self, var: str, *, default: str) -> dict[str, Any]:
        """Django's settings of the database at an address."""
        return self.db_url_config(self._address(var, default, DATABASE_SCHEMES, DATABASE_FORMS))

    def redis(self, var: str, *, default: str) -> str:
        """The address of a Redis server, or "" for none."""
        return self._address(var, default, REDIS_SCHEMES, REDIS_FORMS)

    def rate(self, var: str, *, default: str) -> RateLimitItem:
        """How often something may happen: “20/5 minutes”."""
        text = self.str(var, default=default)
        try:
            rate = parse(text)
        except ValueError:
            rate = None
        if rate is None or rate.amount < 1:
            raise ImproperlyConfigured(
                f"The setting {var} is “{text}”. Write how often in which time, as in 20/5 minutes."
            )
        return rate

    def _address(self, var: str, default: str, schemes: set[str], forms: str) -> str:
        """An address may hold a password, of which the error must not show a part."""
        address = self.str(var, default=default)
        if address and not _is_address(address, schemes):
            raise ImproperlyConfigured(
                f"The setting {var} is not an address that can be read. Write {forms}, and in a password "
                "percent-encode what is neither letter nor digit."
            )
        return address


def _is_address(address: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(address)
        # An @ behind the host is the end of a password with a slash, ? or # in it.
        return (
            parts.scheme in schemes
            and "@" not in parts.path + parts.query + parts.fragment
            and parts.port != 0
        )
    except ValueError:
        return False
