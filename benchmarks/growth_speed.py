"""
Growth: what a reading costs with 10,000, 100,000 and 1,000,000 meters; flat is the aim.

A whole year of a million meters is 17 billion readings. In its place each book gets as many closed
days as fit into minutes (DEPTHS), each a copy of a really closed one; then one more day comes: a
part of its packets through the recorder, 500 scattered ones a commit, the rest put into the daybook
at once; it is closed; scattered packets are posted, one a request, and the last month of meters at
random is asked for, both over HTTP. Measured is processor time, which other work on the machine
changes little, and the ledger's bytes. What a reading costs is what the server takes for its
packet and its share of the close.
"""

import os
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from benchmarks.big_book import SLOTS, copy_day, fill_daybook, make_meters, real_amounts
from benchmarks.close_speed import ledger_bytes
from benchmarks.figures import Figure, show
from benchmarks.packet_speed import post_packets
from benchmarks.processor_time import processor_s_of_programs
from benchmarks.read_speed import MONTH_PATH, SECONDS, ask_months, operator_token
from benchmarks.servers import running_server
from meterbook.day_close import close_day
from meterbook.domain.local_days import day_number, midnight
from meterbook.domain.readings import HALF_HOUR_S
from meterbook.intake.packet_fields import Packet
from meterbook.intake.recorder import Arrival, PacketRecorder
from meterbook.storage.database import Database

_SCALE = int(os.environ.get("METERBOOK_TEST_METERS", "1000000")) / 1_000_000
DEPTHS = {
    int(meters * _SCALE): days for meters, days in ((10_000, 365), (100_000, 120), (1_000_000, 31))
}
"""Meters to the closed days in the book before the measured one."""
STEP = 7919  # prime to every number of meters: scatters them
BATCH_READINGS = 500  # divides every number of meters
RECORDED_MIN = 470_000
FLAT_MAX = 1.2
LOOK_S, IDLE_SHARE_MAX = 12, 0.02  # longer than the pause of the job that looks at regions
LAST = date(2025, 3, 31)
UTC = ZoneInfo("UTC")


class _Cost(msgspec.Struct, frozen=True):
    reading_us: float
    recording_us: float
    closing_us: float
    bytes: float
    month_ms: float


def measure(meters: int, depth: int) -> _Cost:
    """Fill a book and return what a reading and a question cost in it, in processor time."""
    with tempfile.TemporaryDirectory(prefix="meterbook-bench-") as folder:
        database = make_meters(Path(folder), meters=meters)
        last = day_number(LAST)
        first = LAST - timedelta(days=depth)
        fill_daybook(database, midnight=midnight(first, UTC))
        close_day(database, day=first, zone=UTC, now=midnight(LAST, UTC))
        copy_day(database, day=last - depth, to=range(last - depth + 1, last))
        slots = min(SLOTS, -(-RECORDED_MIN // meters))
        recording_s = _record(database, meters=meters, slots=slots)
        fill_daybook(database, midnight=midnight(LAST, UTC), first_slot=slots)
        bytes_before = ledger_bytes(database)
        before = time.process_time()
        now = midnight(LAST, UTC) + 200_000
        close = close_day(database, day=LAST, zone=UTC, now=now)
        closing_s = time.process_time() - before
        if close.readings != meters * SLOTS:
            raise RuntimeError(f"closed {close}, not {meters} meters")
        added = ledger_bytes(database) - bytes_before
        token = operator_token(database, now=now)
        database.close()
        closing_us = closing_s / close.readings * 1e6
        with running_server(Path(folder)) as url:
            _wait_until_idle()
            return _Cost(
                _packet_us(url, meters) + closing_us,
                recording_s / (meters * slots) * 1e6,
                closing_us,
                added / close.readings,
                _month_ms(url, token, meters),
            )


def _record(database: Database, *, meters: int, slots: int) -> float:
    recorder = PacketRecorder(database, default_zone="UTC")
    amounts = real_amounts()
    begins = midnight(LAST, UTC)
    taken_s = 0.0
    for slot in range(slots):
        stamp = begins + (slot + 1) * HALF_HOUR_S + 60
        for begin in range(0, meters, BATCH_READINGS):
            numbers = (n * STEP % meters + 1 for n in range(begin, begin + BATCH_READINGS))
            # The amounts that fill_daybook gives, so that the ledger's bytes compare.
            arrivals = [
                Arrival(Packet(n, stamp, amounts[(n * STEP + slot) % len(amounts)]), None)
                for n in numbers
            ]
            before = time.process_time()
            recorder.record(arrivals)
            taken_s += time.process_time() - before
    return taken_s


def _wait_until_idle() -> None:
    """Wait until the server has found out that every meter is silent: once, not each question."""
    took_s = 1.0
    while took_s > IDLE_SHARE_MAX * LOOK_S:
        before = processor_s_of_programs()
        time.sleep(LOOK_S)
        took_s = processor_s_of_programs() - before


def _packet_us(url: str, meters: int) -> float:
    stamp = midnight(LAST + timedelta(days=2), UTC) + HALF_HOUR_S + 60
    before = processor_s_of_programs()
    sent = post_packets(url, connections=64, step=STEP, first_stamp=stamp, meters=meters)
    return (processor_s_of_programs() - before) / sent.answered * 1e6


def _month_ms(url: str, token: str, meters: int) -> float:
    ask_months(url, MONTH_PATH, connections=1, meters=meters, token=token, seconds=1)
    before = processor_s_of_programs()
    asked = ask_months(url, MONTH_PATH, connections=1, meters=meters, token=token)
    return (processor_s_of_programs() - before) / (asked.rate * SECONDS) * 1000


def figures() -> list[Figure]:
    """Return the costs at each size, and how they grow from the smallest to the largest."""
    costs = {meters: measure(meters, depth) for meters, depth in DEPTHS.items()}
    words = {
        "reading_us": ("a reading from its packet to the ledger", "us"),
        "recording_us": ("of it recording", "us"),
        "closing_us": ("of it closing", "us"),
        "bytes": ("a reading in the ledger", "bytes"),
        "month_ms": ("a month of one meter", "ms"),
    }
    found = []
    for field, (name, unit) in words.items():
        for meters, cost in costs.items():
            depth = f"{meters:,} meters x {DEPTHS[meters]} days"
            found.append(Figure(f"{name}, {depth}", unit, [getattr(cost, field)]))
        smallest, *_, largest = (getattr(cost, field) for cost in costs.values())
        found.append(
            Figure(
                growth_of(name), "times", [largest / smallest], FLAT_MAX, lower_is_better=True
            )
        )  # fmt: skip
    return found


def growth_of(name: str) -> str:
    """Return the name of the figure that tells how a cost grows."""
    return f"{name}: cost with the most meters to that with the fewest"


if __name__ == "__main__":
    show(figures())
