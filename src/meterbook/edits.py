"""
Edits: an operator puts a reading in the place of a wrong or a missing one, or takes it away again.

    what arrived ──► superseded, kept ──────────► counts again when the edit is withdrawn
    the edit     ──► counts, whatever arrives afterwards, until another edit

An edit of an ended day is the day's next revision at once; one of today is in the daybook. The
audit log holds who, when, why, and what counted before and after.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook import daybook, ledger
from meterbook.day_close import close_channels, in_serial_transaction, put_new_days
from meterbook.domain.closed_days import ClosedDay, closed_day
from meterbook.domain.day_tables import table_of
from meterbook.domain.local_days import day_bounds, day_number, local_day, utc_text
from meterbook.domain.readings import Quality, Reading
from meterbook.registry import audit
from meterbook.registry.refusals import WrongFieldError
from meterbook.rollups.changes import count_days
from meterbook.rollups.upkeep import settle_all
from meterbook.storage.channel_ranges import ChannelRange, within_zone
from meterbook.storage.database import Database

EDITS_MAX = 1_500  # at once: a month of half-hours, and an audit entry still read by a person
REASON = "edit"
# Each is lost to another entry of the audit log, which is somebody's change that is done.
_TRIES_MAX = 200

_Counting = tuple[int, Quality]
"""Amount and quality of what counts."""


class Edit(msgspec.Struct, frozen=True):
    """What shall count in one interval."""

    starts_at: int
    """UTC epoch seconds."""
    amount: int | None
    """Wh; None: the edit that stands is withdrawn, and what arrived counts again."""


class EditedChannel(msgspec.Struct, frozen=True):
    """Whose readings are edited."""

    channel_id: int
    interval_s: int
    zone: ZoneInfo
    subject: str
    """Its name in the audit log."""


class NotEditableError(WrongFieldError):
    """There is no such interval, it has not ended, or there is no edit to withdraw."""

    def __init__(self, starts_at: int, reason: str) -> None:
        super().__init__("starts_at", f"{utc_text(starts_at)}: {reason}")
        self.starts_at = starts_at


def edit_readings(
    database: Database,
    edits: Sequence[Edit],
    *,
    channel: EditedChannel,
    reason: str,
    by: int | None,
    now: int,
) -> int:
    """
    Edit the intervals, all or none, durably; return how many are different from before.

    :param edits: each interval once, EDITS_MAX at most.
    :param by: the account that does it; None: the command line.
    :raises NotEditableError: naming the first interval that cannot be edited; nothing was.
    """
    changed = in_serial_transaction(
        database,
        lambda connection: _edit(connection, edits, channel=channel, reason=reason, by=by, now=now),
        tries_max=_TRIES_MAX,
    )
    settle_all(database)
    return changed


class _Day(msgspec.Struct, frozen=True):
    """One local day that edits are of."""

    day: date
    begins_at: int
    ends_at: int
    edits: dict[int, int | None]
    """Amount by the start of its interval; None: withdrawn."""


def _edit(
    connection: sa.Connection,
    edits: Sequence[Edit],
    *,
    channel: EditedChannel,
    reason: str,
    by: int | None,
    now: int,
) -> int:
    _require_zone(connection, edits, channel)
    before: dict[int, _Counting | None] = {}
    after: dict[int, _Counting | None] = {}
    for day in _by_day(edits, channel.zone):
        edit_day = _edit_ended_day if day.ends_at <= now else _edit_open_day
        for start, (was, shall) in edit_day(connection, day, channel, now).items():
            before[start], after[start] = was, shall
    if after:
        audit.record(
            connection,
            by=by,
            action="edit readings",
            subject=channel.subject,
            before={"readings": _written(before)},
            after={"readings": _written(after), "reason": reason},
            now=now,
        )
    return len(after)


def _require_zone(connection: sa.Connection, edits: Sequence[Edit], channel: EditedChannel) -> None:
    mine = ChannelRange(channel.channel_id, channel.channel_id)
    zone, interval_s = channel.zone.key, channel.interval_s
    if edits and within_zone(connection, mine, zone=zone, interval_s=interval_s) is None:
        raise NotEditableError(edits[0].starts_at, f"the meter is no longer in {zone}")


def _by_day(edits: Sequence[Edit], zone: ZoneInfo) -> list[_Day]:
    asked = {edit.starts_at: edit.amount for edit in edits}
    days = groupby(sorted(asked), key=lambda start: local_day(start, zone))
    return [
        _Day(day, *day_bounds(day, zone), {start: asked[start] for start in starts})
        for day, starts in days
    ]


_Changes = dict[int, tuple[_Counting | None, _Counting | None]]
"""What counted and what shall count, by the interval's start; only where the two differ."""


def _edit_ended_day(
    connection: sa.Connection, day: _Day, channel: EditedChannel, now: int
) -> _Changes:
    close_channels(
        connection,
        channel_ids=np.array([channel.channel_id]),
        interval_s=channel.interval_s,
        day=day.day,
        zone=channel.zone,
        now=now,
    )
    key = (day_number(day.day), channel.channel_id)
    earlier = ledger.days_by_key(connection, [key]).get(key)
    length_s = channel.interval_s
    if earlier is not None:
        length_s = (day.ends_at - day.begins_at) // len(earlier.intervals)
    standing = {} if earlier is None else _standing(earlier, day.begins_at, length_s)
    changes = _changes(connection, day, channel, standing, length_s=length_s, ends_at=day.ends_at)
    if not changes:
        return changes
    counting = standing | {start: shall for start, (_, shall) in changes.items()}
    later = _closed(counting, day, channel, length_s)
    if earlier is None:
        put_new_days(connection, table_of([later]), now=now, zone=channel.zone)
        return changes
    ledger.revise_days(connection, [(earlier, later)], revised_at=now, reason=REASON)
    count_days(connection, added=table_of([later]), removed=table_of([earlier]), zone=channel.zone)
    daybook.keep_superseded(
        connection,
        [
            (channel.channel_id, start, was[0], int(was[1]), now * 1000, now)
            for start, (was, _) in changes.items()
            if was is not None
        ],
    )
    return changes


def _edit_open_day(
    connection: sa.Connection, day: _Day, channel: EditedChannel, now: int
) -> _Changes:
    found = daybook.open_readings(
        connection, [channel.channel_id], starts_at=day.begins_at, ends_at=day.ends_at
    )
    standing: dict[int, _Counting | None] = {
        reading.starts_at: (reading.amount, reading.quality) for reading in found
    }
    changes = _changes(connection, day, channel, standing, length_s=channel.interval_s, ends_at=now)
    for start, (_, shall) in changes.items():
        amount, quality = shall or (0, Quality.RAW)
        daybook.put_in_place(
            connection,
            Reading(channel.channel_id, start, amount, quality),
            is_known=shall is not None,
            received_at_ms=now * 1000,
        )
    return changes


def _changes(
    connection: sa.Connection,
    day: _Day,
    channel: EditedChannel,
    standing: Mapping[int, _Counting | None],
    *,
    length_s: int,
    ends_at: int,
) -> _Changes:
    for start in day.edits:
        if (start - day.begins_at) % length_s:
            minutes = f"{length_s // 60} minutes"
            raise NotEditableError(
                start, f"no interval begins then; on that day each has {minutes}"
            )
        if start + length_s > ends_at:
            raise NotEditableError(start, "this interval has not ended")
    withdrawn = [start for start, amount in day.edits.items() if amount is None]
    for start in withdrawn:
        was = standing.get(start)
        if was is None or was[1] is not Quality.EDITED:
            raise NotEditableError(start, "what counts there was not edited")
    arrived = daybook.last_arrived(connection, [(channel.channel_id, at) for at in withdrawn])
    changes: _Changes = {}
    for start, amount in day.edits.items():
        if amount is None:
            last = arrived.get((channel.channel_id, start))
            shall = None if last is None else (last[0], Quality(last[1]))
        else:
            shall = amount, Quality.EDITED
        if standing.get(start) != shall:
            changes[start] = standing.get(start), shall
    return changes


def _standing(day: ClosedDay, begins_at: int, length_s: int) -> dict[int, _Counting | None]:
    return {
        begins_at + index * length_s: None if amount is None else (amount, day.quality_of(index))
        for index, amount in enumerate(day.intervals)
    }


def _closed(
    counting: Mapping[int, _Counting | None], day: _Day, channel: EditedChannel, length_s: int
) -> ClosedDay:
    each = [counting.get(start) for start in range(day.begins_at, day.ends_at, length_s)]
    return closed_day(
        channel.channel_id,
        day_number(day.day),
        intervals=[None if one is None else one[0] for one in each],
        qualities=[Quality.RAW if one is None else one[1] for one in each],
    )


def _written(counting: Mapping[int, _Counting | None]) -> list[dict[str, object]]:
    return [
        {
            "starts_at": utc_text(start),
            "energy_wh": None if one is None else one[0],
            "quality": None if one is None else one[1].word,
        }
        for start, one in counting.items()
    ]
