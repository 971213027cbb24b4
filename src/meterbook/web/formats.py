"""
Numbers and times as the reader's language writes them.

Babel knows how; what it says of each language is asked once and kept, because a page writes
hundreds of figures.
"""

from datetime import date, datetime, timedelta
from functools import cache, lru_cache

from babel.dates import format_skeleton, format_time, format_timedelta
from babel.numbers import get_decimal_symbol, get_group_symbol

from meterbook.web.languages import language, languages

_MINUS = "\N{MINUS SIGN}"


def number(amount: float, digits: int = 0) -> str:
    """
    Return the number with its thousands apart.

    >>> number(1234.5, 1)
    '1,234.5'
    """
    decimal, group = _symbols(language().code)
    text = f"{abs(amount):,.{digits}f}".translate({ord(","): group, ord("."): decimal})
    return _MINUS + text if amount < 0 and text.strip("0,. ") else text


def kwh(energy_kwh: float, digits: int = 3) -> str:
    """
    Return an energy; all three digits make it exact to 1 Wh.

    >>> kwh(12.345)
    '12.345'
    """
    return number(energy_kwh, digits)


def percent(share: float, digits: int = 0) -> str:
    """
    Return a share of one as percent.

    >>> percent(0.256).split()
    ['26', '%']
    """
    return f"{number(share * 100, digits)}\N{NO-BREAK SPACE}%"


def day(moment: date, skeleton: str = "yMMMd") -> str:
    """
    Return the day; the skeleton says which of its parts, in any order (Unicode TR 35).

    >>> day(date(2025, 2, 8))
    '8 Feb 2025'
    >>> day(date(2025, 2, 8), "MMMEd")
    'Sat 8 Feb'
    """
    return _said(moment.year, moment.month, moment.day, skeleton, language().code)


def moment(instant: datetime) -> str:
    """
    Return a local day and time.

    >>> moment(datetime(2025, 2, 8, 9, 30))
    '8 Feb 2025, 09:30'
    """
    return f"{day(instant)}, {clock(instant)}"


def clock(instant: datetime) -> str:
    """
    Return the time of day.

    >>> clock(datetime(2025, 2, 8, 9, 30))
    '09:30'
    """
    return format_time(instant.time(), "short", locale=language().locale)


def age(seconds: int) -> str:
    """
    Return how long ago something was.

    >>> age(120)
    '2 minutes ago'
    """
    return format_timedelta(
        -timedelta(seconds=seconds), add_direction=True, locale=language().locale
    )


def separators() -> str:
    """Return the decimal sign and that of thousands, as charts want them."""
    return "".join(_symbols(language().code))


@cache
def _symbols(code: str) -> tuple[str, str]:
    locale = languages()[code].locale
    group = get_group_symbol(locale)
    # A group's blank must not end a line.
    return get_decimal_symbol(locale), "\N{NO-BREAK SPACE}" if group.isspace() else group


@lru_cache(maxsize=20_000)
def _said(year: int, month: int, of_month: int, skeleton: str, code: str) -> str:
    at_noon = datetime(year, month, of_month, 12)  # noqa: DTZ001 a day has no zone
    return format_skeleton(skeleton, at_noon, locale=languages()[code].locale)
