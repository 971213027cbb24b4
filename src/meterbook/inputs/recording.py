"""
Recording: samples of claimed inputs become readings in the books.

An input's `record_from_ms` says from where on its samples are not in the books yet. It is set in
the transaction that stores samples, and cleared in the one that records their readings: killed
anywhere, it is run again. Readings are made from the samples alone and recording twice equals
recording once, so running it again, or over the same stretch, changes nothing. What a counter's
samples said so far is kept beside it; a sample that arrives between those is counted by counting
all of them again. What a clock that was never set says is of no known moment, and in no book.
"""

import msgspec
import sqlalchemy as sa

from meterbook import daybook
from meterbook.daybook import ConcurrentChangeError
from meterbook.domain.input_counters import CounterProgress, count_samples
from meterbook.domain.input_mappings import (
    MOMENTARY_S,
    InputMapping,
    Made,
    Mapping,
    Sample,
    decimal_factor,
    readings_of,
)
from meterbook.domain.local_days import grid_offset_s, time_zone
from meterbook.domain.readings import HALF_HOUR_S, Reading
from meterbook.storage.database import Database, is_conflict, is_unreachable
from meterbook.storage.device_tables import device_inputs, input_samples
from meterbook.storage.dialects import row_lock
from meterbook.storage.tables import channels

SETTLING_S = (
    60  # a device's messages overtake each other by less: counted in order, they count once
)
CLOCK_SET_SINCE_MS = 978_307_200_000  # 2001: clocks never set begin in 1970, 1980 or 2000
SAMPLES_AT_ONCE = 20_000  # one transaction: other writers hardly notice
_TRIES_MAX = 8
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CounterProgress).decode
_HALF_HOUR_MS = HALF_HOUR_S * 1000
_STRETCH_MS_MIN = 4 * _HALF_HOUR_MS  # each step gets ahead, however dense the samples are


def record_inputs(database: Database, *, now: int, inputs_max: int = 100_000) -> int:
    """
    Record what claimed inputs sent and is not in the books yet; return how many inputs.

    :raises Exception: what was wrong with an input, once all the others are recorded.
    """
    with database.reading() as connection:
        waiting = connection.scalars(
            sa.select(device_inputs.c.id)
            .where(device_inputs.c.record_from_ms.is_not(None))
            .order_by(device_inputs.c.id)
            .limit(inputs_max)
        ).all()
    broken: Exception | None = None
    for input_id in waiting:
        try:
            record_input(database, input_id=input_id, now=now)
        except Exception as error:
            if is_unreachable(error):
                raise
            broken = error
    if broken is not None:
        raise broken
    return len(waiting)


def record_input(
    database: Database, *, input_id: int, now: int, steps_max: int | None = None
) -> None:
    """
    Record what the input sent and is not in the books yet, in steps of bounded size.

    :param steps_max: how many of them; the rest is for the job. None: all.
    """
    steps = 0
    while _step(database, input_id, now):
        steps += 1
        if steps == steps_max:
            return


def _step(database: Database, input_id: int, now: int) -> bool:
    for _ in range(_TRIES_MAX - 1):
        try:
            with database.writing() as connection:
                return _record_some(connection, input_id, now)
        except (ConcurrentChangeError, sa.exc.DBAPIError) as error:
            if isinstance(error, sa.exc.DBAPIError) and not is_conflict(error):
                raise
    with database.writing() as connection:
        return _record_some(connection, input_id, now)


def _record_some(connection: sa.Connection, input_id: int, now: int) -> bool:
    """Record one stretch; say whether there is more."""
    statement = f"""
        SELECT channel_id, mapping, factor, resets_to_zero, rated_power_w, length_s,
               record_from_ms, progress
        FROM device_inputs WHERE id = :input_id AND record_from_ms IS NOT NULL
        {row_lock(connection)}
    """  # noqa: S608 our own text
    row = connection.execute(sa.text(statement), {"input_id": input_id}).first()
    if row is None:
        return False
    mapping = InputMapping(
        Mapping(row.mapping),
        decimal_factor(row.factor),
        bool(row.resets_to_zero),
        row.rated_power_w,
        row.length_s or HALF_HOUR_S,
    )
    zone = connection.execute(
        sa.select(channels.c.zone).where(channels.c.id == row.channel_id)
    ).scalar_one()
    place = _Place(input_id, row.record_from_ms, mapping, grid_offset_s(time_zone(zone)))
    if mapping.mapping is Mapping.COUNTER:
        progress = _decode(row.progress) if row.progress else CounterProgress()
        done = _counter_stretch(connection, place, progress, now)
    else:
        done = _plain_stretch(connection, place, now)
    readings = [Reading(row.channel_id, *item) for item in done.made]
    daybook.record_readings(connection, readings, received_at_ms=now * 1000)
    connection.execute(
        sa.update(device_inputs)
        .where(device_inputs.c.id == input_id)
        .values(record_from_ms=done.next_ms, progress=done.progress)
    )
    return done.is_more


class _Place(msgspec.Struct, frozen=True):
    """Where an input's recording stands."""

    input_id: int
    record_from_ms: int
    mapping: InputMapping
    offset_s: int


class _Done(msgspec.Struct, frozen=True):
    """What one stretch led to."""

    made: list[Made]
    next_ms: int | None
    """From where on to record next time; None: everything is in the books."""
    is_more: bool
    progress: str | None = None


def _counter_stretch(
    connection: sa.Connection, place: _Place, progress: CounterProgress, now: int
) -> _Done:
    begins_at_ms = place.record_from_ms
    if begins_at_ms <= progress.counted_to_ms:
        # A sample between those taken in already: all of them again, to the same readings.
        progress, begins_at_ms = CounterProgress(), 0
    samples = _samples(connection, place.input_id, begins_at_ms, SAMPLES_AT_ONCE)
    is_more = len(samples) == SAMPLES_AT_ONCE
    settled = [sample for sample in samples if sample[0] <= (now - SETTLING_S) * 1000]
    later = next((at_ms for at_ms, _ in samples if at_ms > (now - SETTLING_S) * 1000), None)
    progress, made = count_samples(
        progress, settled, mapping=place.mapping, grid_offset_s=place.offset_s
    )
    if later is None and is_more:
        later = samples[-1][0] + 1
    is_more = is_more and len(settled) == len(samples)
    return _Done(made, later, is_more, _encode(progress).decode())


def _plain_stretch(connection: sa.Connection, place: _Place, now: int) -> _Done:
    if place.mapping.mapping is Mapping.MOMENTARY:
        begins_at_ms = place.record_from_ms - place.record_from_ms % (MOMENTARY_S * 1000)
    else:
        # A sample stands at the end of its interval; one step back is enough.
        begins_at_ms = _grid(place.record_from_ms - place.mapping.length_s * 1000, place.offset_s)
    samples, is_all = _stretch(connection, place, begins_at_ms)
    made = readings_of(samples, mapping=place.mapping, grid_offset_s=place.offset_s, now=now)
    next_ms = _next_from(samples, place, is_all=is_all, now=now)
    if not is_all and next_ms is not None:
        # The stretch ends inside an interval, which the next one makes whole.
        made = [item for item in made if item[0] * 1000 < next_ms]
    return _Done(made, next_ms, not is_all)


def _grid(at_ms: int, offset_s: int) -> int:
    return at_ms - (at_ms - offset_s * 1000) % _HALF_HOUR_MS


def _samples(
    connection: sa.Connection, input_id: int, begins_at_ms: int, at_once: int
) -> list[Sample]:
    begins_at_ms = max(begins_at_ms, CLOCK_SET_SINCE_MS)
    rows = connection.execute(
        sa.select(input_samples.c.at_ms, input_samples.c.amount)
        .where(input_samples.c.input_id == input_id, input_samples.c.at_ms >= begins_at_ms)
        .order_by(input_samples.c.at_ms)
        .limit(at_once)
    )
    return [(row[0], row[1]) for row in rows]


def _stretch(
    connection: sa.Connection, place: _Place, begins_at_ms: int
) -> tuple[list[Sample], bool]:
    """Return samples that lead well past where recording stands, and whether they are all."""
    at_once = SAMPLES_AT_ONCE
    while True:
        samples = _samples(connection, place.input_id, begins_at_ms, at_once)
        if len(samples) < at_once:
            return samples, True
        if samples[-1][0] > place.record_from_ms + _STRETCH_MS_MIN:
            return samples, False
        at_once *= 4


def _next_from(samples: list[Sample], place: _Place, *, is_all: bool, now: int) -> int | None:
    """Return from where on to record next time; None: everything is in the books."""
    if not samples:
        return None
    last_ms = samples[-1][0]
    if place.mapping.mapping is Mapping.MOMENTARY:
        begins_at_ms = last_ms - last_ms % (MOMENTARY_S * 1000)
        has_ended = begins_at_ms // 1000 + MOMENTARY_S <= now
        return None if is_all and has_ended else begins_at_ms
    return None if is_all else _grid(last_ms - place.mapping.length_s * 1000, place.offset_s)
