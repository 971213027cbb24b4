"""
The demo's solar home: a meter at the grid and an inverter on the roof, polled like real ones.

Their counters began when the demo was made: started again, the devices reckon what has flown since
and go on, as counters of real devices do.
"""

import asyncio
import os
import signal

import sqlalchemy as sa

from meterbook.registry.accounts import account_by_name
from meterbook.registry.host_measurements import assign_measurements
from meterbook.registry.hosts import add_host, change_host, hosts_of
from meterbook.registry.locations import add_location
from meterbook.registry.meter_models import all_meter_models
from meterbook.registry.solar_arrays import add_array
from meterbook.simulate.demo_homes import ZONE
from meterbook.simulate.demo_past import load_solar_past
from meterbook.simulate.modbus.crowd import Makes, wall_clock_ms
from meterbook.simulate.modbus.homes import SunnyHome
from meterbook.simulate.modbus.server import VirtualBus, serve_bus
from meterbook.storage.database import Database

HOST = "127.0.0.1"
POLL_S = 5
DEVICES = {
    "Meter at the grid": "sdm630",
    "Inverter on the roof": "sunspec_inverter",
}
"""Description to model; each has a port of its own."""
_MEASUREMENTS = {
    "sdm630": [
        "active_power",
        "active_energy_consumed",
        "active_energy_produced",
        *(f"{name}_l{phase}" for name in ("voltage_ac", "current") for phase in (1, 2, 3)),
        "frequency",
    ],
    "sunspec_inverter": ["active_power", "active_energy_produced", "voltage_dc", "temperature"],
}
_HOME = SunnyHome(seed=2013, latitude=51.5, longitude=-0.1, peak_w=6_000)
_BEFORE_WH = 2_345_678
_LOOK_EVERY_S = 0.2


def register_solar_home(
    connection: sa.Connection, *, account: str, ports: list[int], now: int
) -> int:
    """
    Make the home's two hosts, or let them point at these ports; return the id of who owns them.

    :param account: the name of who owns them.
    """
    owner, _ = account_by_name(connection, username=account)
    if owner is None:
        raise LookupError(f"no account {account}")
    known = {host.description: host for host in hosts_of(connection, account_id=owner.id)}
    models = {model.name: model.id for model in all_meter_models(connection)}
    location_id = None
    for (description, model), port in zip(DEVICES.items(), ports, strict=True):
        if description in known:
            changes = {"port": port}
            host_id = known[description].id
            change_host(connection, host_id=host_id, changes=changes, by=None, now=now)
            continue
        location_id = location_id or _add_location(connection, owner.id, now=now)
        fields = {
            "ip": HOST,
            "port": port,
            "slave_address": 1,
            "description": description,
            "user": owner.id,
            "location": location_id,
            "meter": models[model],
            "poll_seconds": POLL_S,
        }
        host = add_host(connection, fields=fields, by=None, now=now)
        names = _MEASUREMENTS[model]
        assign_measurements(
            connection, host_id=host.id, names=names, zone=ZONE.key, by=None, now=now
        )
    return owner.id


def fill_solar_home(database: Database, *, account_id: int, created_at: int, now: int) -> None:
    """Load what the home took, fed in and made in the days before the demo was made."""
    grid_meter, inverter = DEVICES
    load_solar_past(
        database,
        _HOME,
        account_id=account_id,
        grid_meter=grid_meter,
        inverter=inverter,
        zone=ZONE,
        until=created_at,
        now=now,
    )


def serve_solar_home(makes: Makes, ports: list[int], created_at: int, parent: int) -> None:
    """
    Answer for the home's devices until told to stop.

    :param created_at: when their counters began.
    :param parent: the process that started this one; when it is gone, this one ends too.
    """
    asyncio.run(_serve(makes, ports, created_at=created_at, parent=parent))


async def _serve(makes: Makes, ports: list[int], *, created_at: int, parent: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = []
    for model, port in zip(DEVICES.values(), ports, strict=True):
        began_ms = created_at * 1000
        device = makes.device(model, _HOME, now_ms=began_ms, before_wh=_BEFORE_WH)
        bus = VirtualBus({1: device}, clock=wall_clock_ms)
        servers.append(await serve_bus(bus, host=HOST, port=port))
    # Asked again and again: nobody tells a process that its parent was killed.
    while not (stop.is_set() or os.getppid() != parent):  # noqa: ASYNC110 see above
        await asyncio.sleep(_LOOK_EVERY_S)
    for server in servers:
        await server.close()


def _add_location(connection: sa.Connection, account_id: int, *, now: int) -> int:
    fields = {
        "street": "Solar Street",
        "number": "1",
        "city": "London",
        "zip_code": "SE1",
        "coord_x": _HOME.longitude,
        "coord_y": _HOME.latitude,
        "user": account_id,
    }
    location_id = add_location(connection, fields=fields, by=None, now=now).id
    # The virtual sun shines on level ground: so does the roof lie.
    roof = {"name": "roof", "peak_W": _HOME.peak_w, "tilt_deg": 0.0, "azimuth_deg": 180.0}
    add_array(connection, location_id=location_id, fields=roof, by=None, now=now)
    return location_id
