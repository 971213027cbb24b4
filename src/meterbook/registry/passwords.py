"""
Passwords: argon2id, with the parameters RFC 9106 recommends for small memory.

Checking the password of an account that does not exist takes as long as of one that does.
"""

from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

PASSWORD_CHARACTERS_MIN = 8  # OWASP ASVS 5.0, 6.2.1
PASSWORD_CHARACTERS_MAX = 1024  # bounds the work of a hostile sign-in; ASVS asks for 64 and more

_hasher = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


class WeakPasswordError(ValueError):
    """A password that may not be chosen. Never carries it."""


def password_hash(password: str) -> str:
    """
    Return what is stored of a password.

    :raises WeakPasswordError: if it is too short or too long.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise WeakPasswordError(
            f"must have {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters"
        )
    return _hasher.hash(password)


def password_fits(password: str, stored: str | None) -> bool:
    """Say whether the password is the stored one; takes the same time if nothing is stored."""
    try:
        fits = _hasher.verify(stored or _nobodys_hash(), password[:PASSWORD_CHARACTERS_MAX])
    except (VerificationError, InvalidHashError):
        return False
    return fits and stored is not None


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")
