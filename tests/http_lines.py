"""HTTP byte for byte: a connection without a client's kindness."""

import re
import socket

from servers import Server

PATIENCE_S_MAX = 20


def connected(server: Server) -> socket.socket:
    """Return a connection."""
    port = int(server.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S_MAX)


def all_of(line: socket.socket) -> bytes:
    """Return what comes until the server closes."""
    parts = []
    try:
        while part := line.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answers(came: bytes) -> list[tuple[int, bytes]]:
    """Return status and body of each answer, in their order."""
    found = []
    while came:
        head, _, came = came.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        size = re.search(rb"(?mi)^content-length: (\d+)", head)
        assert size
        length = int(size[1])
        found.append((status, came[:length]))
        came = came[length:]
    return found


def exchanged(server: Server, *requests: bytes) -> list[tuple[int, bytes]]:
    """Send requests at once over one connection that is to end with the last answer."""
    last = b"GET /health/live HTTP/1.1\r\nHost: meterbook\r\nConnection: close\r\n\r\n"
    with connected(server) as line:
        line.sendall(b"".join([*requests, last]))
        found = answers(all_of(line))
    assert found[-1][0] == 200
    return found[:-1]
