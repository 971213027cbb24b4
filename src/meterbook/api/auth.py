"""`/auth`: register, log in, log out, who am I, change the password, leave."""

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from meterbook.access import Visit, book_of, client_address
from meterbook.api.wire import Email, Password, Username
from meterbook.registry.accounts import Account
from meterbook.registry.passwords import password_hash
from meterbook.registry.sign_in import check_password, register, sign_in
from meterbook.registry.tokens import end_token
from meterbook.registry.users import AccountState, change_password, change_user


class Registration(msgspec.Struct, frozen=True):
    """A new account."""

    username: Username
    email: Email
    password: Password


class Credentials(msgspec.Struct, frozen=True):
    """A name and its password."""

    username: Username
    password: Password


class PasswordChange(msgspec.Struct, frozen=True):
    """The password of now and the one to be."""

    password: Password
    new_password: Password


class PasswordProof(msgspec.Struct, frozen=True):
    """The password, to show that the token's holder is the account's."""

    password: Password


class PublicAccount(msgspec.Struct, frozen=True):
    """An account as its owner sees it."""

    id: int
    username: str
    email: str


class SignedIn(msgspec.Struct, frozen=True):
    """An account and the token to show from now on; the token is shown this once."""

    user: PublicAccount
    token: str


@post("/auth/register", sync_to_thread=True, summary="Register a new user")
def register_user(
    request: Request[Any, Any, Any], now: NamedDependency[int], data: JSONBody[Registration]
) -> SignedIn:
    """Make an account and answer with its first token."""
    book = book_of(request)
    account, token = register(
        book.database,
        username=data.username,
        email=data.email,
        password=data.password,
        address=client_address(request),
        limits=book.attempt_limits,
        valid_s=book.token_valid_s,
        now=now,
    )
    return SignedIn(_public(account), token)


@post("/auth/login", status_code=200, sync_to_thread=True, summary="Log in")
def log_in(
    request: Request[Any, Any, Any], now: NamedDependency[int], data: JSONBody[Credentials]
) -> SignedIn:
    """Answer with a new token; older ones of the account end."""
    book = book_of(request)
    account, token = sign_in(
        book.database,
        username=data.username,
        password=data.password,
        address=client_address(request),
        purpose="api",
        limits=book.attempt_limits,
        valid_s=book.token_valid_s,
        now=now,
    )
    return SignedIn(_public(account), token)


@post("/auth/logout", status_code=204, sync_to_thread=True, summary="Log out")
def log_out(visit: NamedDependency[Visit]) -> None:
    """End the token shown."""
    with visit.writing() as (connection, _):
        end_token(connection, secret=visit.secret or "")


@get("/auth/info", sync_to_thread=True, summary="Who am I?")
def my_account(visit: NamedDependency[Visit]) -> PublicAccount:
    """Answer with the account of the token."""
    return _public(visit.account())


@post("/auth/password", status_code=204, sync_to_thread=True, summary="Change the password")
def change_my_password(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], data: JSONBody[PasswordChange]
) -> None:
    """Change it and end every other token and session of the account."""
    _prove(request, visit, data.password)
    stored = password_hash(data.new_password)
    with visit.writing() as (connection, account):
        change_password(
            connection,
            account_id=account.id,
            password_hash=stored,
            kept_secret=visit.secret,
            by=account.id,
            now=visit.now,
        )


@post("/auth/deactivate", status_code=204, sync_to_thread=True, summary="Deactivate the account")
def deactivate_me(
    request: Request[Any, Any, Any], visit: NamedDependency[Visit], data: JSONBody[PasswordProof]
) -> None:
    """Deactivate the account and end its tokens; what it owns stays."""
    _prove(request, visit, data.password)
    with visit.writing() as (connection, account):
        change_user(
            connection,
            account_id=account.id,
            changes={"state": AccountState.DEACTIVATED},
            by=account.id,
            now=visit.now,
        )


def _prove(request: Request[Any, Any, Any], visit: Visit, password: str) -> None:
    check_password(
        visit.book.database,
        account=visit.account(),
        password=password,
        address=client_address(request),
        limits=visit.book.attempt_limits,
        now=visit.now,
    )


def _public(account: Account) -> PublicAccount:
    return PublicAccount(account.id, account.username, account.email)
