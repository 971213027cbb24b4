"""
Passwords: argon2id, with the parameters RFC 9106 recommends for small memory.

Checking the password of an account that does not exist takes as long as of one that does.
"""

import os
import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from zxcvbn.frequency_lists import FREQUENCY_LISTS

PASSWORD_CHARACTERS_MIN = 8  # OWASP ASVS 5.0, 6.2.1
PASSWORD_CHARACTERS_MAX = 1024  # bounds the work of a hostile sign-in; ASVS asks for 64 and more

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
# Each hash takes 64 MiB and a core: a flood of sign-ins waits here instead of filling the memory.
_turns = threading.BoundedSemaphore(os.cpu_count() or 1)


class WeakPasswordError(ValueError):
    """A password that may not be chosen. Never carries it."""


def password_hash(password: str) -> str:
    """
    Return what is stored of a password.

    :raises WeakPasswordError: if it is too short, too long or one of the most common.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise WeakPasswordError(
            f"must have {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
        )
    if password.lower() in _frequent_passwords():
        raise WeakPasswordError("is one of the most common passwords; choose another")
    with _turns:
        return _hasher.hash(password)


def password_fits(password: str, stored: str | None) -> bool:
    """Say whether the password is the stored one; takes the same time if nothing is stored."""
    nobodys_hash = _nobodys_hash()
    try:
        with _turns:
            fits = _hasher.verify(stored or nobodys_hash, password[:PASSWORD_CHARACTERS_MAX])
    except (VerificationError, InvalidHashError):
        return False
    return fits and stored is not None


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")


@lru_cache(maxsize=1)
def _frequent_passwords() -> frozenset[str]:
    # The 30,000 most common of leaked passwords, in lower case (OWASP ASVS 5.0, 6.2.4).
    return frozenset(FREQUENCY_LISTS["passwords"])
