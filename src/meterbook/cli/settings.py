"""`meterbook settings`: every setting, its value and where it came from."""

import click
from rich.console import Console
from rich.table import Table

from meterbook.cli.right_settings import require_right
from meterbook.settings import load_settings, origins


@click.command()
def settings() -> None:
    """Show every setting, secrets masked; says what is wrong with one, if anything is."""
    table = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for setting in origins():
        table.add_row(setting.name, setting.shown, setting.origin, setting.sentence)
    Console(width=None if Console().is_terminal else 200).print(table)
    require_right(load_settings())
