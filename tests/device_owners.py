"""An account with device keys on a started server, and what its devices sent."""

import httpx
import msgspec
import sqlalchemy as sa

from callers import client_of
from meterbook.domain.input_mappings import MILLIONTHS
from meterbook.storage.database import Database
from meterbook.storage.device_tables import (
    device_inputs,
    devices,
    input_samples,
)
from servers import Server


class Owner(msgspec.Struct, frozen=True):
    """An account with a server and one key of each form."""

    server: Server
    book: Database
    user: int
    token: str
    hex32: str
    token20: str
    uuid: str

    def client(self) -> httpx.Client:
        """Return a client without any key."""
        return client_of(self.server.url)

    def api(self) -> httpx.Client:
        """Return a client of the account."""
        return client_of(self.server.url, self.token)

    def samples(self, scheme: str, device: str) -> dict[str, list[tuple[int, float]]]:
        """Return what is stored of a device: by input, (milliseconds, number) in order."""
        return samples_of(self.book, scheme, device)


def samples_of(book: Database, scheme: str, device: str) -> dict[str, list[tuple[int, float]]]:
    """Return what is stored of a device: by input, (milliseconds, number) in order."""
    with book.reading() as connection:
        rows = connection.execute(
            sa.select(device_inputs.c.name, input_samples.c.at_ms, input_samples.c.amount)
            .join(devices, devices.c.id == device_inputs.c.device_id)
            .join(input_samples, input_samples.c.input_id == device_inputs.c.id)
            .where(devices.c.scheme == scheme, devices.c.foreign_id == device)
            .order_by(device_inputs.c.name, input_samples.c.at_ms)
        )
        found: dict[str, list[tuple[int, float]]] = {}
        for row in rows:
            found.setdefault(row.name, []).append((row.at_ms, row.amount / MILLIONTHS))
        return found
