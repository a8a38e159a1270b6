"""How a request says who it is: a bearer token, a token as Basic password (MLflow's client), or the session."""

import base64
import binascii
from typing import Any

from rest_framework import authentication, exceptions
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from core.context import current
from core.errors import TooManyAttempts
from core.models import User
from core.operations.access import sign_in_with_token
from core.translation import gettext as _


def secret_in(header: str) -> str | None:
    """The token in an Authorization header, or None when the header carries none. Raises ValueError if malformed."""
    scheme, _separator, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(_("The Basic credentials are not valid Base64.")) from error
        return decoded.partition(":")[2]
    return None


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        try:
            secret = secret_in(request.headers.get("Authorization", ""))
        except ValueError as error:
            raise exceptions.AuthenticationFailed(str(error)) from error
        if secret is None:
            return None
        try:
            user = sign_in_with_token(secret=secret, address=current().address)
        except TooManyAttempts:
            # As DRF does for errors of its own: whoever renders this asks for the user again.
            request._not_authenticated()  # type: ignore[attr-defined]
            raise
        if user is None:
            raise exceptions.AuthenticationFailed(_("This token is unknown, revoked or expired."))
        return user, user.signed_in_with

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session, with CSRF checked on every change."""

    def enforce_csrf(self, request: Request) -> None:
        """Of Django's request: asked for a form, DRF's own would parse the body, before anybody held it whole."""
        super().enforce_csrf(request._request)  # type: ignore[arg-type]  # it asks for nothing else


class SignedIn(BasePermission):
    """Everybody signed in may come in; what they may do there is each operation's question."""

    message = _("Sign in first: send “Authorization: Bearer <token>”, or use the sign-in page.")

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated)
