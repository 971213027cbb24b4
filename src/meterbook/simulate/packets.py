"""
The packets a fleet sends, and when.

A meter sends at :01 and :31, each with its own spread of seconds, the half hour that has just
ended. While the backup runs, 23:30 to 00:00, it sends nothing: the last half hour of a local day
has no packet, so an ordinary day has 47.

    half hour   [00:00, 00:30) ─► 00:31 + spread   ...   [23:00, 23:30) ─► 23:31 + spread
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from meterbook.domain.local_days import interval_starts, local_day, utc_text
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.domain.units import wh_to_kwh
from meterbook.simulate.homes import Home
from meterbook.simulate.real_homes import MISSING, IntColumn

SENT_AFTER_S = HALF_HOUR_S + 60
_HOMES_AT_ONCE = 1_000  # a day of these is 48,000 numbers, however large the fleet


class DuePacket(msgspec.Struct, frozen=True, gc=False):
    """A packet and when it is to be sent."""

    due_at: float
    """UTC epoch seconds."""
    meter_id: int
    energy_wh: int
    stamp: int | None = None
    """What the meter's clock said, UTC epoch seconds; None: due_at."""

    @property
    def body(self) -> bytes:
        """The JSON to post."""
        kwh = wh_to_kwh(self.energy_wh)
        stamp = utc_text(int(self.due_at) if self.stamp is None else self.stamp)
        return (f'{{"id":{self.meter_id},"timestamp":"{stamp}","reading_kWh":{kwh!r}}}').encode()


def sent_starts(first_day: date, end_day: date, *, zone: ZoneInfo) -> IntColumn:
    """Return the starts of the half-hours that packets are sent of, 47 in an ordinary day."""
    days = (first_day + timedelta(days=n) for n in range((end_day - first_day).days))
    return np.array([s for day in days for s in interval_starts(day, zone)[:-1]], dtype=np.int64)


def past_packets(
    homes: Iterable[Home], *, first_day: date, end_day: date, zone: ZoneInfo
) -> Iterator[DuePacket]:
    """Yield what the homes sent from first_day up to end_day: by day, then by time."""
    # Some homes after the other, so that memory does not grow with the fleet.
    remaining = iter(homes)
    while some := list(islice(remaining, _HOMES_AT_ONCE)):
        for offset in range((end_day - first_day).days):
            day = first_day + timedelta(days=offset)
            starts = sent_starts(day, day + timedelta(days=1), zone=zone)
            energy = np.stack([home.readings(starts) for home in some])
            for start, energies in zip(starts.tolist(), energy.T.tolist(), strict=True):
                for home, energy_wh in zip(some, energies, strict=True):
                    if energy_wh != MISSING:
                        due_at = start + SENT_AFTER_S + home.spread_s
                        yield DuePacket(due_at, home.meter_id, energy_wh)


def live_packets(homes: Sequence[Home], *, since: int, zone: ZoneInfo) -> Iterator[DuePacket]:
    """Yield what the homes send after the instant `since`, in order of time, without end."""
    by_spread = sorted(homes, key=lambda home: home.spread_s)
    day = local_day(since - 2 * SENT_AFTER_S, zone)
    while True:
        for start in sent_starts(day, day + timedelta(days=1), zone=zone).tolist():
            sent_at = start + SENT_AFTER_S
            for home in by_spread if sent_at + by_spread[-1].spread_s > since else ():
                due_at = sent_at + home.spread_s
                energy_wh = home.reading(start) if due_at > since else None
                if energy_wh is not None:
                    yield DuePacket(due_at, home.meter_id, energy_wh)
        day += timedelta(days=1)


def sent_until(home: Home, starts_at: IntColumn, *, instant: int) -> IntColumn:
    """Return those of the half-hours whose packet the home has sent by then."""
    sent: IntColumn = starts_at[starts_at + SENT_AFTER_S + home.spread_s <= instant]
    return sent
