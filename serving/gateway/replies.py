"""Reading what a replica answers. It is not trusted: neither the form of its answer nor its length."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# A model process must not be able to fill the gateway's memory.
LONGEST_REPLY = 64 * 2**20
# Heads and trailers are put together from pieces, which takes the square of their length.
LONGEST_HEAD = 64 * 2**10


class Malformed(Exception):
    """It is no HTTP answer."""


class TooLong(Exception):
    """It is an answer of more than `LONGEST_REPLY` bytes."""


class Reply:
    """One answer, as it comes in: whole once `complete`, and `reusable` says whether its connection is."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.complete = self.reusable = False
        self._pieces: list[bytes] = []
        self._length = self._without_body = 0
        self._parser = HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> None:
        """Take in what came next. Raises Malformed and TooLong."""
        self._length += len(data)
        self._without_body += len(data)
        if self._length > LONGEST_REPLY:
            raise TooLong
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            raise Malformed(str(error)) from error
        if self._without_body > LONGEST_HEAD and not self.complete:
            raise Malformed(f"more than {LONGEST_HEAD} bytes of headers")

    # -- called by the parser --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("more than one answer to one request")
        self.headers.clear()  # what came before was an interim answer

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, piece: bytes) -> None:
        self._without_body = 0
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.complete = self.status >= 200
        self.reusable = self._parser.should_keep_alive()
