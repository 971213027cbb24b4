"""Commands on the roll-ups: the regional sums that the dashboard shows."""

import click
from rich.console import Console
from rich.progress import Progress

from meterbook.cli.opened import opened_database, settings_with
from meterbook.domain.local_days import numbered_day
from meterbook.rollups.upkeep import rebuild


@click.group()
def rollups() -> None:
    """Look after the regional sums of closed days."""


@rollups.command("rebuild")
def rebuild_command() -> None:
    """Compute the regional sums of every closed day again from the readings."""
    console = Console(stderr=True)
    with (
        opened_database(settings_with(), is_new=False) as database,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("summing", total=None)

        def show(day: int) -> None:
            progress.update(task, description=f"summed {numbered_day(day)}", advance=1)

        days = rebuild(database, on_day=show)
    click.echo(f"{days} days summed from the readings")
