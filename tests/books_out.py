"""What tests of exports share: a book filled with days, and read back as such."""

import numpy as np
import sqlalchemy as sa

from meterbook.bulk_load import MeterSeries, load_by_series
from meterbook.bulk_load.loader import in_one_transaction
from meterbook.domain.local_days import day_bounds, numbered_day, time_zone
from meterbook.domain.reading_columns import ReadingColumns
from meterbook.domain.readings import Flow, Quality
from meterbook.exports.selection import Selection
from meterbook.ledger import decode_intervals
from meterbook.storage.database import Database
from meterbook.storage.tables import channels, installations, ledger

NOW = 1_790_000_000
DAY_S = 86_400
ALL = Selection()
Cell = tuple[int, Quality]
Content = dict[tuple[int, Flow, int], tuple[Cell | None, ...]]
"""Meter, flow and day to what each interval of the day says."""


def fill(database: Database, content: Content, *, zone: str = "Europe/London") -> None:
    """Put the days into an empty book."""

    def work(connection: sa.Connection) -> None:
        for (meter_id, flow, day), cells in content.items():
            begin, end = day_bounds(numbered_day(day), time_zone(zone))
            length_s = DAY_S if len(cells) == 1 else (end - begin) // len(cells)
            rows = [
                (0, begin + index * length_s, cell[0], int(cell[1]))
                for index, cell in enumerate(cells)
                if cell is not None
            ]
            load_by_series(
                connection,
                [MeterSeries(meter_id, flow, length_s)],
                ReadingColumns(*np.array(rows, dtype=np.int64).T),
                default_zone=zone,
                now=NOW,
            )

    in_one_transaction(database, work)


def content_of(database: Database) -> Content:
    """Return every closed day of the book."""
    with database.reading() as connection:
        rows = connection.execute(
            sa.select(
                installations.c.meter_id, channels.c.flow, ledger.c.day, ledger.c.intervals,
                ledger.c.quality, ledger.c.qualities,
            )
            .join(channels, channels.c.id == ledger.c.channel_id)
            .join(installations, installations.c.meter_point_id == channels.c.meter_point_id)
        ).all()  # fmt: skip
    found: Content = {}
    for row in rows:
        amounts = decode_intervals(row.intervals)
        qualities = row.qualities or bytes([row.quality] * len(amounts))
        found[row.meter_id, Flow(row.flow), row.day] = tuple(
            None if amount is None else (amount, Quality(quality))
            for amount, quality in zip(amounts, qualities, strict=True)
        )
    return found
