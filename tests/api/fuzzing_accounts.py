"""
For Schemathesis: signs its requests in, and anew when one of them ended the account.

A household is made for each request alone: logging out, changing the password and leaving end the
token they are sent with. Every second well-formed one shows the right password, to succeed.
"""

import os
import time
from itertools import count
from typing import Any

import schemathesis

from callers import PASSWORD, signed_in
from meterbook.registry.accounts import Role
from meterbook.registry.tokens import account_of_token
from meterbook.storage.database import Database

_BOOK = Database(os.environ["FUZZED_DATABASE"])
_ROLE = Role(os.environ["FUZZED_ROLE"])
_NAME = f"{_ROLE}-{os.getpid()}"
_ACCOUNTS = count(1)
_REQUESTS = count(1)


@schemathesis.auth(refresh_interval=None)
class FuzzingAccount:
    """An account for a request; an admin's is used again while it is one."""

    _token = ""

    def get(self, _case: schemathesis.Case[Any], _context: schemathesis.AuthContext) -> str:
        """Return its token."""
        if _ROLE is Role.HOUSEHOLD or not self._is_alive():
            _, self._token = signed_in(_BOOK, f"{_NAME}-{next(_ACCOUNTS)}", role=_ROLE)
        return self._token

    def set(
        self, case: schemathesis.Case[Any], token: str, _context: schemathesis.AuthContext
    ) -> None:
        """Show the token."""
        case.headers["Authorization"] = f"Token {token}"

    def _is_alive(self) -> bool:
        with _BOOK.reading() as connection:
            account = account_of_token(
                connection, secret=self._token, purpose="api", now=int(time.time())
            )
        return account is not None and account.role is _ROLE


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]
) -> None:
    """Show the right password every second time."""
    is_good = case.meta is not None and case.meta.generation.mode.is_positive
    if is_good and isinstance(case.body, dict) and "password" in case.body and next(_REQUESTS) % 2:
        case.body = {**case.body, "password": PASSWORD}
