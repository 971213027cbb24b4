"""
The energy of a site: what the roof gives, what comes from the grid and what goes to it.

    roof ──production──► house ◄──import── grid
                           └────export───►

What the house uses is production - export + import. A battery is neither roof nor grid: what it
takes counts as used, what it gives lowers the import.
"""

from enum import StrEnum

import msgspec


class SiteRole(StrEnum):
    """What a host measures at its site."""

    GRID = "grid"
    """What comes from the grid and what goes to it."""
    PRODUCTION = "production"
    """What the roof gives."""
    CONSUMPTION = "consumption"
    """What a part of the house uses: no part of the balance."""


class Balance(msgspec.Struct, frozen=True):
    """Energy in Wh over intervals in which all three are known."""

    production: int
    grid_import: int
    grid_export: int

    def __add__(self, other: "Balance") -> "Balance":
        return Balance(
            self.production + other.production,
            self.grid_import + other.grid_import,
            self.grid_export + other.grid_export,
        )

    @property
    def used_of_production(self) -> int:
        """
        Production that did not go to the grid, in Wh.

        Two meters never agree to the last Wh: where export exceeds production it is 0.
        """
        return max(self.production - self.grid_export, 0)

    @property
    def consumption(self) -> int:
        """What the house used, in Wh."""
        return self.used_of_production + self.grid_import

    @property
    def self_consumption(self) -> float | None:
        """
        The part of the production that was used at home, 0 to 1; None without production.

            (PV - export) / PV

        R. Luthander et al., Photovoltaic self-consumption in buildings: a review, Applied Energy
        142 (2015) 80-94, equation 2.
        """
        return self.used_of_production / self.production if self.production else None

    @property
    def self_sufficiency(self) -> float | None:
        """
        The part of the consumption that came from the roof, 0 to 1; None without consumption.

            (PV - export) / (PV - export + import)

        The same review, equation 3.
        """
        return self.used_of_production / self.consumption if self.consumption else None


NOTHING = Balance(0, 0, 0)


def inferred_role(*, imports: bool, exports: bool, grid_is_known: bool) -> SiteRole | None:
    """
    Return what a host is that nobody has given a role, by the counters it has; None: neither.

    :param grid_is_known: another host measures the grid already.
    """
    if imports and exports:
        return SiteRole.CONSUMPTION if grid_is_known else SiteRole.GRID
    if exports:
        return SiteRole.PRODUCTION
    if imports:
        return SiteRole.CONSUMPTION if grid_is_known else SiteRole.GRID
    return None
