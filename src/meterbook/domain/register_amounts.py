"""
From a register's number to the whole number a channel keeps: Wh, or thousandths of its unit.

Everything is exact until the last step, which rounds half-even: a scale is a decimal, a scale
factor a power of ten, kilo and mega are 1,000 and 1,000,000. No float is ever multiplied.
"""

from decimal import Decimal
from fractions import Fraction

from meterbook.domain.modbus_numbers import channel_unit

ENERGY_UNIT = "Wh"
AMOUNT_MAX = 2**52  # the minutes of a day still add up within 64 bits
SCALE_FACTOR_MAX = 10  # SunSpec: sunssf is -10 to 10
_PREFIXES = {"k": 1_000, "M": 1_000_000}


def amount_scale(*, scale: Decimal, unit: str) -> Fraction:
    """
    Return what a register's raw number is multiplied by to give the channel's amount.

    :param scale: raw number times this is in `unit`.
    :param unit: the register's: kWh, V, MW, ...

    >>> amount_scale(scale=Decimal("0.1"), unit="kWh"), amount_scale(scale=Decimal(1), unit="V")
    (Fraction(100, 1), Fraction(1000, 1))
    """
    kept_in = channel_unit(unit)
    prefix = _PREFIXES[unit[0]] if kept_in != unit else 1
    return Fraction(scale) * prefix * (1 if kept_in == ENERGY_UNIT else 1_000)


def amount_of(number: int | Decimal, *, scale: Fraction, scale_factor: int = 0) -> int | None:
    """
    Return the amount, rounded half-even; None if the books could not hold a day of it.

    :param scale: as `amount_scale` returns it.
    :param scale_factor: the power of ten of a scale-factor register.

    >>> amount_of(Decimal("230.1"), scale=Fraction(1000))
    230100
    >>> amount_of(25, scale=Fraction(1, 10)), amount_of(35, scale=Fraction(1, 10))
    (2, 4)
    """
    numerator, denominator = number.as_integer_ratio()
    numerator *= scale.numerator
    denominator *= scale.denominator
    if scale_factor > 0:
        numerator *= 10**scale_factor
    elif scale_factor:
        denominator *= 10**-scale_factor
    amount, rest = divmod(numerator, denominator)
    if rest * 2 > denominator or (rest * 2 == denominator and amount % 2):
        amount += 1
    return amount if abs(amount) <= AMOUNT_MAX else None
