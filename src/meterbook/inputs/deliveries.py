"""What one message of a device brought: series of samples, and what became of them."""

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

from meterbook.domain.input_mappings import MILLIONTHS

NAME_CHARACTERS_MAX = 128
DEVICE_CHARACTERS_MAX = 512
UNIT_CHARACTERS_MAX = 20
AMOUNT_MAX = 9 * 10**12  # in millionths it still fits the 64 bits of both engines
AHEAD_MS_MAX = 300_000  # a device's clock may be this much ahead of ours
_EXACT_BELOW = 1e9  # up to here a float times a million is off by less than half
_WHOLE = Decimal(1)

Series = dict[tuple[str, str], dict[int, int]]
"""(device, input) to {when, UTC epoch milliseconds: amount in millionths}; the last one counts."""


class SamplesError(ValueError):
    """Samples that cannot be kept: says what is wrong with them, in the sender's words."""


class Announcement(msgspec.Struct, frozen=True, gc=False):
    """What a device says an input is."""

    unit: str | None = None
    suggested: str | None = None
    """domain.input_mappings.Mapping."""
    source: str | None = None
    """JSON: where a broker's messages have it."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """What one message brought."""

    scheme: str
    series: Series
    key_hash: str | None = None
    """SHA-256 of the key it came with; None: from a trusted network or a broker, without one."""
    named_by_key: bool = False
    """The device is known by its key: its name is the key's label."""
    is_again: bool = False
    """A broker sends it again, and it has no time of its own: what is unchanged is not new."""
    announced: dict[tuple[str, str], Announcement] = {}
    """(device, input) to what the device says it is."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """The samples are on disk."""

    sent_by: int
    """The account of the key; 0: no key."""


class KeyUnknown(msgspec.Struct, frozen=True):
    """No living key of an active account."""


class PoolFull(msgspec.Struct, frozen=True):
    """The sender has as many devices, or the device as many inputs, as there may be."""

    reason: str


Outcome = Taken | KeyUnknown | PoolFull


def millionths(number: float | Decimal) -> int | None:
    """
    Return a number as it is stored, rounded half-even; None if it is none that can be.

    >>> millionths(230.1), millionths(float("nan"))
    (230100000, None)
    """
    if -_EXACT_BELOW < number < _EXACT_BELOW and not isinstance(number, Decimal):
        return round(number * MILLIONTHS)
    # NaN fails every comparison.
    if not -AMOUNT_MAX <= number <= AMOUNT_MAX:
        return None
    exact = number if isinstance(number, Decimal) else Decimal(repr(number))
    return int((exact * MILLIONTHS).quantize(_WHOLE, rounding=ROUND_HALF_EVEN))


def add_sample(series: Series, device: str, name: str, at_ms: int, number: object) -> bool:
    """
    Put a sample where it belongs; False if it is no number, which is missing and not wrong.

    :raises SamplesError: if the device's or the input's name is empty or too long.
    """
    if isinstance(number, str):
        number = number_of(number)
    if not isinstance(number, int | float | Decimal):
        return False
    amount = millionths(number)
    if amount is None:
        return False
    found = series.get((device, name))
    if found is None:
        require_names(device, name)
        found = series[device, name] = {}
    found[at_ms] = amount
    return True


def number_of(written: str) -> Decimal | None:
    """Return the number a text is; None if it is none, or more than a sane number's length."""
    text = written.strip()
    if not text or len(text) > 64 or "_" in text:  # noqa: PLR2004 no number has more digits
        return None
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() and number.adjusted() < 13 else None  # noqa: PLR2004


def require_names(device: str, name: str) -> None:
    """
    Make sure that a device and an input may be called so.

    :raises SamplesError: if not.
    """
    for what, text, most in (
        ("device", device, DEVICE_CHARACTERS_MAX),
        ("input", name, NAME_CHARACTERS_MAX),
    ):
        if not text:
            raise SamplesError(f"the name of the {what} is empty")
        if len(text) > most:
            raise SamplesError(f"the name of the {what} has more than {most} characters")
        if not text.isprintable():
            raise SamplesError(f"the name of the {what} has characters that cannot be shown")


def clean_unit(written: str | None) -> str | None:
    """Return a unit as it may be kept; None for what is none."""
    fits = written and len(written) <= UNIT_CHARACTERS_MAX and written.isprintable()
    return written if fits else None


def require_time(at_ms: int, *, now_ms: int) -> None:
    """
    Make sure that a sample may be of that time.

    :raises SamplesError: if it is before 1970 or more than five minutes ahead.
    """
    if at_ms <= 0:
        raise SamplesError("the time is before 1970: the device's clock is not set")
    if at_ms > now_ms + AHEAD_MS_MAX:
        raise SamplesError("the time is more than 5 minutes in the future")


def sample_count(series: Series) -> int:
    """Return how many samples there are."""
    return sum(map(len, series.values()))
