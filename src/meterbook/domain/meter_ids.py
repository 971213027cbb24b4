"""
Meter IDs: 1 to 999999999, written with or without dashes.

`999-999-999`, `"999999999"` and `999999999` are the same meter.
"""

import re

METER_ID_MAX = 999_999_999
_WRITTEN = re.compile(r"[0-9]+(?:-[0-9]+)*", re.ASCII)
_WRITTEN_CHARACTERS_MAX = 32  # nine digits, with room for leading zeros and dashes


class MeterIdError(ValueError):
    """Not a meter ID."""


def meter_id(written: int | str) -> int:
    """
    Return the meter ID that a person or a meter wrote.

    >>> meter_id("999-999-999")
    999999999

    :raises MeterIdError: if it is not 1 to 999999999, with or without dashes between digits.
    """
    if isinstance(written, str):
        text = written.strip()
        if len(text) > _WRITTEN_CHARACTERS_MAX or not _WRITTEN.fullmatch(text):
            raise MeterIdError("must be 1 to 999999999, with or without dashes")
        number = int(text.replace("-", ""))
    else:
        number = written
    if isinstance(number, bool) or not 1 <= number <= METER_ID_MAX:
        raise MeterIdError("must be 1 to 999999999, with or without dashes")
    return number


def dashed(number: int) -> str:
    """
    Return the meter ID as pages show it.

    >>> dashed(1234567)
    '001-234-567'
    """
    digits = f"{number:09d}"
    return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
