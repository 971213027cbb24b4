"""
The daybook: what arrived, as it arrives, of every interval that is not in the ledger yet.

One row per channel and interval. The same value again changes nothing; a different one counts
from then on and the old one moves to `superseded_readings`. Readings of closed days wait here
too, until `day_close` takes them into the next revision; a question sees them at once, because
it reads the ledger with the daybook laid over it.
"""

from meterbook.daybook.open_days import (
    open_interval_starts,
    open_readings,
    read_interval,
    take_slots,
    waiting_starts,
)
from meterbook.daybook.recording import (
    ConcurrentChangeError,
    PacketRow,
    Recorded,
    keep_superseded,
    record_new_packets,
    record_readings,
    record_running,
    superseded_among,
)

__all__ = [
    "ConcurrentChangeError",
    "PacketRow",
    "Recorded",
    "keep_superseded",
    "open_interval_starts",
    "open_readings",
    "read_interval",
    "record_new_packets",
    "record_readings",
    "record_running",
    "superseded_among",
    "take_slots",
    "waiting_starts",
]
