"""
Singapore's FIN and NRIC numbers: a letter, seven digits, a check letter.

The check letter is the weighted sum of the digits (2 7 6 5 4 3 2), shifted by 4 for numbers
issued since 2000 (T, G) and by 3 for M, modulo 11. Source: the scheme as published by
Ngiam Shih Tung, "NRIC checksum", and ICA's 2022 announcement of the M series.
"""

import re

_WEIGHTS = (2, 7, 6, 5, 4, 3, 2)
_SHIFTS = {"S": 0, "T": 4, "F": 0, "G": 4, "M": 3}
_CHECK_LETTERS = {
    "S": "JZIHGFEDCBA",
    "T": "JZIHGFEDCBA",
    "F": "XWUTRQPNMLK",
    "G": "XWUTRQPNMLK",
    "M": "XWUTRQPNJLK",
}
_WRITTEN = re.compile(r"[STFGM][0-9]{7}[A-Z]", re.ASCII)


class FinError(ValueError):
    """Not a FIN, or its check letter is wrong. Never carries the number itself."""


def check_fin(written: str) -> str:
    """
    Return the FIN in upper case without blanks.

    :raises FinError: if its form or its check letter is wrong.
    """
    number = "".join(written.split()).upper()
    if not _WRITTEN.fullmatch(number):
        raise FinError("must be a letter of S, T, F, G, M, seven digits and a letter")
    first, digits, last = number[0], number[1:8], number[8]
    total = _SHIFTS[first] + sum(w * int(d) for w, d in zip(_WEIGHTS, digits, strict=True))
    if _CHECK_LETTERS[first][total % 11] != last:
        raise FinError("the check letter does not fit the digits")
    return number


def masked_fin(number: str) -> str:
    """
    Return the FIN as it may be shown.

    >>> masked_fin("A3389127I")
    '*****127I'
    """
    return "*" * max(len(number) - 4, 0) + number[-4:]
