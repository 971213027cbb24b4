"""Numbers of options: not-a-number lies within every range, for a comparison."""

import math
from typing import Any

import click


class FiniteRange(click.FloatRange):
    """A range of finite numbers."""

    def convert(
        self, written: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number that was written, if it is one within the range."""
        number = float(super().convert(written, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{written} is no number with an end.", param, ctx)
        return number
