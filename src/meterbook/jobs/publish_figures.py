"""Publishes meters' figures for as long as the connection to the broker lasts."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from meterbook.exports.home_assistant import Publication, announcements, state
from meterbook.queries.meter_places import export_place, meter_place
from meterbook.queries.meter_totals import meter_total
from meterbook.storage.database import Database, is_unreachable

Publish = Callable[[str, bytes], Awaitable[None]]
"""Publishes a payload under a topic, retained."""
_log = structlog.get_logger()


class Publisher:
    """Publishes the same meters to every connection it is given."""

    def __init__(
        self,
        database: Database,
        *,
        meter_ids: Sequence[int],
        prefix: str,
        discovery_prefix: str,
        every_s: int,
    ) -> None:
        """Prepare."""
        self._every_s = every_s
        self._database = database
        self._meter_ids = meter_ids
        self._prefix = prefix
        self._discovery_prefix = discovery_prefix

    async def run(self, publish: Publish) -> None:
        """Publish what has changed, now and then, until cancelled."""
        published: dict[str, bytes] = {}
        while True:
            try:
                found = await asyncio.to_thread(self.publications, now=int(time.time()))
            except Exception as error:
                if not is_unreachable(error):
                    raise
                _log.warning("nothing published", error=type(error).__name__)
                found = []
            for item in found:
                if published.get(item.topic) != item.payload:
                    await publish(item.topic, item.payload)
                    published[item.topic] = item.payload
            await asyncio.sleep(self._every_s)

    def publications(self, *, now: int) -> list[Publication]:
        """Return what is to be published of every meter."""
        found: list[Publication] = []
        with self._database.reading() as connection:
            for meter_id in self._meter_ids:
                place = meter_place(connection, meter_id=meter_id)
                if place is None:
                    continue
                exporting = export_place(connection, place=place)
                found += announcements(
                    place,
                    exports=exporting is not None,
                    prefix=self._prefix,
                    discovery_prefix=self._discovery_prefix,
                )
                total = meter_total(connection, place=place, now=now)
                exported = None
                if exporting is not None:
                    exported = meter_total(connection, place=exporting, now=now)
                found.append(state(place, total, exported=exported, prefix=self._prefix))
        return found
