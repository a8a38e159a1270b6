"""When a model process that ended is started again."""

GOOD_SERVICE_SECONDS = 60.0
LONGEST_DELAY_SECONDS = 60.0
STARTS_BEFORE_FAILED = 5


class Backoff:
    """Delays between restarts: none, then 1, 2, 4 … 60 seconds.

    A process that served well for a minute starts with a clean slate. One that ended five times in a row
    without ever becoming ready has `given_up`: it is shown as failed and tried once a minute, because what
    is wrong (a full disk, a missing package) may be repaired from outside.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.never_ready = 0

    @property
    def given_up(self) -> bool:
        return self.never_ready >= STARTS_BEFORE_FAILED

    def ended(self, *, ready_seconds: float | None) -> float:
        """Note an end and return the seconds to wait.

        `ready_seconds`: how long it served, None if it never did.
        """
        if ready_seconds is not None and ready_seconds >= GOOD_SERVICE_SECONDS:
            self.failures = 0
        self.failures += 1
        self.never_ready = self.never_ready + 1 if ready_seconds is None else 0
        return self.delay()

    def delay(self) -> float:
        if self.given_up:
            return LONGEST_DELAY_SECONDS
        if self.failures <= 1:
            return 0.0
        # The exponent is capped so that years of failures cannot overflow a float.
        return min(2.0 ** min(self.failures - 2, 10), LONGEST_DELAY_SECONDS)
