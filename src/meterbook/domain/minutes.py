"""
One minute of a measurement of the moment: the mean of its samples, their least and their greatest.

A host read once a minute has one sample a minute, which is all three.
"""

import msgspec

MINUTE_S = 60


class Minute(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The samples of one minute so far, in thousandths of the unit."""

    starts_at: int
    """UTC epoch seconds."""
    samples: int
    total: int
    lowest: int
    highest: int

    @property
    def mean(self) -> int:
        """The mean, rounded half-even."""
        quotient, rest = divmod(self.total, self.samples)
        twice = 2 * rest - self.samples
        return quotient + (twice > 0 or (twice == 0 and quotient % 2 == 1))


def minute_of(instant_ms: int) -> int:
    """Return the start of the minute an instant falls in, UTC epoch seconds."""
    return instant_ms // 60_000 * MINUTE_S


def with_sample(minute: Minute | None, *, at_ms: int, amount: int) -> Minute:
    """Return the minute with one more sample; a sample of another minute begins that one."""
    starts_at = minute_of(at_ms)
    if minute is None or minute.starts_at != starts_at:
        return Minute(starts_at, 1, amount, amount, amount)
    return Minute(
        starts_at,
        minute.samples + 1,
        minute.total + amount,
        min(minute.lowest, amount),
        max(minute.highest, amount),
    )
