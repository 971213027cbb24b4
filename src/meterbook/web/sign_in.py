"""The sign-in page: a name, a password, a session cookie."""

from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery
from litestar.response import Redirect, Template

from meterbook.access import SESSION_COOKIE, Caller, book_of, client_address
from meterbook.registry.sign_in import WrongCredentialsError
from meterbook.registry.sign_in import sign_in as start_session
from meterbook.registry.tokens import end_token
from meterbook.web.pages import SIGN_IN_PATH, rendered, safe_target

SESSION_S_MAX = 60 * 60 * 24 * 90  # a session ends after this long, however much it is used


class SignInForm(msgspec.Struct, frozen=True):
    """What the form sends."""

    username: str
    password: str
    next: str = ""


class SignInPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    target: str
    """Where to go afterwards."""
    username: str = ""
    is_refused: bool = False
    """Whether the last try failed."""


@get(SIGN_IN_PATH, sync_to_thread=False, include_in_schema=False)
def sign_in_page(
    request: Request[Any, Any, Any],
    next: FromQuery[str] = "",  # noqa: A002 the query's name
) -> Template:
    """Show the form."""
    return rendered(request, Caller(None), "sign_in.html", page=SignInPage(safe_target(next)))


@post(SIGN_IN_PATH, sync_to_thread=True, include_in_schema=False)
def sign_in(
    request: Request[Any, Any, Any],
    now: NamedDependency[int],
    data: Annotated[SignInForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Redirect | Template:
    """Start a session, or show the form again."""
    book = book_of(request)
    target = safe_target(data.next)
    try:
        _, secret = start_session(
            book.database,
            username=data.username,
            password=data.password,
            address=client_address(request),
            purpose="session",
            limits=book.attempt_limits,
            valid_s=SESSION_S_MAX,
            now=now,
        )
    except WrongCredentialsError:
        page = SignInPage(target, data.username, is_refused=True)
        return rendered(request, Caller(None), "sign_in.html", page=page, status_code=401)
    return Redirect(target, status_code=303, cookies=[session_cookie(request, secret)])


@post("/sign-out", sync_to_thread=True, include_in_schema=False)
def sign_out(request: Request[Any, Any, Any], caller: NamedDependency[Caller]) -> Redirect:
    """End the session."""
    if caller.secret:
        with book_of(request).database.writing() as connection:
            end_token(connection, secret=caller.secret)
    response = Redirect("/", status_code=303)
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


def session_cookie(request: Request[Any, Any, Any], secret: str) -> Cookie:
    """Return the cookie that keeps somebody signed in."""
    return Cookie(
        key=SESSION_COOKIE,
        value=secret,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
        max_age=SESSION_S_MAX,
        path="/",
    )
