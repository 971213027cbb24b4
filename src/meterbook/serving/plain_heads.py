"""
Heads of requests that offer to upgrade, without the offer.

Nobody is upgraded here. But the parser takes a request that offers it to have no body, and what
follows it to be another protocol: read on, its body would be taken for a request. So its head is
written again without the offer, and read again.
"""

from collections.abc import Sequence


def plain_head(
    *, method: bytes, url: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]
) -> bytes:
    r"""
    Return the head of a request without what offers to upgrade.

    :param headers: their names in small letters.

    >>> offered = [(b"connection", b"close, Upgrade"), (b"upgrade", b"h2c"), (b"host", b"m")]
    >>> plain_head(method=b"GET", url=b"/", version="1.1", headers=offered)
    b'GET / HTTP/1.1\r\nconnection: close\r\nhost: m\r\n\r\n'
    """
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    for name, text in headers:
        if name == b"connection":
            kept = [token for token in text.split(b",") if token.strip().lower() != b"upgrade"]
            lines.append(b"connection: " + b",".join(kept))
        elif name != b"upgrade":
            lines.append(b"%b: %b" % (name, text))
    return b"\r\n".join([*lines, b"", b""])
