"""A sparkline: a few numbers as the outline of a hill, drawn into the page itself as SVG."""

from collections.abc import Sequence

import msgspec

WIDTH, HEIGHT = 100, 30


class Spark(msgspec.Struct, frozen=True):
    """The paths of an SVG of 100 by 30."""

    line: str
    """Path of the line; it breaks where something is missing."""
    under: str
    """Path of the surface under it."""


def spark(amounts: Sequence[float | None]) -> Spark | None:
    """
    Return the line; None if there are not two points next to each other.

    >>> spark([0.0, 2.0, None]).line
    'M0 29L50 1'
    """
    highest = max((amount for amount in amounts if amount is not None), default=0)
    across = WIDTH / max(len(amounts) - 1, 1)
    runs: list[list[tuple[str, str]]] = [[]]
    for place, amount in enumerate(amounts):
        if amount is None:
            runs.append([])
            continue
        down = HEIGHT - 1 - (HEIGHT - 2) * (amount / highest if highest else 0)
        runs[-1].append((f"{place * across:.4g}", f"{down:.4g}"))
    drawn = [run for run in runs if len(run) > 1]
    if not drawn:
        return None
    lines = ["M" + "L".join(f"{x} {y}" for x, y in run) for run in drawn]
    surfaces = [
        f"{line}L{run[-1][0]} {HEIGHT}L{run[0][0]} {HEIGHT}Z"
        for line, run in zip(lines, drawn, strict=True)
    ]
    return Spark("".join(lines), "".join(surfaces))
