"""
The demo's solar home before the demo was made: five-minute energy of thirty days.

The devices that are polled begin to count when the demo is made. What came before is reckoned from
the same home, minute by minute, and loaded like a file; loading it again changes nothing.
"""

from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from meterbook import bulk_load
from meterbook.domain.counters import COUNTED_INTERVAL_S
from meterbook.domain.local_days import local_day, midnight
from meterbook.domain.reading_columns import IntColumn
from meterbook.domain.readings import Quality
from meterbook.registry.hosts import hosts_of
from meterbook.registry.polled_channels import polled_channels
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.storage.database import Database

DAYS = 30
_MINUTE_S = 60
_IMPORT, _EXPORT = "active_energy_consumed", "active_energy_produced"


def load_solar_past(
    database: Database,
    home: SunnyHome,
    *,
    account_id: int,
    grid_meter: str,
    inverter: str,
    zone: ZoneInfo,
    until: int,
    now: int,
) -> None:
    """
    Load what the home took, fed in and made in the days before an instant.

    :param grid_meter: description of the host at the grid.
    :param inverter: description of the host on the roof.
    """
    with database.reading() as connection:
        channel_of = _energy_channels(connection, account_id=account_id)
    begins_at = midnight(local_day(until - DAYS * 86_400, zone), zone)
    ends_at = until - until % COUNTED_INTERVAL_S
    taken, fed_in, made = interval_energies_wh(home, begins_at=begins_at, ends_at=ends_at)
    starts_at = np.arange(begins_at, ends_at, COUNTED_INTERVAL_S, dtype=np.int64)
    for host, measurement, amounts in (
        (grid_meter, _IMPORT, taken),
        (grid_meter, _EXPORT, fed_in),
        (inverter, _EXPORT, made),
    ):
        bulk_load.load(
            database,
            channel_id=np.full(len(starts_at), channel_of[host, measurement]),
            starts_at=starts_at,
            amount=amounts,
            quality=np.full(len(starts_at), int(Quality.RAW)),
            zone=zone,
            now=now,
            book_stands=True,
        )


def interval_energies_wh(
    home: SunnyHome, *, begins_at: int, ends_at: int
) -> tuple[IntColumn, IntColumn, IntColumn]:
    """
    Return what is taken from the grid, fed into it and made on the roof, in Wh per five minutes.

    :param begins_at: with ends_at on the full five minutes, UTC epoch seconds.
    :returns: each of shape (intervals,); taken + made is fed in + used, but for rounding.
    """
    middles = range(begins_at + _MINUTE_S // 2, ends_at, _MINUTE_S)
    powers = np.array([home.power_at(middle * 1000) for middle in middles], dtype=np.int64)
    load_w, pv_w = powers.reshape(-1, 2).T
    net_w = load_w - pv_w
    return (
        _wh(np.maximum(net_w, 0)),
        _wh(np.maximum(-net_w, 0)),
        _wh(pv_w),
    )


def _wh(power_w: IntColumn) -> IntColumn:
    per_interval = power_w.reshape(-1, COUNTED_INTERVAL_S // _MINUTE_S).sum(axis=1)
    # The counter is rounded, not its advances: the intervals add up to what has flown.
    dial = np.concatenate([[0], np.cumsum(per_interval)]) * _MINUTE_S // 3600
    return np.diff(dial).astype(np.int64)


def _energy_channels(connection: sa.Connection, *, account_id: int) -> dict[tuple[str, str], int]:
    hosts = {host.id: host.description for host in hosts_of(connection, account_id=account_id)}
    return {
        (hosts[channel.host_id], channel.measurement): channel.energy_channel_id
        for channel in polled_channels(connection, hosts)
        if channel.energy_channel_id is not None
    }
