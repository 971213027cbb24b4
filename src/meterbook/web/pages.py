"""What every page shares: telling pages from JSON, the frame around them, and the way back."""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request
from litestar.datastructures import Cookie
from litestar.response import Redirect, Template

from meterbook.access import Caller
from meterbook.registry.accounts import Account
from meterbook.web.languages import Language, language, languages
from meterbook.web.navigation import Link, links_of

SIGN_IN_PATH = "/sign-in"
THEME_COOKIE = "meterbook_theme"
THEMES = ("auto", "light", "dark")
_YEAR_S = 365 * 86_400


class Frame(msgspec.Struct, frozen=True):
    """What `base.html` shows around every page."""

    account: Account | None
    links: list[Link]
    language: Language
    languages: list[Language]
    theme: str
    here: str
    """Path and query of this page, to come back to."""


class Confirmation(msgspec.Struct, frozen=True):
    """What `confirm.html` asks before something that cannot be undone."""

    question: str
    consequence: str
    answer: str
    """What the button says: the deed, not "yes"."""
    action: str
    """Where the form is sent."""
    back: str
    """Where the reader goes who does not want it after all."""
    fields: dict[str, str] = {}
    is_dangerous: bool = True


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Say whether the caller is a browser: it asks for HTML before JSON."""
    try:
        accepted = request.accept
    except OverflowError:  # of a quality without end
        return False
    known = ["application/json", "text/html"]
    return accepted.best_match(known, "application/json") == "text/html"


def rendered(
    request: Request[Any, Any, Any],
    caller: Caller,
    template: str,
    *,
    page: object = None,
    status_code: int = 200,
    headers: dict[str, str] | None = None,
    cookies: list[Cookie] | None = None,
) -> Template:
    """
    Return the page: the template with its struct as `page`, in the frame all pages share.

    :param template: a file of `web/templates`.
    """
    return Template(
        template,
        context={"page": page, "frame": _frame(request, caller.account)},
        status_code=status_code,
        headers=headers,
        cookies=cookies,
    )


def sign_in_first(request: Request[Any, Any, Any]) -> Redirect:
    """Send a browser to the sign-in page, which sends it back here."""
    return Redirect(f"{SIGN_IN_PATH}?next={quote(_here(request))}", status_code=303)


def safe_target(target: str) -> str:
    """Return where to go after signing in: a path of ours, whatever a link says."""
    if not target.startswith("/") or target.startswith(("//", "/\\")) or "\n" in target:
        return "/profile"
    return target


def preference_cookie(name: str, choice: str) -> Cookie:
    """Return the cookie that remembers how somebody likes the pages, for a year."""
    return Cookie(
        key=name,
        value=choice,
        httponly=True,
        samesite="lax",
        max_age=_YEAR_S,
        path="/",
    )


def _frame(request: Request[Any, Any, Any], account: Account | None) -> Frame:
    theme = request.cookies.get(THEME_COOKIE, "")
    return Frame(
        account,
        links_of(account, path=request.url.path),
        language(),
        list(languages().values()),
        theme if theme in THEMES else THEMES[0],
        _here(request),
    )


def _here(request: Request[Any, Any, Any]) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")
