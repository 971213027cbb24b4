"""What the collector counts, at `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

BLOCKS = Counter("meterbook_modbus_blocks_total", "Requests for registers that were answered.")
BLOCKS_FAILED = Counter(
    "meterbook_modbus_blocks_failed_total", "Requests for registers that failed, by kind.", ["kind"]
)
POLLS = Counter("meterbook_polls_total", "Polls of hosts by outcome.", ["outcome"])
POLL_SECONDS = Histogram(
    "meterbook_poll_seconds",
    "Time of a poll, from the first request to the last answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
HOSTS = Gauge("meterbook_hosts", "Hosts that this process polls, by state.", ["state"])
POLLS_SKIPPED = Counter(
    "meterbook_polls_skipped_total", "Turns of a host that passed while it was still being read."
)
POLLS_WAITING = Gauge("meterbook_polls_waiting", "Polls that wait to be stored.")
POLLS_DROPPED = Counter(
    "meterbook_polls_dropped_total", "Polls that could not be stored and were given up."
)
