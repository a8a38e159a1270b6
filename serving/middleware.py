"""The short way of predictions: most requests are these, and most of what Django does is for pages and sessions."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from serving.api.invocations import invocations

# As the routes have it; a test holds the two together.
PATH = re.compile(r"/api/v1/ml/lifecycle/serve/([^/]+)/([^/]+)/invocations")
TOKEN_SCHEMES = ("bearer ", "basic ")


class PredictionMiddleware:
    """Answers a request for a prediction that carries a token; all others go on, to the same view if they ask for it.

    What stands before this in MIDDLEWARE holds for predictions too: request id, HTTPS, content policy, language
    and allowed hosts. What follows does not: a token needs no session and no CSRF token, and JSON no messages.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token_given = request.META.get("HTTP_AUTHORIZATION", "").lower().startswith(TOKEN_SCHEMES)
        if token_given and (found := PATH.fullmatch(request.path_info)):
            return invocations(request, *found.groups())
        return self.get_response(request)
