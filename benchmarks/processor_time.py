"""
Processor time of the programs that a benchmark has started and that still run.

On a machine with other work on it this stays nearly the same while rates fall: it is the figure to
compare there. Read from /proc, so it is Linux only; elsewhere it is 0.
"""

import os
from pathlib import Path


def processor_s_of_programs() -> float:
    """Return the processor time so far of all processes below this one, in seconds."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            # The name of a program stands in brackets and may hold anything.
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(process.name)
        parents[number] = int(fields[1])
        ticks[number] = sum(map(int, fields[11:15]))
    below = {number for number in parents if _is_below(number, os.getpid(), parents)}
    return sum(ticks[number] for number in below) / os.sysconf("SC_CLK_TCK")


def _is_below(number: int, ancestor: int, parents: dict[int, int]) -> bool:
    while number in parents:
        number = parents[number]
        if number == ancestor:
            return True
    return False
