"""`/admin/users`."""

import msgspec
from litestar import delete, get, patch
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET, UnsetType

from meterbook.access import Visit
from meterbook.api.wire import Email, ItemId, Limit, Offset, given
from meterbook.registry import users
from meterbook.registry.accounts import Role
from meterbook.registry.users import AccountState, User


class UserChange(msgspec.Struct, frozen=True):
    """What is to be different."""

    email: Email | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    state: AccountState | UnsetType = UNSET


@get("/admin/users", sync_to_thread=True, summary="All users")
def all_users(visit: NamedDependency[Visit], limit: Limit = None, offset: Offset = 0) -> list[User]:
    """List the accounts, deactivated ones included."""
    with visit.reading() as (connection, _):
        return users.users(connection, limit=limit, offset=offset)


@get("/admin/users/{user_id:int}", sync_to_thread=True, summary="A user")
def user(visit: NamedDependency[Visit], user_id: ItemId) -> User:
    """Answer with one account."""
    with visit.reading() as (connection, _):
        return users.user(connection, account_id=user_id)


@patch("/admin/users/{user_id:int}", sync_to_thread=True, summary="Change a user")
def change_user(visit: NamedDependency[Visit], user_id: ItemId, data: JSONBody[UserChange]) -> User:
    """Change one account; one admin must stay."""
    with visit.writing() as (connection, account):
        return users.change_user(
            connection, account_id=user_id, changes=given(data), by=account.id, now=visit.now
        )


@delete("/admin/users/{user_id:int}", sync_to_thread=True, summary="Deactivate a user")
def deactivate_user(visit: NamedDependency[Visit], user_id: ItemId) -> None:
    """Deactivate one account and end its tokens; what it owns stays."""
    with visit.writing() as (connection, account):
        users.change_user(
            connection,
            account_id=user_id,
            changes={"state": AccountState.DEACTIVATED},
            by=account.id,
            now=visit.now,
        )
