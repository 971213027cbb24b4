"""Requests byte for byte, as programs that cannot run here send them."""

import socket
from typing import BinaryIO
from urllib.parse import urlsplit


def exchanged(url: str, head: str, body: bytes) -> tuple[str, bytes]:
    """
    Send a request and return the answer's head and body.

    :param head: request line and header lines; `{host}` is the server's, the length is added.
        With `Expect: 100-continue` the body is sent when the server asks for it.
    """
    address = urlsplit(url)
    lines = [line.strip().replace("{host}", address.netloc) for line in head.strip().splitlines()]
    lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as line:
        line.sendall("\r\n".join([*lines, "", ""]).encode())
        stream = line.makefile("rb")
        if any(text.lower().startswith("expect:") for text in lines):
            assert _head(stream).startswith("HTTP/1.1 100 ")
        line.sendall(body)
        answer = _head(stream)
        sizes = [text for text in answer.splitlines() if text.lower().startswith("content-length:")]
        length = int(sizes[0].partition(":")[2]) if sizes else 0
        return answer, stream.read(length)


def _head(stream: BinaryIO) -> str:
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        line = stream.readline()
        assert line, "the server hung up"
        found += line
    return found.decode("latin-1")
