"""Failures in one line."""

import sqlalchemy as sa

LINE_CHARACTERS_MAX = 400
FAILURES = (ValueError, LookupError, OSError, RuntimeError, sa.exc.SQLAlchemyError)
"""What is told in one line; anything else is a fault of ours and shows where it was."""


def one_line(error: BaseException) -> str:
    """Return what went wrong in one line, without the statement and without what was stored."""
    if isinstance(error, sa.exc.DBAPIError):
        return f"the database refused: {_first_line(error.orig or error)}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return " ".join(text.splitlines()[0].split())[:LINE_CHARACTERS_MAX]
