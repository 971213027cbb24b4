"""`meterbook demo`: a living demo, made of real readings, that answers this machine only."""

import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from meterbook.cli.errors import FAILURES, one_line
from meterbook.cli.opened import opened_database, settings_with
from meterbook.cli.serve import require_free_port, run_server
from meterbook.domain.meter_ids import dashed
from meterbook.intake.modbus.catalogue import catalogued_models
from meterbook.intake.modbus.sunspec import sunspec_models
from meterbook.registry.catalogue import load_catalogue
from meterbook.settings import Settings
from meterbook.simulate.demo_book import ACCOUNTS, demo_state, fill
from meterbook.simulate.demo_homes import DEMO_REGIONS, HOUSEHOLD_METERS, METERS, ZONE
from meterbook.simulate.demo_live import post_live
from meterbook.simulate.demo_solar import (
    DEVICES,
    fill_solar_home,
    register_solar_home,
    serve_solar_home,
)
from meterbook.simulate.modbus.crowd import Makes

HOST = "127.0.0.1"  # the demo's passwords are known to everybody
STOP_S_MAX = 5  # the simulator needs a fraction of it
_SEES = {
    "household": f"meters {' and '.join(map(dashed, HOUSEHOLD_METERS))}, the solar home",
    "operator": "every meter",
    "admin": "everything",
}


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--data-dir",
    default="meterbook-demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the demo is kept; starting again goes on with it.",
)
@click.option(
    "--days",
    default=400,
    show_default=True,
    type=click.IntRange(1, 3660),
    help="How far a new demo goes back.",
)
def demo(port: int, data_dir: Path, days: int) -> None:
    """Serve a demo: fifty meters in five regions that keep posting, and a solar home."""
    require_free_port(HOST, port)
    settings_with()  # a wrong setting would end the workers one after the other: name it now
    now = int(time.time())
    demo_state(data_dir, now=now)
    # Only what the demo says: a database set for real use must never be filled with it.
    settings = Settings(data_dir=data_dir, timezone=ZONE.key, regions=str(DEMO_REGIONS))
    multiprocessing.set_start_method("spawn")
    ports = _free_ports(len(DEVICES))
    with Console(stderr=True).status(f"filling up to {days} days of {METERS} meters"):
        created_at = _filled(settings, days, now, ports)
    url = f"http://{HOST}:{port}"
    _print_welcome(url, data_dir)
    makes = Makes({model.name: model for model in catalogued_models()}, sunspec_models())
    with (
        _beside(post_live, url, now, os.getpid()),
        _beside(serve_solar_home, makes, ports, created_at, os.getpid()),
    ):
        run_server(settings, host=HOST, port=port, workers=1, role="all")


def _filled(settings: Settings, days: int, now: int, ports: list[int]) -> int:
    """
    Fill the demo in a process of its own, and return when it was made.

    Polars reads the sample with threads that do not survive a fork: had this process used them, the
    server forked from it would wait for them without end as soon as somebody imports a file.
    """
    result, told = multiprocessing.Pipe(duplex=False)
    with _beside(_fill, settings, days, now, ports, told):
        told.close()
        try:
            created_at, failure = result.recv()
        except EOFError:  # killed, or a fault of ours, which it has shown
            created_at, failure = 0, "the process that fills the demo has ended"
    if failure:
        raise click.ClickException(failure)
    return int(created_at)


def _fill(
    settings: Settings, days: int, now: int, ports: list[int], told: "Connection[Any, Any]"
) -> None:
    try:
        told.send((_fill_book(settings, days, now, ports), ""))
    except FAILURES as error:
        told.send((0, one_line(error)))


def _fill_book(settings: Settings, days: int, now: int, ports: list[int]) -> int:
    with opened_database(settings) as database:
        made = fill(database, data_dir=settings.data_dir, days=days, now=now)
        with database.writing() as connection:
            load_catalogue(connection, catalogued_models(), now=now)
            owner_id = register_solar_home(connection, account="household", ports=ports, now=now)
        fill_solar_home(database, account_id=owner_id, created_at=made.created_at, now=now)
    return made.created_at


@contextmanager
def _beside(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """Have a process do the work meanwhile."""
    simulator = multiprocessing.Process(target=work, args=arguments, daemon=True)
    # Ctrl-C reaches every process of a terminal; this one is ended below, without a word.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)
    simulator.start()
    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        simulator.terminate()
        simulator.join(STOP_S_MAX)
        simulator.kill()


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _print_welcome(url: str, data_dir: Path) -> None:
    table = Table("sign in as", "password", "sees", box=None, pad_edge=False)
    for name, (_, password) in ACCOUNTS.items():
        table.add_row(name, password, _SEES[name])
    first = dashed(HOUSEHOLD_METERS[0])
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"Meterbook's demo is at {url}\n")
    console.print(table)
    console.print(f"\nOne meter's last month: {url}/profile/{first}/consumption?period=prev-month")
    console.print(f"Ctrl-C ends it; the readings stay in {data_dir}.")
