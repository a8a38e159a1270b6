"""Who calls a view that is not DRF's: by token, or by session with its CSRF token."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import CSRFCheck

from core.api.authentication import SignedIn, secret_in
from core.context import current
from core.errors import DomainError, NotAllowed
from core.models import User
from core.models.access import digest
from core.operations.access import sign_in_with_token
from core.translation import gettext as _

# A token that is revoked, or a role that is taken away, counts at the latest this much later.
REMEMBERED_SECONDS = 1.0
MOST_REMEMBERED = 10_000


class NotSignedIn(DomainError):
    status = 401
    code = "not_authenticated"


class TokenMemory:
    """Users of tokens seen within the last second, by the token's digest; shared by threads. For predictions: whoever
    changes something is looked up anew.
    """

    def __init__(self) -> None:
        self._users: dict[str, tuple[User, float]] = {}

    def user_of(self, *, secret: str, address: str) -> User | None:
        """The user of a token, or None. Unknown tokens are not remembered: a new one works at once.

        Raises TooManyAttempts, as `sign_in_with_token` does.
        """
        key, now = digest(secret), time.monotonic()
        user, until = self._users.get(key, (None, 0.0))
        if user is None or until <= now:
            user = sign_in_with_token(secret=secret, address=address)
            self._remember(key, user, now)
        return user

    def _remember(self, key: str, user: User | None, now: float) -> None:
        if len(self._users) >= MOST_REMEMBERED:
            self._users.clear()
        if user is None:
            self._users.pop(key, None)
        else:
            self._users[key] = user, now + REMEMBERED_SECONDS


tokens = TokenMemory()


def caller_of(request: HttpRequest, user_of: Callable[..., User | None]) -> User:
    """The user who calls; `user_of(secret=, address=)` knows tokens. Raises NotSignedIn, and NotAllowed for a session
    without its CSRF token.
    """
    try:
        secret = secret_in(request.META.get("HTTP_AUTHORIZATION", ""))
    except ValueError as error:
        raise NotSignedIn(*error.args, code="authentication_failed") from error
    if secret is None:
        return _user_of_session(request)
    user = user_of(secret=secret, address=current().address)
    if user is None:
        raise NotSignedIn(_("This token is unknown, revoked or expired."), code="authentication_failed")
    return user


def _user_of_session(request: HttpRequest) -> User:
    if not request.user.is_authenticated:
        raise NotSignedIn(SignedIn.message)
    check = CSRFCheck(HttpResponse)
    check.process_request(request)
    if reason := check.process_view(request, HttpResponse, (), {}):
        raise NotAllowed(_("CSRF failed: %(reason)s") % {"reason": reason}, code="permission_denied")
    return request.user
