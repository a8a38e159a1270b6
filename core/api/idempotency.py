"""Idempotency-Key: a repeated POST gets the first answer again.

The claim of a key, the operation and the kept answer are one transaction. So a crash leaves none of the three, a
second request with the same key waits for the first on the unique constraint, and a refused request keeps nothing.
"""

import hashlib
import json
from contextlib import ExitStack
from typing import Any, cast

from django.db import IntegrityError, transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from core.errors import Conflict, Invalid
from core.models import IdempotentRequest, User
from core.translation import gettext as _

HEADER = "Idempotency-Key"
MAX_KEY = 255


class Replay(Exception):
    """Carries the kept answer past the handler that would run the operation again."""

    def __init__(self, response: Response):
        self.response = response


class IdempotentPosts(APIView):
    """For views to derive from. Those whose answers carry a secret set `keeps_answers = False`."""

    keeps_answers = True

    _claim: IdempotentRequest | None = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with ExitStack() as self._until_answered:
            response = super().dispatch(request, *args, **kwargs)
            if self._claim and response.status_code >= 400:
                transaction.set_rollback(True)
            return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST" and HEADER in request.headers:
            if not self.keeps_answers:
                raise Invalid(
                    _("Idempotency-Key cannot be used here: the answer carries a secret and is not kept.")
                )
            self._claim = self._claim_key(request)

    def _claim_key(self, request: Request) -> IdempotentRequest:
        """Claim the key, in a transaction that lasts until the answer.

        It begins here and no sooner: whoever holds one lets nobody else write on SQLite, and that must be
        neither a stranger nor somebody whose body is still on its way.
        """
        key = request.headers[HEADER]
        if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
            raise Invalid(_("Idempotency-Key has 1 to %d printable characters.") % MAX_KEY)
        body = hashlib.sha256(request._request.body).hexdigest()
        self._until_answered.enter_context(transaction.atomic())
        path = request.get_full_path()[:2000]
        user = cast(User, request.user)
        try:
            with transaction.atomic():
                return IdempotentRequest.objects.create(user=user, key=key, path=path, body_sha256=body)
        except IntegrityError:
            kept = IdempotentRequest.objects.get(user=user, key=key)
        if (kept.path, kept.body_sha256) != (path, body):
            raise Conflict(
                _("This Idempotency-Key was used for another request."), code="idempotency_key_reused"
            )
        raise Replay(Response(kept.answer, status=kept.status, headers={"Idempotent-Replay": "true"}))

    def handle_exception(self, error: Exception) -> Response:
        if isinstance(error, Replay):
            return error.response
        return super().handle_exception(error)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._claim and response.status_code < 400:
            self._claim.status = response.status_code
            self._claim.answer = json.loads(json.dumps(response.data, cls=JSONEncoder))
            self._claim.save(update_fields=["status", "answer"])
        return response
