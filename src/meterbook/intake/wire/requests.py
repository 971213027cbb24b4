"""A request of a device, read whole, and the exact bytes it is answered with."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from meterbook.intake.bodies import read_body, unpack
from meterbook.problems import Send

FIELDS_MAX = 1_000  # of a form; more is no device


class WireRequest(msgspec.Struct, frozen=True):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes
    scope: dict[str, Any]

    def header(self, name: bytes) -> str:
        """Return a header, or nothing."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def content_type(self) -> str:
        """Return the media type without its parameters."""
        return self.header(b"content-type").partition(";")[0].strip().lower()


class Reply(msgspec.Struct, frozen=True):
    """What to answer."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[bytes, bytes] = {}


async def read_request(scope: dict[str, Any], receive: Any, *, bytes_max: int) -> WireRequest:
    """
    Return the request with its body, unpacked.

    :raises BodyTooLargeError: if it is larger than bytes_max, before or after unpacking.
    :raises MediaTypeError: if its encoding is not known.
    :raises BrokenBodyError: if it ended early, or is not what its encoding says.
    """
    headers = dict(scope["headers"])
    body = await read_body(headers, receive, bytes_max=bytes_max)
    encoding = headers.get(b"content-encoding", b"").decode("latin-1")
    if encoding and body:
        body = unpack(body, encoding=encoding, bytes_max=bytes_max)
    return WireRequest(
        method=scope["method"],
        path=scope["path"],
        query=form_fields(scope["query_string"]),
        headers=headers,
        body=body,
        scope=scope,
    )


def form_fields(written: bytes) -> dict[str, str]:
    """
    Return the fields of a query or a form; of several of one name the last.

    What is not percent-encoded though it should be is taken as it stands: IoTaWatt sends so.
    """
    text = written.decode("utf-8", "replace")
    if text.count("&") > FIELDS_MAX:
        return {}
    return dict(parse_qsl(text, keep_blank_values=True, errors="replace"))


async def send_reply(send: Send, reply: Reply, *, without_body: bool = False) -> None:
    """Answer; to HEAD without the body."""
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *reply.headers.items(),
    ]
    if reply.status == 204:  # noqa: PLR2004 the status itself
        headers = list(reply.headers.items())
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if without_body else reply.body})
