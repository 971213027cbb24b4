"""`meterbook simulate`: fleets of virtual meters; virtual Modbus devices are beside it."""

import asyncio
import signal
import time
from collections.abc import Iterator
from datetime import timedelta

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from meterbook.cli.finite import FiniteRange
from meterbook.cli.simulate_modbus import simulate_modbus
from meterbook.domain.local_days import local_day, midnight, time_zone
from meterbook.domain.meter_ids import METER_ID_MAX
from meterbook.simulate.fleet import post_packets, wait_until_ready
from meterbook.simulate.homes import Habits, fleet
from meterbook.simulate.load_model import LoadModel, load_packets
from meterbook.simulate.outcomes import Outcomes
from meterbook.simulate.packets import DuePacket, live_packets, past_packets
from meterbook.simulate.real_homes import real_homes

_METER_COUNT = click.IntRange(1, METER_ID_MAX)


@click.group()
def simulate() -> None:
    """Virtual meters, for demos, tests and benchmarks."""


simulate.add_command(simulate_modbus)


@simulate.command("meters")
@click.option("--count", default=50, show_default=True, type=_METER_COUNT, help="How many meters.")
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The server.")
@click.option("--first-id", default=1, show_default=True, type=_METER_COUNT, help="First meter ID.")
@click.option("--seed", default=1, show_default=True, help="Another seed, other homes.")
@click.option("--zone", default="UTC", show_default=True, help="Clock of the meters, for the gap.")
@click.option(
    "--rate",
    default="real",
    show_default=True,
    type=click.Choice(["real", "max", "load"]),
    help="real: at :01 and :31, as meters do. max: past days, as fast as the server answers. "
    "load: past days as a large fleet sends them, at --speed.",
)
@click.option(
    "--days", default=1, show_default=True, type=click.IntRange(1, 3660), help="Past days."
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=FiniteRange(min=0, min_open=True),
    help="Of load: how many times faster than the clock.",
)
@click.option(
    "--late-share",
    default=LoadModel().late_share,
    show_default=True,
    type=FiniteRange(0, 1),
    help="Of load: share of packets that come after hours.",
)
@click.option(
    "--again-share",
    default=LoadModel().again_share,
    show_default=True,
    type=FiniteRange(0, 1),
    help="Of load: share of packets that come twice.",
)
@click.option("--duration", type=FiniteRange(min=0, min_open=True), help="Stop after seconds.")
@click.option("--connections", default=64, show_default=True, type=click.IntRange(1, 4096))
@click.option(
    "--wait",
    default=5.0,
    show_default=True,
    type=FiniteRange(min=0),
    help="How long the server may take to be ready, s.",
)
@click.option(
    "--missing-share",
    default=0.0,
    show_default=True,
    type=FiniteRange(0, 1),
    help="Share of half-hours never sent.",
)
def simulate_meters(
    count: int,
    url: str,
    first_id: int,
    seed: int,
    zone: str,
    rate: str,
    days: int,
    speed: float,
    late_share: float,
    again_share: float,
    duration: float | None,
    connections: int,
    wait: float,
    missing_share: float,
) -> None:
    """Replay real London days as a fleet of meters; ends with a report."""
    place = time_zone(zone)
    now = int(time.time())
    today = local_day(now, place)
    first_day = today - timedelta(days=days)
    homes = fleet(
        count,
        first_id=first_id,
        seed=seed,
        real_homes=real_homes(),
        habits=Habits(missing_share=missing_share),
    )
    if rate == "max":
        packets = past_packets(homes, first_day=first_day, end_day=today, zone=place)
    elif rate == "load":
        packets = load_packets(
            range(first_id, first_id + count),
            LoadModel(late_share=late_share, again_share=again_share),
            real_homes=real_homes(),
            seed=seed,
            begins_at=midnight(first_day, place),
            ends_at=midnight(today, place),
            zone=place,
            plays_at=now,
            speed=speed,
        )
    else:
        packets = live_packets(list(homes), since=now, zone=place)
    outcomes = Outcomes()
    url = url.rstrip("/")
    asyncio.run(wait_until_ready(url, timeout_s=wait))
    begun = time.monotonic()
    asyncio.run(_post(packets, url, outcomes, connections=connections, duration_s=duration))
    _report(outcomes, elapsed_s=time.monotonic() - begun, is_paced=rate != "max")


async def _post(
    packets: Iterator[DuePacket],
    url: str,
    outcomes: Outcomes,
    *,
    connections: int,
    duration_s: float | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    console = Console(stderr=True)
    columns = ("[bold]{task.fields[rate]:,.0f}/s", "{task.completed:,.0f} acknowledged")
    with Progress(
        SpinnerColumn(),
        TextColumn(f"posting to {url}"),
        *map(TextColumn, columns),
        TextColumn("{task.fields[trouble]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None, rate=0.0, trouble="")
        begun = loop.time()

        def show() -> None:
            progress.update(
                task,
                completed=outcomes.acknowledged,
                rate=outcomes.acknowledged / max(loop.time() - begun, 1e-9),
                trouble=_trouble(outcomes),
            )

        await post_packets(
            packets,
            url=url,
            outcomes=outcomes,
            connections=connections,
            stop=stop,
            duration_s=duration_s,
            on_tick=show,
        )


def _trouble(outcomes: Outcomes) -> str:
    counts = {
        "refused": outcomes.refused.total(),
        "sent again": outcomes.put_off.total(),
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _report(outcomes: Outcomes, *, elapsed_s: float, is_paced: bool) -> None:
    table = Table("figure", "of the packets", box=None, show_header=False, pad_edge=False)
    table.add_row("acknowledged", f"{outcomes.acknowledged:,}")
    for status, count in sorted(outcomes.refused.items()):
        table.add_row(f"refused with {status}", f"{count:,}")
    for reason, count in sorted(outcomes.put_off.items()):
        table.add_row(f"sent again after {reason}", f"{count:,}")
    table.add_row("not acknowledged at the end", f"{outcomes.in_flight:,}")
    if is_paced:  # what is sent as fast as the server answers is of days long past
        table.add_row("sent after they were due", f"by at most {outcomes.behind_s:,.1f} s")
    table.add_row("time", f"{elapsed_s:,.1f} s")
    table.add_row("rate", f"{outcomes.acknowledged / elapsed_s:,.0f} acknowledged/s")
    latency = outcomes.latency()
    if latency is not None:
        for name, seconds in (
            ("latency p50", latency.p50_s),
            ("latency p95", latency.p95_s),
            ("latency p99", latency.p99_s),
            ("latency max", latency.longest_s),
        ):
            table.add_row(name, f"{seconds * 1000:,.1f} ms")
    Console(width=None if Console().is_terminal else 100).print(table)
