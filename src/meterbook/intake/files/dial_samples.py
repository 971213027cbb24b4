"""
Dial values at instants, as telegrams and meter reads hold them, turned into interval energy.

The counter is taken to rise evenly between two samples, so what comes out is derived or estimated
and says so. Half-hours before the first sample and after the last stay unknown; a single sample
is only reported.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from meterbook.domain.intervals import CounterWentBackError, advance_wh, interval_energy_wh
from meterbook.domain.local_days import utc_text
from meterbook.domain.readings import HALF_HOUR_S, Quality
from meterbook.intake.files.parsed import AHEAD_S_MAX, PartBuilder, Series

FAR_APART_S = 2 * HALF_HOUR_S
"""Samples further apart than this say nothing about the single half-hours between them."""

RUN_GAP_S_MAX = 400 * 86_400
"""Beyond a year without any reading nobody knows what an even rise would be spread over."""

COUNTER_WH_MAX = 1 << 53  # all the world's electricity of half a year: more is damage
_SOON = 4  # two are kept of each half hour
SINGLE = "single dial readings"
Sample = tuple[int, int, int]
"""Instant, counter in Wh, line."""


def held(series: Series, counter_wh: int, when: str) -> str:
    """Return the sentence about a dial reading that tells no energy by itself."""
    name = f"{series.scheme} {series.name or '(no name)'}"
    return f"{name}: {series.flow.name.lower()} dial {counter_wh / 1000:.3f} kWh {when}"


class SampleKeeper:
    """
    Dial samples of a long stream: the first and the last of each half hour are kept.

    More are not needed to know the counter at the marks, so memory does not grow with a meter that
    speaks every second.
    """

    def __init__(self, now: int) -> None:
        """Begin a stream; no sample may lie much later than `now`, UTC epoch seconds."""
        self._latest = now + AHEAD_S_MAX
        self._wrong: list[int] = []
        self._wrong_count = 0
        self._kept: dict[Series, dict[int, tuple[Sample, Sample]]] = {}

    def add(self, series: Series, sample: Sample) -> None:
        """Keep a sample."""
        if not 0 <= sample[0] <= self._latest:
            self._wrong_count += 1
            self._wrong = self._wrong or [sample[2]]
            return
        kept = self._kept.setdefault(series, {})
        half_hour = sample[0] // HALF_HOUR_S
        first, last = kept.get(half_hour, (sample, sample))
        kept[half_hour] = (min(first, sample), max(last, sample))

    def flush(self, builder: PartBuilder) -> None:
        """Add the energy of everything that was kept."""
        for line in self._wrong:
            builder.reject(line, "lies before 1970 or in the future", count=self._wrong_count)
        for series, kept in self._kept.items():
            add_samples(builder, series, [sample for pair in kept.values() for sample in pair])


def add_samples(builder: PartBuilder, series: Series, samples: Sequence[Sample]) -> None:
    """Add the half-hours that the samples of one counter tell, in any order, repeats allowed."""
    ordered = sorted({instant: (wh, line) for instant, wh, line in samples}.items())
    if len(ordered) < 2:  # noqa: PLR2004 a difference needs two
        for instant, (counter_wh, line) in ordered:
            builder.leave_out(SINGLE, line)
            builder.note(held(series, counter_wh, f"at {utc_text(instant)}; energy needs two"))
        return
    plausible = _plausible(builder, [(at, wh, line) for at, (wh, line) in ordered])
    for run in _rising_runs(builder, plausible):
        _add_run(builder, series, run)


def _plausible(builder: PartBuilder, ordered: list[Sample]) -> list[Sample]:
    """Return the samples without those after which the counter is back where it was before."""
    kept = ordered[:1]
    for index, sample in enumerate(ordered[1:], start=1):
        before = kept[-1]
        soon = [
            later[1]
            for later in ordered[index + 1 : index + 1 + _SOON]
            if later[0] - before[0] <= FAR_APART_S
        ]
        is_low = sample[1] < before[1] and any(later >= before[1] for later in soon)
        is_high = bool(soon) and before[1] <= soon[0] < sample[1]
        if is_low or is_high:
            builder.leave_out("dial readings that those around them contradict", sample[2])
        else:
            kept.append(sample)
    return kept


def _rising_runs(builder: PartBuilder, ordered: list[Sample]) -> list[list[Sample]]:
    runs = [[ordered[0]]]
    for earlier, later in pairwise(ordered):
        try:
            advance_wh(earlier[1], later[1])
        except CounterWentBackError as error:
            builder.leave_out(f"{error}: a new run begins", later[2])
            runs.append([])
        else:
            if later[0] - earlier[0] > RUN_GAP_S_MAX:
                builder.leave_out("more than a year without a dial reading", later[2])
                runs.append([])
        runs[-1].append(later)
    return runs


def _add_run(builder: PartBuilder, series: Series, run: list[Sample]) -> None:
    begin = -(-run[0][0] // HALF_HOUR_S) * HALF_HOUR_S
    end = run[-1][0] // HALF_HOUR_S * HALF_HOUR_S
    if end <= begin:
        builder.leave_out("dial readings within one half hour", run[0][2], count=len(run))
        return
    marks = range(begin, end + 1, HALF_HOUR_S)
    energies = interval_energy_wh([(at, wh) for at, wh, _ in run], marks=marks)
    instants = np.array([at for at, _, _ in run])
    starts = np.array(marks[:-1], dtype=np.int64)
    # The samples that bound an interval: the last at or before it, the first at or after its end.
    before = instants[np.searchsorted(instants, starts, side="right") - 1]
    after = instants[np.searchsorted(instants, starts + HALF_HOUR_S, side="left")]
    near = after - before <= FAR_APART_S + HALF_HOUR_S
    builder.add(
        series,
        starts_at=starts,
        amount=np.array([energy or 0 for energy in energies], dtype=np.int64),
        quality=np.where(near, int(Quality.DERIVED), int(Quality.ESTIMATED_INTERPOLATED)),
        lines=run[0][2],
    )
