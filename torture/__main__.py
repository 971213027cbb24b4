"""
`make torture`: every fault, one family after the other, or those named on the command line.

Exits with 1 if a promise was broken, or if a control was not caught.
"""

import sys
import time
from importlib import import_module

import click

from torture.outcomes import Outcome, show

FAMILIES = ("kills", "power_cuts", "full_disks", "bad_clients")


@click.command()
@click.argument("family", nargs=-1, type=click.Choice(FAMILIES))
@click.option("--cycles", default=1_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, help="The same seed, the same faults.")
def torture(family: tuple[str, ...], cycles: int, seed: int) -> None:
    """Break things on purpose; print what was promised and what was found."""
    everything: list[Outcome] = []
    for name in family or FAMILIES:
        click.echo(f"\n{name}, {cycles} cycles, seed {seed}")
        begun = time.monotonic()
        for outcome in import_module(f"torture.{name}").outcomes(cycles=cycles, seed=seed):
            everything.append(outcome)
            took_s = time.monotonic() - begun
            click.echo(f"  {took_s:6.0f} s  {outcome.verdict:10}  {outcome.what}")
    click.echo()
    show(everything)
    broken = [outcome for outcome in everything if not outcome.is_right]
    if broken:
        click.echo(f"meterbook: {len(broken)} of {len(everything)} promises broken", err=True)
        sys.exit(1)


if __name__ == "__main__":
    torture()
