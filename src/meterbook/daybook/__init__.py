"""
The daybook: what arrived, as it arrives, of every interval that is not in the ledger yet.

One row per channel and interval. The same value again changes nothing; a different one counts
from then on and the old one moves to `superseded_readings`; after an edit it is the new one that
moves there. Readings of closed days wait here
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
    SupersededReading,
    keep_overruled,
    keep_superseded,
    keep_superseded_once,
    last_arrived,
    put_in_place,
    record_new_packets,
    record_readings,
    record_running,
)

__all__ = [
    "ConcurrentChangeError",
    "PacketRow",
    "Recorded",
    "SupersededReading",
    "keep_overruled",
    "keep_superseded",
    "keep_superseded_once",
    "last_arrived",
    "open_interval_starts",
    "open_readings",
    "put_in_place",
    "read_interval",
    "record_new_packets",
    "record_readings",
    "record_running",
    "take_slots",
    "waiting_starts",
]
