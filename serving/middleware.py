"""The short way of predictions: most requests are these, and most of what Django does is for pages and sessions."""

import re
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse

from serving.api.invocations import invocations

# As the routes have it; a test holds the two together.
PATH = re.compile(r"/api/v1/ml/lifecycle/serve/([^/]+)/([^/]+)/invocations")
TOKEN_SCHEMES = ("bearer ", "basic ")


class PredictionMiddleware:
    """Answers a request for a prediction that carries a token; all others go on, to the same view if they ask for it.

    What stands before this in MIDDLEWARE holds for predictions too: request id, HTTPS and content policy. What follows
    does not: a token needs no session and no CSRF token, JSON no messages, and numbers no language; the view words
    its refusals in the caller's. A host that is not allowed goes on, to be refused as on every other path.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token_given = request.META.get("HTTP_AUTHORIZATION", "").lower().startswith(TOKEN_SCHEMES)
        if token_given and (found := PATH.fullmatch(request.path_info)) and _is_for_us(request):
            response = invocations(request, *found.groups())
            response.headers["Content-Length"] = str(len(response.content))
            return response
        return self.get_response(request)


def _is_for_us(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True
