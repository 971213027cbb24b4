"""Problem documents (RFC 9457): how every door and every route says what is wrong."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

PROBLEM_JSON = "application/problem+json"
FieldErrors = Mapping[str, Sequence[str]]

Send = Callable[[dict[str, Any]], Awaitable[None]]

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    413: "Request too large",
    415: "Unsupported media type",
    429: "Too many requests",
    431: "Request header fields too large",
    500: "Internal error",
    503: "Cannot be stored now",
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One problem document."""

    status: int
    title: str
    detail: str = ""
    errors: FieldErrors = {}
    """Field name to the reasons it is wrong."""
    type: str = "about:blank"


def problem(status: int, detail: str = "", *, errors: FieldErrors | None = None) -> Problem:
    """Return the document for a status, with the status's own title."""
    return Problem(status, TITLES.get(status, "Error"), detail, errors or {})


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Without its length."""
    body: bytes


def problem_answer(document: Problem, *, headers: Mapping[bytes, bytes] | None = None) -> Answer:
    """Return the document as a whole answer."""
    kind = {b"content-type": PROBLEM_JSON.encode()}
    given = tuple((kind | dict(headers or {})).items())
    return Answer(document.status, given, msgspec.json.encode(document))


async def send_answer(send: Send, answer: Answer) -> None:
    """Give a whole answer to a plain ASGI request."""
    headers = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def send_problem(
    send: Send, document: Problem, *, headers: Mapping[bytes, bytes] | None = None
) -> None:
    """Answer a plain ASGI request with the document."""
    await send_answer(send, problem_answer(document, headers=headers))


async def send_json(
    send: Send, status: int, answer: msgspec.Struct, *, headers: Mapping[bytes, bytes] | None = None
) -> None:
    """Answer a plain ASGI request with JSON."""
    body = msgspec.json.encode(answer)
    always = {b"content-type": b"application/json", b"content-length": b"%d" % len(body)}
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": list((always | dict(headers or {})).items()),
        }
    )
    await send({"type": "http.response.body", "body": body})
