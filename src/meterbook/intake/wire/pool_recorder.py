"""
Stores deliveries of devices: the commit that `group_commit` makes for many requests at once.

Keys are looked at in the transaction that stores, so that a revoked key is dead at once.
"""

import time
from collections.abc import Sequence

import sqlalchemy as sa
from prometheus_client import Counter

from meterbook.inputs import pool
from meterbook.inputs.deliveries import Delivery, Outcome, Taken, sample_count
from meterbook.intake.recorder import CannotStoreError
from meterbook.storage.database import Database, is_conflict, is_unreachable

DELIVERIES = Counter(
    "meterbook_deliveries_total", "Messages of devices by outcome.", ["scheme", "outcome"]
)
SAMPLES = Counter("meterbook_samples_total", "Samples of devices stored.", ["scheme"])
_TRIES_MAX = 8  # of one batch, against other processes making the same device


class PoolRecorder:
    """Stores batches of deliveries in one database."""

    def __init__(self, database: Database, *, devices_max: int) -> None:
        """
        Prepare; opens nothing.

        :param devices_max: how many devices one sender may have.
        """
        self._database = database
        self._devices_max = devices_max

    def record(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """
        Store the deliveries durably and return what became of each.

        :raises CannotStoreError: if the database cannot; nothing was stored.
        """
        try:
            outcomes = self._record(deliveries)
        except Exception as error:
            if is_unreachable(error) or is_conflict(error):
                raise CannotStoreError(str(error)) from error
            raise
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            if isinstance(outcome, Taken):
                DELIVERIES.labels(delivery.scheme, "stored").inc()
                SAMPLES.labels(delivery.scheme).inc(sample_count(delivery.series))
        return outcomes

    def _record(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        for _ in range(_TRIES_MAX - 1):
            try:
                return self._record_once(deliveries)
            except sa.exc.DBAPIError as error:
                if not is_conflict(error):
                    raise
        return self._record_once(deliveries)

    def _record_once(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        with self._database.writing() as connection:
            return pool.store(
                connection, deliveries, devices_max=self._devices_max, now=int(time.time())
            )
