"""`meterbook simulate modbus`: virtual meters and inverters that answer over Modbus TCP."""

import asyncio
import csv
import signal
from pathlib import Path

import click

from meterbook.cli.finite import FiniteRange
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.intake.modbus.open_files import allow_many_open_files
from meterbook.intake.modbus.sunspec import sunspec_models
from meterbook.simulate.modbus.crowd import Makes, fast_clock, serve_crowd, wall_clock_ms
from meterbook.simulate.modbus.faults import Fault, faults_of
from meterbook.simulate.modbus.homes import ReplayedHome, SunnyHome, VirtualHome

_PORT_MAX = 65_535
_FAULTS = ", ".join(fault.value for fault in Fault)


class ProfileError(ValueError):
    """A profile that is none; names the file and the line."""


@click.command("modbus")
@click.option("--port", default=5020, show_default=True, type=click.IntRange(1, _PORT_MAX))
@click.option("--listen", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--model", default="sdm630", show_default=True, help="Of the catalogue, or sunspec.")
@click.option(
    "--hosts",
    default=1,
    show_default=True,
    type=click.IntRange(1, 5000),
    help="That many devices, each on a port of its own from --port on.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed, other homes.")
@click.option("--latitude", default=51.5, show_default=True, type=FiniteRange(-90, 90))
@click.option("--longitude", default=-0.1, show_default=True, type=FiniteRange(-180, 180))
@click.option("--peak-w", default=6000, show_default=True, help="What the roof gives at most.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND[:SHARE]",
    help=f"What goes wrong, always or a share of the times; may be repeated: {_FAULTS}.",
)
@click.option("--rtu", is_flag=True, help="RTU frames over TCP instead of Modbus TCP.")
@click.option(
    "--profile",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of seconds, load W, PV W to replay instead of a sun and a house.",
)
@click.option("--speed", default=1.0, show_default=True, help="How fast the profile is replayed.")
def simulate_modbus(
    port: int,
    listen: str,
    model: str,
    hosts: int,
    seed: int,
    latitude: float,
    longitude: float,
    peak_w: int,
    faults: tuple[str, ...],
    rtu: bool,
    profile: Path | None,
    speed: float,
) -> None:
    """Virtual meters and inverters at slave address 1, in a home with a sun."""
    _require_ports(port, hosts)
    home: VirtualHome = SunnyHome(seed, latitude, longitude, peak_w)
    clock, began_at_ms = wall_clock_ms, None
    if profile is not None:
        lines = profile_of(profile)
        home, began_at_ms = ReplayedHome(lines), lines[0][0]
        clock = fast_clock(speed, began_at_ms=began_at_ms)
    makes = Makes({made.name: made for made in catalogued_models()}, sunspec_models())
    trouble = faults_of(faults)
    allow_many_open_files()

    async def serve() -> None:
        servers = await serve_crowd(
            makes,
            model=model,
            first_port=port,
            count=hosts,
            host=listen,
            seed=seed,
            faults=trouble,
            home=None if hosts > 1 and profile is None else home,
            clock=clock,
            began_at_ms=began_at_ms,
            rtu=rtu,
        )
        ports = f"port {port}" if hosts == 1 else f"ports {port} to {port + hosts - 1}"
        click.echo(f"{model} on {listen} {ports}, slave address 1; Ctrl-C ends it")
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        for server in servers:
            await server.close()

    asyncio.run(serve())


def _require_ports(first: int, count: int) -> None:
    if first + count - 1 > _PORT_MAX:
        raise click.UsageError(f"{count} ports from {first} on end after {_PORT_MAX}")


def profile_of(file: Path) -> list[tuple[int, int, int]]:
    """
    Return a profile's lines: instant in ms, load in W, PV in W.

    :raises ProfileError: naming the first line that is not right.
    """
    lines = []
    with file.open(newline="", encoding="utf-8") as text:
        for number, row in enumerate(csv.reader(text), 1):
            try:
                instant, load_w, pv_w = (float(cell) for cell in row)
            except ValueError:
                if number == 1:  # a header
                    continue
                raise ProfileError(
                    f"{file.name}, line {number}: must be three numbers: seconds,load W,PV W"
                ) from None
            lines.append((round(instant * 1000), round(load_w), round(pv_w)))
    if not lines or lines != sorted(lines):
        raise ProfileError(f"{file.name}: needs lines whose instants rise")
    return lines
