"""A share of the web threads for every endpoint, so that one slow model cannot keep all others waiting."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from core.errors import Unavailable
from core.translation import gettext as _

# An endpoint may hold up to three times the threads that are free: alone at most three quarters of all,
# several at once less each, and some are always left. This is the dynamic threshold of Choudhury and Hahne,
# "Dynamic queue length thresholds for shared-memory packet switches", IEEE/ACM Trans. Networking 6(2), 1998.
SHARE_OF_FREE = 3
# A model that answers in milliseconds frees a slot within this; a hanging one must not hold more threads.
WAIT_SECONDS = 0.1


class Slots:
    """Counts the requests under way per endpoint. One per process, shared by its threads."""

    def __init__(self, threads: int) -> None:
        self._free = threads
        self._held: Counter[tuple[str, str]] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, endpoint: tuple[str, str]) -> Iterator[None]:
        """Count one request of an endpoint. Raises Unavailable when it already has more than its share."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(endpoint), WAIT_SECONDS):
                raise Unavailable(_("Too many requests wait for this model. Try again in a moment."))
            self._held[endpoint] += 1
            self._free -= 1
        try:
            yield
        finally:
            self._release(endpoint)

    def _has_room(self, endpoint: tuple[str, str]) -> bool:
        return self._held.get(endpoint, 0) < SHARE_OF_FREE * self._free

    def _release(self, endpoint: tuple[str, str]) -> None:
        with self._changed:
            self._free += 1
            self._held[endpoint] -= 1
            if not self._held[endpoint]:
                del self._held[endpoint]
            self._changed.notify_all()
