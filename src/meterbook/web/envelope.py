"""
Around every answer: the language it is given in, and the headers that keep a page safe.

The policy lets a page run scripts and styles of this server only, nothing inline, talk to this
server only, and be framed by nobody.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from http.cookies import CookieError, SimpleCookie
from typing import Any

from meterbook.web.languages import LANGUAGE_COOKIE, best_language, speak

ASGIApplication = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "font-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
_OUR_COOKIES = b"meterbook_"
_COOKIE_BYTES_MAX = 512
_HEADERS = {
    b"content-security-policy": "; ".join(_POLICY).encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cross-origin-opener-policy": b"same-origin",
}


def in_envelope(
    application: ASGIApplication, *, came_by_tls: Callable[[dict[str, Any]], bool]
) -> ASGIApplication:
    """
    Return the application with the language set for, and safe headers on, each answer.

    :param came_by_tls: says of a request's scope whether it did: then cookies may only go so, too.
    """

    async def enveloped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        scope = {**scope, "headers": own_cookies(scope["headers"])}
        _speak_to(scope["headers"])
        is_encrypted = came_by_tls(scope)

        async def send_safely(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = message | {
                    "headers": safe_headers(message.get("headers", ()), is_encrypted=is_encrypted)
                }
            await send(message)

        await application(scope, receive, send_safely)

    return enveloped


def own_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """
    Return a request's headers without the cookies that other programs of the machine have set.

    Ours are short and never quoted: 64 KiB of quotes take Python's parser seconds, in which no
    other request is answered.
    """
    return [
        (name, text) if name != b"cookie" else (name, b"; ".join(_ours(text)))
        for name, text in headers
    ]


def _ours(header: bytes) -> Iterator[bytes]:
    for cookie in header.split(b";"):
        is_ours = cookie.strip().startswith(_OUR_COOKIES)
        if is_ours and len(cookie) <= _COOKIE_BYTES_MAX and b'"' not in cookie:
            yield cookie.strip()


def _speak_to(headers: Iterable[tuple[bytes, bytes]]) -> None:
    chosen = accepted = ""
    for name, text in headers:
        if name == b"accept-language":
            accepted = text.decode("latin-1")
        elif name == b"cookie" and LANGUAGE_COOKIE.encode() in text:
            chosen = _cookie(text.decode("latin-1"))
    speak(best_language(chosen=chosen, accepted=accepted))


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(LANGUAGE_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def safe_headers(
    headers: Iterable[tuple[bytes, bytes]], *, is_encrypted: bool
) -> list[tuple[bytes, bytes]]:
    """
    Return an answer's headers with those that keep it safe.

    :param is_encrypted: cookies may only go so, too.
    """
    given = [
        (name, text + b"; Secure")
        if is_encrypted and name.lower() == b"set-cookie" and b"; secure" not in text.lower()
        else (name, text)
        for name, text in headers
    ]
    names = {name.lower() for name, _ in given}
    added = [pair for pair in _HEADERS.items() if pair[0] not in names]
    if b"cache-control" not in names:
        added.append((b"cache-control", b"no-store"))
    return [*given, *added]
