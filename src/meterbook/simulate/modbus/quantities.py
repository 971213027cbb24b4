"""
What a device at a home measures: powers and counters first, all else follows from them.

Counters add up power times time in whole watt-milliseconds and never drift. Voltage and frequency
wander a little; currents, apparent and reactive power fit them.
"""

import re
from fractions import Fraction
from math import sin, sqrt

import msgspec

from meterbook.simulate.modbus.homes import STEP_MS, VirtualHome

_W_MS_IN_WH = 3_600_000
_PHASE_SHARES = (Fraction(5, 10), Fraction(3, 10), Fraction(2, 10))
_PHASE = re.compile(r"_l([123])$")
_LINE_VOLTAGE = re.compile(r"_l[123]_l[123]$|_line$")
_NAMED = {"rated_power": 6000, "rated_apparent_power": 6000, "rated_current": 26}
_NAMED |= {"power_limit": 6000, "apparent_power_limit": 6000, "reference_voltage": 230}
_NAMED |= {"nominal_frequency": 50, "operating_state": 4}
_LOST_IN_INVERTER = Fraction(97, 100)
_SQRT_3 = 1.732_050_808


class Counted(msgspec.Struct):
    """What has flown since the home was built, in watt-milliseconds."""

    imported: int = 0
    exported: int = 0
    produced: int = 0
    used: int = 0


class Flowing(msgspec.Struct):
    """What flows now."""

    load_w: int = 0
    pv_w: int = 0


class Measured:
    """A home as its devices see it, up to an instant."""

    def __init__(self, home: VirtualHome, *, now_ms: int, before_wh: int = 0) -> None:
        """
        Begin counting.

        :param before_wh: what each counter shows at the beginning.
        """
        self.home = home
        self.at_ms = now_ms
        start = before_wh * _W_MS_IN_WH
        self.counted = Counted(start, start, start, start)
        self.flowing = Flowing()
        for powers in home.powers(now_ms, now_ms + 1):
            self.flowing = Flowing(powers.load_w, powers.pv_w)

    def advance(self, now_ms: int) -> None:
        """Let time pass up to the instant; it never goes back."""
        counted = self.counted
        for powers in self.home.powers(self.at_ms, now_ms):
            for_ms = powers.ends_at_ms - powers.starts_at_ms
            net_w = powers.load_w - powers.pv_w
            counted.imported += max(net_w, 0) * for_ms
            counted.exported += max(-net_w, 0) * for_ms
            counted.produced += powers.pv_w * for_ms
            counted.used += powers.load_w * for_ms
            self.flowing = Flowing(powers.load_w, powers.pv_w)
        self.at_ms = max(self.at_ms, now_ms)

    def quantity(self, measurement: str, *, is_inverter: bool) -> Fraction | float:
        """Return a measurement in V, A, W, Wh, Hz ...; energy exactly, the rest as it wanders."""
        if measurement in _NAMED:
            return _NAMED[measurement]
        if "energy" in measurement:
            return self._energy_wh(measurement, is_inverter=is_inverter)
        return self._instant(measurement, is_inverter=is_inverter)

    def _energy_wh(self, measurement: str, *, is_inverter: bool) -> Fraction:
        counted = self.counted
        outward = counted.produced if is_inverter else counted.exported
        if "reactive" in measurement or "apparent" in measurement:
            total = (counted.imported + outward) * 3 // 10
        elif "_sum" in measurement:
            total = counted.imported + outward
        else:
            total = outward if "produced" in measurement else counted.imported
        share = _share(measurement)
        if "_tariff" in measurement:
            share = Fraction(6 if measurement.endswith("1") else 4, 10)
        return share * total / _W_MS_IN_WH

    def _instant(self, measurement: str, *, is_inverter: bool) -> float:
        power_w = self.flowing.pv_w if is_inverter else self.flowing.load_w - self.flowing.pv_w
        phase_w = power_w * float(_share(measurement))
        wander = sin(self.at_ms // STEP_MS * 0.37)
        factor = 0.97 + 0.02 * wander
        volts = 230 + 3 * wander
        if measurement.endswith("_dc") or "_dc_" in measurement:
            return _direct_current(measurement, phase_w, volts)
        for prefix, quantity in (
            ("voltage_thd", 1.5 + wander),
            ("voltage", volts * (_SQRT_3 if _LINE_VOLTAGE.search(measurement) else 1)),
            ("current", abs(phase_w) / (volts * factor)),
            ("active_power", phase_w),
            ("apparent_power", abs(phase_w) / factor),
            ("reactive_power", abs(phase_w) * sqrt(1 / factor**2 - 1)),
            ("power_factor", factor),
            ("frequency", 50 + 0.02 * wander),
            ("temperature", 25 + power_w / 400),
        ):
            if measurement.startswith(prefix):
                return quantity
        return 1.0


def _share(measurement: str) -> Fraction:
    # Line to line is no phase.
    if _LINE_VOLTAGE.search(measurement):
        return Fraction(1)
    phase = _PHASE.search(measurement)
    return _PHASE_SHARES[int(phase[1]) - 1] if phase else Fraction(1)


def _direct_current(measurement: str, power_w: float, volts: float) -> float:
    dc_w = power_w / float(_LOST_IN_INVERTER)
    dc_volts = volts * 2.6
    if measurement.startswith("voltage"):
        return dc_volts
    return dc_w / dc_volts if measurement.startswith("current") else dc_w
