"""
Who is calling, and what they may see: one answer for pages and for the API.

A program shows a token (`Authorization: Token ...` or `Bearer ...`), a browser a session cookie.
"""

import re
import time
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException

from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.queries.meter_places import MeterPlace, meter_place
from meterbook.registry.accounts import Account, Role
from meterbook.registry.personal_data import PersonalData
from meterbook.registry.tokens import account_of_token, is_due_for_touch, touch_token
from meterbook.storage.database import Database

SESSION_COOKIE = "meterbook_session"
_TOKEN = re.compile(r"\s*(?:token|bearer)\s+(\S{1,256})\s*", re.IGNORECASE)


class Book(msgspec.Struct, frozen=True):
    """What every route needs: the database and the few settings routes depend on."""

    database: Database
    personal: PersonalData
    default_zone: str
    token_valid_s: int | None
    """For how long an API token is valid; None: until the next sign-in."""
    session_idle_s: int


class Caller(msgspec.Struct, frozen=True):
    """Who is calling."""

    account: Account | None
    """None: nobody, or a token that is dead."""
    secret: str | None = None
    """The token or session they showed, to end it at sign-out."""

    def signed_in(self) -> Account:
        """
        Return the account.

        :raises NotAuthorizedException: if nobody is signed in.
        """
        if self.account is None:
            raise NotAuthorizedException("sign in first", headers={"WWW-Authenticate": "Token"})
        return self.account

    def with_role(self, *roles: Role) -> Account:
        """
        Return the account if it has one of the roles.

        :raises NotAuthorizedException: if nobody is signed in.
        :raises PermissionDeniedException: if the account's role is none of them.
        """
        account = self.signed_in()
        if account.role not in roles:
            raise PermissionDeniedException("your role may not do this")
        return account


def book_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Book:
    """Return the book of the running application."""
    book: Book = connection.app.state.book
    return book


def provide_now() -> int:
    """Return the present instant, UTC epoch seconds: the one clock of the routes."""
    return int(time.time())


def provide_caller(request: ASGIConnection[Any, Any, Any, Any], now: int) -> Caller:
    """Return who is calling; a header wins over the cookie."""
    book = book_of(request)
    header = request.headers.get("authorization")
    with book.database.reading() as connection:
        if header is not None:
            match = _TOKEN.fullmatch(header)
            secret = match[1] if match else ""
            account = account_of_token(connection, secret=secret, purpose="api", now=now)
        else:
            secret = request.cookies.get(SESSION_COOKIE, "")
            # A route without CSRF protection must not act on a cookie that any site can send.
            if not secret or request.route_handler.opt.get("exclude_from_csrf"):
                return Caller(None)
            account = account_of_token(
                connection, secret=secret, purpose="session", now=now, idle_s=book.session_idle_s
            )
    return Caller(account, secret if account else None)


def keep_session(book: Book, caller: Caller, *, now: int) -> None:
    """Note that the session was used, so that it does not time out under one's hands."""
    if not caller.secret:
        return
    with book.database.reading() as connection:
        due = is_due_for_touch(connection, secret=caller.secret, now=now)
    if due:
        with book.database.writing() as connection:
            touch_token(connection, secret=caller.secret, now=now)


def visible_meter(connection: sa.Connection, *, caller: Account, written_id: str) -> MeterPlace:
    """
    Return the meter if the caller may see it.

    :raises NotFoundException: if not, and also if there is none: nobody learns which.
    """
    try:
        number = meter_id(written_id)
    except MeterIdError:
        raise NotFoundException("no such meter") from None
    place = meter_place(connection, meter_id=number)
    if place is None or not (caller.sees_every_meter or place.account_id == caller.id):
        raise NotFoundException("no such meter")
    return place
