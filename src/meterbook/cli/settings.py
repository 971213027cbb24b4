"""`meterbook settings`: every setting, its value and where it came from."""

import click
from rich.console import Console
from rich.table import Table

from meterbook.settings import origins


@click.command()
def settings() -> None:
    """Show every setting; secrets are masked."""
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for setting in origins():
        table.add_row(setting.name, setting.shown, setting.origin, setting.sentence)
    Console(width=None if Console().is_terminal else 200).print(table)
