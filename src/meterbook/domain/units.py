"""
The only conversions between what people write and the whole numbers we store.

Energy is whole Wh. Decimal text is kept exactly to 1 Wh; finer is rounded half-even.
"""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import numpy.typing as npt

_WH_IN_KWH = Decimal("0.001")
_DIGITS_MAX = 28  # the default context; a quantized result must fit into it
# float64 kWh times 1000 is off by less than this up to a million kWh; nearer to a tie, ask Decimal.
_NEAR_A_TIE_WH = 1e-6


def kwh_to_wh(energy_kwh: Decimal) -> int:
    """
    Return energy in whole Wh, rounded half-even.

    :raises ValueError: if it is not finite, or has more than 25 digits before the point.
    """
    if not energy_kwh.is_finite() or (energy_kwh and energy_kwh.adjusted() >= _DIGITS_MAX - 3):
        raise ValueError("must be a finite number")
    return int(energy_kwh.quantize(_WH_IN_KWH, ROUND_HALF_EVEN).scaleb(3))


def kwh_column_to_wh(energy_kwh: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """
    Return a column of energies in whole Wh, each rounded half-even as its shortest decimal text.

    The float 1.0015 times 1000 is 1001.4999..., yet its text says 1001.5: values near a tie are
    therefore rounded from their text, the rest at the speed of the machine.

    :param energy_kwh: finite values, shape (n,), below a million kWh.
    :returns: shape (n,).
    """
    scaled = energy_kwh * 1000.0
    energy_wh = np.rint(scaled).astype(np.int64)
    near = np.abs(scaled - np.floor(scaled) - 0.5) < _NEAR_A_TIE_WH
    for index in np.flatnonzero(near):
        energy_wh[index] = kwh_to_wh(Decimal(repr(float(energy_kwh[index]))))
    return energy_wh


def shown_unit(channel_unit: str) -> str:
    """
    Return the unit in which a channel's amounts are shown: a thousand of what is stored.

    >>> shown_unit("Wh"), shown_unit("V")
    ('kWh', 'V')
    """
    return "kWh" if channel_unit == "Wh" else channel_unit


def shown(amount: int) -> float:
    """
    Return a stored amount as JSON and charts show it: Wh in kWh, thousandths in whole units.

    >>> shown(230_125)
    230.125
    """
    return amount / 1000


def wh_to_kwh(energy_wh: int) -> float:
    """
    Return energy in kWh as JSON and charts show it; its shortest text is exact to 1 Wh.

    >>> wh_to_kwh(5500)
    5.5
    """
    return energy_wh / 1000
