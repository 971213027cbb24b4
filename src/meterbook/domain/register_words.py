"""
Between the 16-bit words of registers and numbers, both ways.

A float is the shortest decimal text that its width cannot tell from it: a float32 register that
shows 230.1 is 230.1 here, not the 230.10000610 that it becomes as a float64. What means "no
value", a sentinel or a NaN, is None and never a number.
"""

import struct
from collections.abc import Collection, Sequence
from decimal import Decimal
from math import isfinite

from meterbook.domain.modbus_numbers import NumberType, WordOrder

WORD_BITS = 16
WORD_MAX = 0xFFFF

_SIGNED = {NumberType.INT16, NumberType.INT32, NumberType.INT64}
_FLOATS = {NumberType.FLOAT32: struct.Struct(">f"), NumberType.FLOAT64: struct.Struct(">d")}
_FLOAT32_DIGITS = (6, 7, 8, 9)  # any 6 digits survive a float32; 9 tell any two apart


class NumberOutOfRangeError(ValueError):
    """A number that the register's type cannot hold."""


def number_of_words(
    words: Sequence[int],
    *,
    number_type: NumberType,
    word_order: WordOrder = WordOrder.HIGH_FIRST,
    missing: Collection[int] = (),
) -> int | Decimal | None:
    """
    Return the number that the words hold; None if it means "no value".

    :param words: as they follow one another in the register, shape (number_type.words,).
    :param missing: raw numbers that mean "no value", written signed or unsigned; of a float, its
        bits or the number itself.

    >>> number_of_words([0x4366, 0x199A], number_type=NumberType.FLOAT32)
    Decimal('230.1')
    >>> number_of_words([0x8000], number_type=NumberType.INT16, missing=[0x8000]) is None
    True
    """
    bits = 0
    for word in words if word_order is WordOrder.HIGH_FIRST else reversed(words):
        bits = bits << WORD_BITS | word
    if bits in missing:
        return None
    if number_type in _FLOATS:
        return _float_of_bits(bits, number_type, missing)
    width = WORD_BITS * number_type.words
    if number_type in _SIGNED and bits >> (width - 1):
        bits -= 1 << width
        return None if bits in missing else bits
    # A sentinel of an unsigned number may be written as the signed one of the same bits.
    return None if missing and bits - (1 << width) in missing else bits


def words_of_number(
    number: Decimal | float,
    *,
    number_type: NumberType,
    word_order: WordOrder = WordOrder.HIGH_FIRST,
) -> list[int]:
    """
    Return the words that hold the number, as they follow one another.

    :raises NumberOutOfRangeError: if the type cannot hold it.

    >>> words_of_number(305419896, number_type=NumberType.INT32, word_order=WordOrder.LOW_FIRST)
    [22136, 4660]
    """
    width = WORD_BITS * number_type.words
    try:
        if number_type in _FLOATS:
            packed = _FLOATS[number_type].pack(float(number))
        else:
            packed = int(number).to_bytes(width // 8, "big", signed=number_type in _SIGNED)
    except (OverflowError, struct.error):
        raise NumberOutOfRangeError(f"{number} does not fit into {number_type.name}") from None
    words = [int.from_bytes(packed[at : at + 2], "big") for at in range(0, len(packed), 2)]
    return words if word_order is WordOrder.HIGH_FIRST else words[::-1]


def _float_of_bits(bits: int, number_type: NumberType, missing: Collection[int]) -> Decimal | None:
    packing = _FLOATS[number_type]
    packed = bits.to_bytes(2 * number_type.words, "big")
    number: float = packing.unpack(packed)[0]
    if not isfinite(number) or (missing and number in missing):
        return None
    if number_type is NumberType.FLOAT64:
        return Decimal(repr(number))
    for digits in _FLOAT32_DIGITS:
        text = f"{number:.{digits}g}"
        if packing.pack(float(text)) == packed:
            break
    return Decimal(text)
