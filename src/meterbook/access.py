"""
Who is calling, and what they may see: one answer for pages and for the API.

A program shows a token (`Authorization: Token ...` or `Bearer ...`), a browser a session cookie.

    page ─► Caller: looked up once, before the route        (cookie or token)
    API  ─► Visit: looked up in the transaction that answers (token only, roles by the route)
"""

import asyncio
import re
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec
import sqlalchemy as sa
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, NotFoundException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from meterbook.domain.host_probes import HostProbe
from meterbook.domain.import_reports import Importing
from meterbook.domain.meter_ids import MeterIdError, meter_id
from meterbook.domain.networks import Network, address_behind, is_within
from meterbook.domain.region_shapes import RegionMap
from meterbook.queries.meter_places import MeterPlace, meter_place
from meterbook.registry.accounts import Account, Role
from meterbook.registry.personal_data import PersonalData
from meterbook.registry.poll_plans import PolledHost
from meterbook.registry.sign_in import AttemptLimits
from meterbook.registry.sunspec_layouts import SunSpecDevice
from meterbook.registry.tokens import account_of_token, is_due_for_touch, touch_token
from meterbook.storage.database import Database

SESSION_COOKIE = "meterbook_session"
_TOKEN = re.compile(r"\s*(?:token|bearer)\s+(\S{1,256})\s*", re.IGNORECASE)
# Of any other scheme are the credentials for a proxy in front, which often passes them on.
_OURS = re.compile(r"\s*(?:token|bearer)(?:\s|$)", re.IGNORECASE)

_BASIC = re.compile(r"\s*basic\s+([A-Za-z0-9+/=]{1,512})\s*", re.IGNORECASE)
# Only here: a browser sends Basic credentials by itself, so they must open nothing that changes.
_NAMES_ARE_TOKENS = "/v1/electricity-meter-points/"


class Book(msgspec.Struct, frozen=True):
    """What every route needs: the database and the few settings routes depend on."""

    database: Database
    personal: PersonalData
    default_zone: str
    token_valid_s: int | None
    """For how long an API token is valid; None: until the next sign-in."""
    session_idle_s: int
    probe: Callable[[PolledHost], Awaitable[HostProbe]]
    """Reads a host once, now, in turn with the collector."""
    discover: Callable[[PolledHost], Awaitable[SunSpecDevice]]
    """Asks a SunSpec host what it is, in turn with the collector."""
    import_file: Importing
    """Imports a file that a caller has sent."""
    upload_bytes_max: int
    session_s_max: int = 90 * 86_400
    """How long a session may last, however much it is used."""
    attempt_limits: AttemptLimits = AttemptLimits()
    trusted_proxies: Sequence[Network] = ()
    region_group_min: int = 10
    """Homes that must have reported a day before households see their average."""
    region_map: RegionMap | None = None
    """Shapes of the regions; None: no map."""
    broker: tuple[str, int] = ("", 0)
    """Host and port of the MQTT broker that is listened to; empty: there is none."""
    is_stopping: Callable[[], bool] = lambda: False
    """Whether this process has been told to stop."""


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


class Visit:
    """One call of a program: its token is looked at in the very transaction that answers it."""

    def __init__(self, book: Book, *, secret: str | None, roles: Sequence[Role], now: int) -> None:
        """Prepare; nothing is looked up yet."""
        self.book = book
        self.now = now
        self.secret = secret
        self._roles = roles

    @contextmanager
    def reading(self) -> Iterator[tuple[sa.Connection, Account]]:
        """
        Give a connection that reads, and who is calling.

        :raises NotAuthorizedException: if the token is dead or there is none.
        :raises PermissionDeniedException: if the account's role may not.
        """
        with self.book.database.reading() as connection:
            yield connection, self._account(connection)

    @contextmanager
    def writing(self) -> Iterator[tuple[sa.Connection, Account]]:
        """
        Give a connection in a transaction that writes, and who is calling.

        :raises NotAuthorizedException: if the token is dead or there is none.
        :raises PermissionDeniedException: if the account's role may not.
        """
        with self.book.database.writing() as connection:
            yield connection, self._account(connection)

    def account(self) -> Account:
        """
        Return who is calling.

        :raises NotAuthorizedException: if the token is dead or there is none.
        :raises PermissionDeniedException: if the account's role may not.
        """
        with self.reading() as (_, account):
            return account

    def _account(self, connection: sa.Connection) -> Account:
        account = self.secret and account_of_token(
            connection, secret=self.secret, purpose="api", now=self.now
        )
        return Caller(account or None).with_role(*self._roles)


def book_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Book:
    """Return the book of the running application."""
    book: Book = connection.app.state.book
    return book


def provide_now() -> int:
    """Return the present instant, UTC epoch seconds: the one clock of the routes."""
    return int(time.time())


def provide_visit(request: ASGIConnection[Any, Any, Any, Any], now: NamedDependency[int]) -> Visit:
    """Return the call of a program; who may is the route's `roles`."""
    return Visit(
        book_of(request),
        secret=shown_token(request),
        roles=request.route_handler.opt["roles"],
        now=now,
    )


async def token_before_body(
    connection: ASGIConnection[Any, Any, Any, Any], _route: BaseRouteHandler
) -> None:
    """
    Look at the token before the body: who may not call is not told what is wrong with it.

    :raises NotAuthorizedException: if there is no token, or it is dead.
    :raises PermissionDeniedException: if the account's role may not.
    """
    visit = provide_visit(connection, provide_now())
    if connection.scope.get("method") != "GET":
        await asyncio.to_thread(visit.account)
    elif visit.secret is None:
        Caller(None).signed_in()


def shown_token(request: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    """Return the token in the request's header; None if there is none."""
    written = request.headers.get("authorization", "")
    if request.url.path.startswith(_NAMES_ARE_TOKENS):
        written = _named_token(written)
    return token_written(written)


def token_written(written: str) -> str | None:
    """Return the token of an Authorization header; None if it holds none."""
    match = _TOKEN.fullmatch(written)
    return match[1] if match else None


def _named_token(written: str) -> str:
    """Return `Token ...` of Basic credentials whose name is a token, as those clients send it."""
    match = _BASIC.fullmatch(written)
    if match is None:
        return written
    try:
        name = b64decode(match[1], validate=True).decode("ascii").partition(":")[0]
    except ValueError:
        return ""
    return f"Token {name}"


def client_address(request: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return where the request comes from: behind trusted proxies, what they say."""
    return sender_address(request.scope, proxies=book_of(request).trusted_proxies)


def sender_address(scope: Mapping[str, Any], *, proxies: Sequence[Network]) -> str:
    """Return the same for a request that no framework has seen."""
    # Some proxies add a line of their own below the client's.
    told = [text for name, text in scope["headers"] if name == b"x-forwarded-for"]
    client = scope.get("client") or ("",)
    return address_behind(client[0], b",".join(told).decode("latin-1"), proxies)


def came_by_tls(scope: Mapping[str, Any], *, proxies: Sequence[Network]) -> bool:
    """Say whether the request travelled encrypted: behind trusted proxies, what they say."""
    if scope.get("scheme") == "https":
        return True
    client = scope.get("client")
    if not client or not is_within(client[0], proxies):
        return False
    said = [text for name, text in scope["headers"] if name == b"x-forwarded-proto"]
    return bool(said) and said[-1].rpartition(b",")[2].strip().lower() == b"https"


def provide_caller(
    request: ASGIConnection[Any, Any, Any, Any], now: NamedDependency[int]
) -> Caller:
    """Return who is calling; a token in the header wins over the cookie."""
    database = book_of(request).database
    if _OURS.match(request.headers.get("authorization", "")):
        secret = shown_token(request) or ""
        with database.reading() as connection:
            account = account_of_token(connection, secret=secret, purpose="api", now=now)
        return Caller(account, secret if account else None)
    secret = request.cookies.get(SESSION_COOKIE, "")
    # A route without CSRF protection must not act on a cookie that any site can send.
    route = request.scope.get("route_handler")
    if not secret or (route is not None and route.opt.get("exclude_from_csrf")):
        return Caller(None)
    return _caller_of_session(database, secret, now=now, idle_s=book_of(request).session_idle_s)


def has_session(
    headers: Iterable[tuple[bytes, bytes]], *, database: Database, now: int, idle_s: int
) -> bool:
    """Say whether a request that no framework has seen comes from somebody signed in."""
    cookies: SimpleCookie = SimpleCookie()
    for name, text in headers:
        if name == b"cookie":
            with suppress(CookieError):
                cookies.load(text.decode("latin-1"))
    session = cookies.get(SESSION_COOKIE)
    with suppress(sa.exc.SQLAlchemyError):  # the route will say that the database is away
        if session is not None:
            caller = _caller_of_session(database, session.value, now=now, idle_s=idle_s)
            return caller.account is not None
    return False


def _caller_of_session(database: Database, secret: str, *, now: int, idle_s: int) -> Caller:
    with database.reading() as connection:
        account = account_of_token(
            connection, secret=secret, purpose="session", now=now, idle_s=idle_s
        )
        if account is None:
            return Caller(None)
        due = is_due_for_touch(connection, secret=secret, now=now)
    if due:  # so that the session does not time out under one's hands
        with database.writing() as connection:
            touch_token(connection, secret=secret, now=now)
    return Caller(account, secret)


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
