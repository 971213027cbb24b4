"""`/account`: one's e-mail address and password, and where one is signed in."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery
from litestar.response import Redirect, Template

from meterbook.access import Caller, book_of, client_address
from meterbook.domain.local_days import local_time, time_zone
from meterbook.registry.accounts import Account, AccountTakenError
from meterbook.registry.attempts import TooManyAttemptsError
from meterbook.registry.passwords import PASSWORD_CHARACTERS_MAX, WeakPasswordError, password_hash
from meterbook.registry.sessions import Session, sessions_of
from meterbook.registry.sign_in import WrongCredentialsError, check_password
from meterbook.registry.tokens import end_tokens
from meterbook.registry.users import change_password, change_user
from meterbook.web.languages import gettext, marked
from meterbook.web.pages import rendered, sign_in_first, wants_page
from meterbook.web.wrong_fields import PASSWORD_LONG

PATH = "/account"
EMAIL_CHARACTERS_MAX = 254
_DONE = {
    "password": marked("Your password is changed. Every other browser and program is signed out."),
    "email": marked("Your e-mail address is changed."),
    "sessions": marked("Every other browser is signed out."),
}


class PasswordForm(msgspec.Struct, frozen=True):
    """What the password's form sends."""

    password: str = ""
    new_password: str = ""
    repeated: str = ""


class EmailForm(msgspec.Struct, frozen=True):
    """What the address's form sends."""

    email: str = ""
    email_password: str = ""


class ShownSession(msgspec.Struct, frozen=True):
    """One browser that is signed in."""

    since: datetime
    used: datetime
    is_this: bool


class AccountPage(msgspec.Struct, frozen=True):
    """What the page shows."""

    email: str
    sessions: list[ShownSession]
    has_others: bool
    done: str
    """What has just been changed, in words; empty: nothing."""
    errors: dict[str, str]
    zone: str


@get(PATH, sync_to_thread=True, include_in_schema=False)
def account_page(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    done: FromQuery[str] = "",
) -> Template | Redirect:
    """Show what can be changed and where one is signed in."""
    if caller.account is None and wants_page(request):
        return sign_in_first(request)
    return _page(request, caller, now=now, done=done)


@post(f"{PATH}/password", sync_to_thread=True, include_in_schema=False)
def set_password(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    data: Annotated[PasswordForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Template | Redirect:
    """Change the password and end every other session and token."""
    account = caller.signed_in()
    errors = _wrong_password(request, account, data.password, field="password", now=now)
    if not errors and data.new_password != data.repeated:
        errors = {"repeated": gettext("This is not the same as the new password.")}
    if errors:
        return _page(request, caller, now=now, errors=errors)
    try:
        stored = password_hash(data.new_password)
    except WeakPasswordError:
        is_long = len(data.new_password) > PASSWORD_CHARACTERS_MAX
        guessed = gettext("Choose a longer one that nobody would guess.")
        weak = gettext(PASSWORD_LONG) if is_long else guessed
        return _page(request, caller, now=now, errors={"new_password": weak})
    with book_of(request).database.writing() as connection:
        change_password(
            connection,
            account_id=account.id,
            password_hash=stored,
            kept_secret=caller.secret,
            by=account.id,
            now=now,
        )
    return Redirect(f"{PATH}?done=password", status_code=303)


@post(f"{PATH}/email", sync_to_thread=True, include_in_schema=False)
def set_email(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[int],
    data: Annotated[EmailForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Template | Redirect:
    """Change the e-mail address."""
    account = caller.signed_in()
    email = data.email.strip().lower()
    errors = _wrong_password(request, account, data.email_password, field="email_password", now=now)
    if not errors and not _is_address(email):
        errors = {"email": gettext("Enter an e-mail address, as in name@example.com.")}
    if errors:
        return _page(request, caller, now=now, errors=errors, email=data.email)
    try:
        with book_of(request).database.writing() as connection:
            change_user(
                connection, account_id=account.id, changes={"email": email}, by=account.id, now=now
            )
    except AccountTakenError:
        taken = {"email": gettext("Another account has it.")}
        return _page(request, caller, now=now, errors=taken, email=data.email)
    return Redirect(f"{PATH}?done=email", status_code=303)


@post(f"{PATH}/sign-out-others", sync_to_thread=True, include_in_schema=False)
def sign_out_others(request: Request[Any, Any, Any], caller: NamedDependency[Caller]) -> Redirect:
    """End every other session of the account."""
    account = caller.signed_in()
    with book_of(request).database.writing() as connection:
        end_tokens(connection, account_id=account.id, purpose="session", kept_secret=caller.secret)
    return Redirect(f"{PATH}?done=sessions", status_code=303)


ROUTES = Router("/", route_handlers=[account_page, set_password, set_email, sign_out_others])


def _page(
    request: Request[Any, Any, Any],
    caller: Caller,
    *,
    now: int,
    done: str = "",
    errors: dict[str, str] | None = None,
    email: str | None = None,
) -> Template:
    account = caller.signed_in()
    book = book_of(request)
    with book.database.reading() as connection:
        sessions = sessions_of(
            connection,
            account_id=account.id,
            secret=caller.secret,
            now=now,
            idle_s=book.session_idle_s,
        )
    page = AccountPage(
        account.email if email is None else email,
        [_shown(session, book.default_zone) for session in sessions],
        has_others=any(not session.is_this for session in sessions),
        done=gettext(_DONE[done]) if done in _DONE else "",
        errors=errors or {},
        zone=book.default_zone,
    )
    status = 400 if errors else 200
    return rendered(request, caller, "account.html", page=page, status_code=status)


def _wrong_password(
    request: Request[Any, Any, Any], account: Account, password: str, *, field: str, now: int
) -> dict[str, str]:
    book = book_of(request)
    try:
        check_password(
            book.database,
            account=account,
            password=password,
            address=client_address(request),
            limits=book.attempt_limits,
            now=now,
        )
    except WrongCredentialsError:
        return {field: gettext("This is not your present password.")}
    except TooManyAttemptsError:
        return {field: gettext("Too many tries. Wait a minute.")}
    return {}


def _is_address(email: str) -> bool:
    name, at, domain = email.partition("@")
    sound = email.isprintable() and " " not in email and len(email) <= EMAIL_CHARACTERS_MAX
    return bool(name and at and domain and "@" not in domain and sound)


def _shown(session: Session, zone_name: str) -> ShownSession:
    zone = time_zone(zone_name)
    return ShownSession(
        local_time(session.created_at, zone), local_time(session.used_at, zone), session.is_this
    )
