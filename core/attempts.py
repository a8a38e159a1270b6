"""How many failed sign-ins are borne before the next has to wait.

Passwords can be guessed, so an address, and an account from wherever it is tried, are refused for a while after too
many wrong ones. Tokens and one-time links are 256 random bits, which nobody guesses: of them only those that failed are
counted and told to wait, so that a forgotten script with an old token does not lock out its neighbours behind the same
address.

Counted in Redis by all web processes together where REDIS_URL is set. Otherwise each counts in its memory, and bears
its share: which of them a client meets is chance, so it may have to wait earlier, but all together bear no more.
"""

import logging
import time
from math import ceil
from typing import Any

from django.conf import settings
from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter, RateLimiter

from core.errors import TooManyAttempts
from core.models.access import digest
from core.translation import gettext as _

logger = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 1

Key = tuple[RateLimitItem, str]


def of_address(address: str) -> Key:
    """The wrong passwords from an address."""
    return settings.FAILED_SIGN_INS_PER_ADDRESS, f"password from {address}"


def of_account(username: str) -> Key:
    """The wrong passwords for an account, whether it exists or not. A name may be of any length."""
    return settings.FAILED_SIGN_INS_PER_ACCOUNT, f"password of {digest(username)}"


def of_secrets(address: str) -> Key:
    """The unknown tokens and one-time links from an address."""
    return settings.FAILED_TOKENS_PER_ADDRESS, f"secret from {address}"


class FailedAttempts:
    """Counts in a moving window. Without Redis it counts on in memory: signing in must not need the broker."""

    def __init__(self) -> None:
        self._here: RateLimiter = MovingWindowRateLimiter(MemoryStorage())
        self._shared: RateLimiter | None = None
        if settings.REDIS_URL:
            storage = storage_from_string(
                settings.REDIS_URL,
                wrap_exceptions=True,
                socket_timeout=REDIS_TIMEOUT_SECONDS,
                socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            )
            self._shared = MovingWindowRateLimiter(storage)  # type: ignore[arg-type]

    def check(self, *keys: Key) -> None:
        """Raise TooManyAttempts if as many failed under one of `keys` as its limit says."""
        for key in keys:
            stats = self._ask("get_window_stats", *key)
            if stats.remaining <= 0:
                logger.warning("Sign-ins are refused for a while: too many failed by %s", key[1])
                raise _too_many(stats.reset_time - time.time())

    def note(self, *keys: Key) -> None:
        """Count one that failed."""
        for key in keys:
            self._ask("hit", *key)

    def forget(self) -> None:
        """Count from nothing again."""
        for limiter in filter(None, (self._here, self._shared)):
            limiter.storage.reset()

    def _ask(self, question: str, limit: RateLimitItem, name: str) -> Any:
        if self._shared:
            try:
                return getattr(self._shared, question)(limit, name)
            except StorageError:
                logger.warning("Redis does not answer: each web process counts failed sign-ins alone")
        return getattr(self._here, question)(_share_of(limit), name)


def _share_of(limit: RateLimitItem) -> RateLimitItem:
    """What one of the web processes bears of it, if they cannot count together."""
    return type(limit)(max(1, limit.amount // settings.WEB_WORKERS), limit.multiples)


def _too_many(seconds: float) -> TooManyAttempts:
    wait = max(1, ceil(seconds))
    return TooManyAttempts(
        _("Too many attempts to sign in failed. Try again in %d seconds.") % wait, retry_after_seconds=wait
    )


failed_attempts = FailedAttempts()
