"""
The load model: when the packets of very many meters arrive, with everything that goes wrong.

    half hour ends   +60 s            +110 s                                      +30 min
        |              |███████████████|▇▅▃▂▁ delays                                |  next
                        evenly, each meter at its own second      late ones: hours after

Unlike `packets`, which is one tidy fleet, this is what a server is sized by (docs/scale.md). No
meter is kept in memory: its habits follow from its number, so a hundred million need no more.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt

from meterbook.domain.local_days import local_day
from meterbook.simulate.homes import SPREAD_S, chances, home
from meterbook.simulate.packets import SENT_AFTER_S, DuePacket, sent_starts
from meterbook.simulate.real_homes import IntColumn, RealHome

_LONGEST_DELAY_S = 20 * 60  # what takes longer counts as late
_WAITS_LONGEST_S = 60  # for an answer that was lost
_Arrival = tuple[float, int, int, int]
"""Due at, meter_id, start of the half hour, stamp."""


class LoadModel(msgspec.Struct, frozen=True):
    """How packets of a large fleet arrive; shares are of all packets, or of all meters."""

    delay_s: float = 4.0
    """Mean of what the network adds, exponentially distributed."""
    late_share: float = 0.01
    """Packets that come after hours: the meter had no network."""
    late_s: float = 2 * 3600.0
    """Mean of how late they are, exponentially distributed, at most a day."""
    again_share: float = 0.02
    """Packets sent a second time within a minute although stored: the answer was lost."""
    skewed_share: float = 0.005
    """Meters whose clock is wrong, by one minute behind to three ahead."""


def load_packets(
    meter_ids: range,
    model: LoadModel,
    *,
    real_homes: Sequence[RealHome],
    seed: int,
    begins_at: int,
    ends_at: int,
    zone: ZoneInfo,
    plays_at: float,
    speed: float,
) -> Iterator[DuePacket]:
    """
    Yield the packets of the half-hours from begins_at to ends_at in order of arrival.

    :param plays_at: UTC epoch seconds of the first moment, now.
    :param speed: how many seconds of the model pass in one second.
    """
    starts = _starts(begins_at, ends_at, zone)
    for due_at, meter_id, start, stamp in _in_order(meter_ids, model, starts, seed=seed):
        energy_wh = home(meter_id, seed=seed, real_homes=real_homes).reading(start)
        if energy_wh is not None:
            played_at = plays_at + (due_at - begins_at) / speed
            yield DuePacket(played_at, meter_id, energy_wh, stamp)


def _in_order(
    meter_ids: range, model: LoadModel, starts: Sequence[int], *, seed: int
) -> Iterator[_Arrival]:
    later: list[_Arrival] = []
    for start in starts:
        for due_at, meter_id, stamp, late, again in _arrivals(meter_ids, model, start, seed=seed):
            while later and later[0][0] <= due_at:
                yield heappop(later)
            if again:
                heappush(later, (due_at + late + again, meter_id, start, stamp))
            if late:
                heappush(later, (due_at + late, meter_id, start, stamp))
            else:
                yield due_at, meter_id, start, stamp
    while later:
        yield heappop(later)


def _starts(begins_at: int, ends_at: int, zone: ZoneInfo) -> list[int]:
    end_day = local_day(ends_at - 1, zone) + timedelta(days=1)
    starts = sent_starts(local_day(begins_at, zone), end_day, zone=zone)
    return [start for start in starts.tolist() if begins_at <= start < ends_at]


def _arrivals(
    meter_ids: range, model: LoadModel, start: int, *, seed: int
) -> Iterator[tuple[float, int, int, float, float]]:
    """Yield when each meter's packet comes, whose it is, its stamp, how late and when again."""
    ids = np.array(meter_ids, dtype=np.int64)
    second = np.floor(chances(ids, f"{seed} second") * SPREAD_S)
    skew = np.where(
        chances(ids, f"{seed} skewed") < model.skewed_share,
        np.floor(chances(ids, f"{seed} skew") * 240) - 60,
        0,
    )
    delay = np.minimum(
        _exponential(chances(ids, f"{seed} {start} delay"), model.delay_s), _LONGEST_DELAY_S
    )
    late = np.where(
        chances(ids, f"{seed} {start} late") < model.late_share,
        np.minimum(_exponential(chances(ids, f"{seed} {start} hours"), model.late_s), 86_400),
        0,
    )
    again = np.where(
        chances(ids, f"{seed} {start} again") < model.again_share,
        1 + chances(ids, f"{seed} {start} when") * (_WAITS_LONGEST_S - 1),
        0,
    )
    sent_at = start + SENT_AFTER_S + second
    due_at, stamp = sent_at + delay, (sent_at + skew).astype(np.int64)
    order: IntColumn = np.argsort(due_at)
    columns = (column[order].tolist() for column in (due_at, ids, stamp, late, again))
    return zip(*columns, strict=True)


def _exponential(chance: npt.NDArray[np.float64], mean: float) -> npt.NDArray[np.float64]:
    return -mean * np.log1p(-chance)
