"""
Readings, and the words that say what a number is.

Quality carries ESPI's numbers (NAESB REQ.21, `QualityOfReading`), Flow and Counting those of
ESPI's `flowDirection` and `accumulationBehaviour`, so that exports need no second table.
"""

from enum import IntEnum

import msgspec

HALF_HOUR_S = 1800


class Quality(IntEnum):
    """How far a value can be trusted; numbers of ESPI's QualityOfReading."""

    VALID = 0
    EDITED = 7
    ESTIMATED_LIKE_DAY = 8
    ESTIMATED_INTERPOLATED = 9
    QUESTIONABLE = 10
    DERIVED = 11
    MIXED = 13
    RAW = 14

    @property
    def word(self) -> str:
        """The word pages and the API use."""
        return QUALITY_WORDS[self]


QUALITY_WORDS = {
    Quality.VALID: "valid",
    Quality.EDITED: "edited",
    Quality.ESTIMATED_LIKE_DAY: "estimated-like-day",
    Quality.ESTIMATED_INTERPOLATED: "estimated-interpolated",
    Quality.QUESTIONABLE: "questionable",
    Quality.DERIVED: "derived",
    Quality.MIXED: "mixed",
    Quality.RAW: "raw",
}

ESTIMATED = frozenset({Quality.ESTIMATED_LIKE_DAY, Quality.ESTIMATED_INTERPOLATED})


def overrules(standing: Quality, arriving: Quality) -> bool:
    """Say whether what stands counts on: an edit does, until another edit."""
    return standing is Quality.EDITED and arriving is not Quality.EDITED


class Flow(IntEnum):
    """Direction of energy as the customer sees it; ESPI's flowDirection, OBIS 1.8.0 and 2.8.0."""

    IMPORT = 1
    EXPORT = 19


class Counting(IntEnum):
    """How the number counts; ESPI's accumulationBehaviour."""

    CUMULATIVE = 1
    INTERVAL = 4
    INSTANT = 12
    """Of the moment: the mean of what was sampled in the interval."""
    INSTANT_HIGHEST = 1208
    """Its greatest sample, where there were several: 12 with ESPI's dataQualifier 08, maximum."""
    INSTANT_LOWEST = 1209
    """Its least sample: 12 with ESPI's dataQualifier 09, minimum."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one channel that arrived."""

    channel_id: int
    starts_at: int
    """Start of the interval, UTC epoch seconds."""
    amount: int
    """Whole Wh, or thousandths of the channel's unit."""
    quality: Quality = Quality.RAW


def packet_starts_at(stamp: int, *, grid_offset_s: int = 0) -> int:
    """
    Return the start of the half hour a packet covers: the one that ended at or before its stamp.

        stamp 00:31 ─► [00:00, 00:30)      stamp 00:01 ─► [23:30, 00:00) of the day before

    :param stamp: UTC epoch seconds.
    :param grid_offset_s: where the zone's half-hours lie on the UTC grid, 0 to 1799; 900 in
        zones such as Asia/Kathmandu (+05:45), whose local half-hours begin at :15 and :45 UTC.
    """
    return stamp - (stamp - grid_offset_s) % HALF_HOUR_S - HALF_HOUR_S
