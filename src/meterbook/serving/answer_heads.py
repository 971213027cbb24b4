"""Heads of answers: the same bytes until the date in them changes, so made once a second."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Headers = Sequence[tuple[bytes, bytes]]


class AnswerHeads:
    """The heads written lately."""

    def __init__(self) -> None:
        """None is written yet."""
        self._always: Headers = ()
        self._written: dict[tuple[int, Headers, bool], bytes] = {}

    def before_length(self, always: Headers, status: int, headers: Headers, closes: bool) -> bytes:
        """
        Return an answer's status line and headers, up to the number of bytes in its body.

        :param always: headers of every answer; another list when one of them is another.
        :param headers: a tuple, of which there are few.
        """
        if always is not self._always:
            self._always, self._written = always, {}
        key = (status, headers, closes)
        head = self._written.get(key)
        if head is None:
            closing = ((b"connection", b"close"),) if closes else ()
            lines = [b"%b: %b\r\n" % header for header in (*always, *headers, *closing)]
            head = b"".join([STATUS_LINE[status], *lines, b"content-length: "])
            self._written[key] = head
        return head
