"""
What the daybook holds, read back and taken out.

Its key begins with the interval's start. So a question about many intervals first asks which there
are, jumping along the key, and then looks up rows by full key.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import sqlalchemy as sa

from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import Quality, Reading
from meterbook.storage.channel_ranges import ChannelRange
from meterbook.storage.dialects import among, is_distributed, joined, number_source, numbers
from meterbook.storage.driver_rows import driver_rows


def open_interval_starts(
    connection: sa.Connection, *, starts_at: int, ends_at: int, step_s: int = 1
) -> list[int]:
    """
    Return the interval starts in the range that have any row, rising.

    Jumps from one to the next by the primary key: the cost grows with them, not with the rows.

    :param step_s: the grid, from starts_at on, outside which starts are of no interest.
    """
    asked = {"starts_at": starts_at, "ends_at": ends_at, "step_s": step_s}
    if is_distributed(connection):
        return list(_jumps(connection, asked))
    statement = sa.text(f"{_SLOTS} SELECT starts_at FROM slots WHERE starts_at IS NOT NULL")  # noqa: S608 our own text
    found = connection.execute(statement, asked).scalars()
    return [start for start in found if (start - starts_at) % step_s == 0]


_SLOTS = """
    WITH RECURSIVE slots(starts_at) AS (
        SELECT min(starts_at) FROM daybook WHERE starts_at >= :starts_at AND starts_at < :ends_at
        UNION ALL
        SELECT (SELECT min(daybook.starts_at) FROM daybook
                WHERE daybook.starts_at < :ends_at AND daybook.starts_at >=
                      slots.starts_at + :step_s - (slots.starts_at - :starts_at) % :step_s)
        FROM slots WHERE slots.starts_at IS NOT NULL)
"""


def _jumps(connection: sa.Connection, asked: dict[str, int]) -> Iterator[int]:
    # A jump a statement: Citus knows no recursion over many shards, but each shard its least.
    after = sa.text(
        "SELECT min(starts_at) FROM daybook WHERE starts_at >= :after AND starts_at < :ends_at"
    )
    begins_at, step_s = asked["starts_at"], asked["step_s"]
    start = begins_at
    while True:
        found = connection.execute(after, {"after": start, "ends_at": asked["ends_at"]}).scalar()
        if found is None:
            return
        rest = (found - begins_at) % step_s
        if not rest:
            yield found
        start = found + step_s - rest


def waiting_starts(
    connection: sa.Connection, channel_ids: Sequence[int], *, starts_at: int, ends_at: int
) -> list[int]:
    """Return the interval starts in the range that have a row, perhaps of other channels only."""
    if not is_distributed(connection):
        return open_interval_starts(connection, starts_at=starts_at, ends_at=ends_at)
    statement = f"""
        SELECT DISTINCT starts_at FROM daybook
        WHERE {among(connection, "channel_id")} AND starts_at >= :starts_at AND starts_at < :ends_at
    """  # noqa: S608 built from our own names only
    asked = {"ids": numbers(connection, channel_ids), "starts_at": starts_at, "ends_at": ends_at}
    return sorted(connection.scalars(sa.text(statement), asked))


def open_readings(
    connection: sa.Connection,
    channel_ids: Sequence[int],
    *,
    starts_at: int,
    ends_at: int,
    step_s: int = 1,
) -> list[Reading]:
    """
    Return several channels' readings in the range that the ledger does not have yet.

    :param channel_ids: each once.
    :param step_s: a divisor of the channels' intervals, so that others' starts cost nothing.
    :returns: each channel's by their start.
    """
    if is_distributed(connection):
        return [
            Reading(number, row[0], row[1], Quality(row[2]))
            for number in channel_ids
            for row in connection.execute(
                _OF_SHARD, {"starts_at": starts_at, "ends_at": ends_at, "channel_id": number}
            )
        ]
    asked = {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "step_s": step_s,
        "ids": numbers(connection, channel_ids),
    }
    found = driver_rows(connection, _of_slots(connection.dialect.name), asked)
    return [Reading(row[0], row[1], row[2], Quality(row[3])) for row in found]


# On Citus the channel says the shard, and an index of its own (storage.distribution) the rows.
_OF_SHARD = sa.text("""
    SELECT daybook.starts_at, daybook.amount, daybook.quality FROM daybook
    WHERE starts_at >= :starts_at AND starts_at < :ends_at AND daybook.channel_id = :channel_id
    ORDER BY daybook.starts_at
""")


@cache
def _of_slots(dialect_name: str) -> sa.TextClause:
    # CROSS JOIN fixes SQLite's order: the slots first, then a look-up by key in each.
    return sa.text(f"""
        {_SLOTS} SELECT daybook.channel_id, daybook.starts_at, daybook.amount, daybook.quality
        FROM slots CROSS JOIN {number_source(dialect_name, name="ids")} CROSS JOIN daybook
        WHERE daybook.starts_at = slots.starts_at AND daybook.channel_id = ids.value
        ORDER BY daybook.starts_at
    """)  # noqa: S608 built from our own names only


def read_interval(
    connection: sa.Connection, *, starts_at: int, channels: ChannelRange
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """
    Return one interval's rows of a range of channels.

    :returns: channel_id, amount, quality; each of shape (n,), channels rising.
    """
    wanted, asked = channels.condition(connection)
    statement = f"""
        SELECT {joined(connection.dialect.name, "channel_id", "amount", "quality")}
        FROM daybook WHERE starts_at = :starts_at AND {wanted}
    """  # noqa: S608 built from our own names only
    texts = connection.execute(sa.text(statement), asked | {"starts_at": starts_at}).one()
    channel_id, amount, quality = map(_integers, texts)
    order = np.argsort(channel_id)
    return channel_id[order], amount[order], quality[order]


def take_slots(
    connection: sa.Connection, *, starts_at: int, ends_at: int, step_s: int, channels: ChannelRange
) -> tuple[IntColumn, IntColumn, IntColumn, IntColumn]:
    """
    Remove the rows of the range's intervals from the daybook, and return them.

    The caller must put the readings into the ledger before it commits. What arrives in that very
    moment is either returned or stays.

    :param step_s: the channels' interval; rows off that grid, from starts_at on, stay.
    :returns: starts_at, channel_id, amount, quality; each of shape (n,), in no order.
    """
    if connection.dialect.name == "sqlite":
        return _take_one_by_one(
            connection, starts_at=starts_at, ends_at=ends_at, step_s=step_s, channels=channels
        )
    wanted, asked = channels.condition(connection)
    columns = ("starts_at", "channel_id", "amount", "quality")
    statement = f"""
        WITH taken AS (
            DELETE FROM daybook
            WHERE {among(connection, "starts_at", name="starts")} AND {wanted}
            RETURNING {", ".join(columns)})
        SELECT {joined(connection.dialect.name, *columns)} FROM taken
    """  # noqa: S608 built from our own names only
    asked["starts"] = numbers(connection, range(starts_at, ends_at, step_s))
    texts = connection.execute(sa.text(statement), asked).one()
    return _integers(texts[0]), _integers(texts[1]), _integers(texts[2]), _integers(texts[3])


def _take_one_by_one(
    connection: sa.Connection, *, starts_at: int, ends_at: int, step_s: int, channels: ChannelRange
) -> tuple[IntColumn, IntColumn, IntColumn, IntColumn]:
    # SQLite deletes in no SELECT, and has one writer: nothing comes between the two statements.
    wanted, asked = channels.condition(connection)
    delete = sa.text(f"DELETE FROM daybook WHERE starts_at = :starts_at AND {wanted}")  # noqa: S608 our own names
    parts = [(np.empty(0, dtype=np.int64),) * 4]
    for start in open_interval_starts(
        connection, starts_at=starts_at, ends_at=ends_at, step_s=step_s
    ):
        taken = read_interval(connection, starts_at=start, channels=channels)
        connection.execute(delete, asked | {"starts_at": start})
        parts.append((np.full(len(taken[0]), start), *taken))
    starts, channel_id, amount, quality = map(np.concatenate, zip(*parts, strict=True))
    return starts, channel_id, amount, quality


def _integers(text: str | None) -> IntColumn:
    return np.fromstring(text or "", dtype=np.int64, sep=",")
