"""
Heads of packets that were read before: whoever sends the same bytes means the same.

Meters of one kind write the same request line and headers each time, and reading them costs more
than reading the packet. A head is known by all its bytes, so it need not be looked into again.
Those with a key are not kept: there is one for each meter, and a key has no business here.
"""

import msgspec

HEADS_MAX = 1024
HEAD_BYTES_MAX = 1024  # so all of them take a MiB or two
_END = b"\r\n\r\n"


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a packet's request line and headers say."""

    headers: dict[bytes, bytes]
    written: list[tuple[bytes, bytes]]
    """The headers in their order."""
    body_bytes: int
    keep_alive: bool


class PacketHeads:
    """The heads read lately, by their bytes."""

    def __init__(self) -> None:
        """None is known yet."""
        self._known: dict[bytes, Head] = {}

    def find(self, piece: bytes) -> tuple[Head, bytes] | None:
        """Return head and body if the bytes are one whole packet with a known head."""
        end = piece.find(_END) + len(_END)
        head = self._known.get(piece[:end])
        if head is None or len(piece) - end != head.body_bytes:
            return None
        return head, piece[end:]

    def learn(self, head: Head, piece: bytes) -> None:
        """
        Keep a head, if the bytes it was read from are one whole packet and nothing else.

        :param piece: what came at once, beginning with the head's first byte.
        """
        end = len(piece) - head.body_bytes
        is_whole = piece.find(_END) + len(_END) == end
        if not is_whole or end > HEAD_BYTES_MAX:
            return
        if not head.keep_alive or b"authorization" in head.headers:
            return
        if len(self._known) >= HEADS_MAX:
            self._known.clear()
        self._known[piece[:end]] = head
