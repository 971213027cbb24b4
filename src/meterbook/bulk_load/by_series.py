"""
Loads series of interval energy, whatever their flow and the length of their intervals.

An ended day is kept with the file's own intervals (5 minutes, an hour, the whole day), a day that
is not over is summed up to the channel's. What was fed in goes to the meter point's export
channel, made when the first such reading comes.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load.by_meter import channels_of, groups, known_or_new
from meterbook.bulk_load.loader import LoadReport, load_channels
from meterbook.domain.reading_columns import ReadingColumns, distinct
from meterbook.domain.readings import Flow
from meterbook.registry.meters import Installation, export_channels


class MeterSeries(msgspec.Struct, frozen=True):
    """One flow of one meter, with intervals of one length."""

    meter_id: int
    flow: Flow
    interval_s: int
    """86400: the whole local day."""


def load_by_series(
    connection: sa.Connection,
    series: Sequence[MeterSeries],
    readings: ReadingColumns,
    *,
    default_zone: str,
    now: int,
) -> LoadReport:
    """
    Load readings whose source is a position in `series`, in the caller's serial transaction.

    A meter nobody registered becomes an unclaimed one in the default zone.
    """
    report = LoadReport()
    if not len(readings):
        return report
    meter_of = [one.meter_id for one in series]
    every = np.unique(np.array(meter_of, dtype=np.int64))
    known = known_or_new(connection, every, default_zone=default_zone, now=now)
    kinds = {(one.flow, one.interval_s) for one in series}
    # The shortest last: a file may hold the hours of a day beside its total.
    for kind in sorted(kinds, key=lambda kind: (-kind[1], kind[0])):
        flow, interval_s = kind
        members = np.array([(one.flow, one.interval_s) == kind for one in series])
        picked = readings if members.all() else readings.only(members[readings.source])
        if not len(picked):
            continue
        places = known
        if flow == Flow.EXPORT:
            there = {meter_of[position] for position in distinct(picked.source).tolist()}
            places = _exporting(connection, known, sorted(there))
        channel_ids = channels_of(picked, meter_of, places)
        for group in groups(connection, msgspec.structs.replace(picked, source=channel_ids)):
            loaded = load_channels(
                connection,
                group.readings,
                zone=group.zone,
                now=now,
                file_interval_s=interval_s,
            )
            report = report.plus(loaded)
    return report


def _exporting(
    connection: sa.Connection, known: dict[int, list[Installation]], numbers: list[int]
) -> dict[int, list[Installation]]:
    points = {place.meter_point_id for number in numbers for place in known[number]}
    channel_of = export_channels(connection, points)
    return {
        number: [
            msgspec.structs.replace(place, channel_id=channel_of[place.meter_point_id])
            for place in known[number]
        ]
        for number in numbers
    }
