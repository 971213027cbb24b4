"""
Tokens of forms: a form carries one, the browser's cookie the same, and no other site knows it.

Browsers send a cookie to every server of a machine, whatever its port, and keep it when the key it
was signed with is gone. The cookie therefore has a name of our own, and one that this server did
not sign is forgotten: pages then come with a new one.
"""

from typing import Any

from litestar.config.csrf import CSRFConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.types import Receive, Scope, Send

FORM_COOKIE = "meterbook_form"


class FormTokens(CSRFMiddleware):
    """The framework's guard of forms, for whatever browsers send."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forget a cookie that is not of this server, then look at the form's token."""
        cookies = scope["litestar_app"].request_class(scope).cookies
        if FORM_COOKIE in cookies and self._decode_csrf_token(cookies[FORM_COOKIE]) is None:
            del cookies[FORM_COOKIE]
        await super().__call__(scope, receive, send)

    def _decode_csrf_token(self, token: Any) -> str | None:
        # Under the token's name a form may send a file, or letters that no digest has.
        if not isinstance(token, str) or not token.isascii():
            return None
        return super()._decode_csrf_token(token)


def form_tokens(*, secret: str) -> DefineMiddleware:
    """
    Return what refuses forms that are not of our pages.

    :param secret: signs the tokens.
    """
    config = CSRFConfig(secret=secret, cookie_name=FORM_COOKIE, cookie_httponly=True)
    return DefineMiddleware(FormTokens, config=config)
