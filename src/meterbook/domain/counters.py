"""
A counter's samples to interval energy, one sample at a time.

    sample ─► follows what is trusted?  ─yes─► energy of every interval that ended
                     │ no
                     └─► suspect: the dial as read is kept, no energy of it counts, until
                           it falls back in line: the advance counts whole, as if nothing was
                           two follow what was trusted one sample ago: that sample was the odd one
                           it goes on rising plausibly: a new epoch, counted from its first sample

What surprises: a single odd sample changes nothing. One that could be true counts at first; once
two samples say that it was odd, its intervals are counted again without it. The state is one
small struct, stored in the transaction that stores the energy, so a crash neither loses nor doubles
any. Amounts are whole Wh (thousandths for what is no energy), instants UTC epoch milliseconds.
"""

from collections.abc import Iterator
from itertools import pairwise

import msgspec

from meterbook.domain.intervals import risen
from meterbook.domain.readings import Quality

COUNTED_INTERVAL_S = 300
"""Whole five minutes lie on the local grid of every zone, and six are exactly a half hour."""
_INTERVAL_MS = COUNTED_INTERVAL_S * 1000
CONFIRMING_SAMPLES = 3
CONFIRMING_MS = 600_000  # longer than a device takes to start; always passes an interval's end
_CONFIRMING_RISES = 2  # inverters show 0 all night: what stands still proves nothing
SILENCE_MS_MAX = 1_000 * 86_400_000  # no meter is away for longer: a clock was wrong
COUNTED_AGAIN_MS_MAX = 86_400_000  # intervals that an odd sample may have cost, and writes of them
_HOUR_MS = 3_600_000


class KnownMarks(msgspec.Struct, frozen=True):
    """The instants whose dial is wanted, and how near samples must lie for it to be measured."""

    every_s: int = COUNTED_INTERVAL_S
    offset_s: int = 0
    """Where they lie on the UTC grid."""
    apart_s: int = COUNTED_INTERVAL_S
    """Samples no further apart than this tell every dial between them."""
    near_s: int = 0
    """So near a mark a sample tells its dial, however far away the next one is."""

    def are_estimates(self, from_ms: int, to_ms: int) -> bool:
        """Say whether a mark between two neighbouring samples is not measured."""
        if to_ms - from_ms <= self.apart_s * 1000:
            return False
        near_ms, every_ms = self.near_s * 1000, self.every_s * 1000
        passed = (from_ms + near_ms - self.offset_s * 1000) // every_ms
        return (passed + 1) * every_ms + self.offset_s * 1000 < to_ms - near_ms


class CounterLimits(msgspec.Struct, frozen=True):
    """What a counter can do."""

    hourly_max: int
    """Rated power: the most it can rise in an hour."""
    step: int
    """The least it can rise by, which it may do at any moment."""
    rollovers: tuple[int, ...] = ()
    """First values it may be unable to show; each plausible only near its end."""
    marks: KnownMarks = KnownMarks()

    def most(self, elapsed_ms: int) -> int:
        """Return the most it can rise in that time."""
        return self.step + self.hourly_max * elapsed_ms // _HOUR_MS


class IntervalEnergy(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The energy of neighbouring intervals that are alike."""

    starts_at: int
    """Of the first, UTC epoch seconds."""
    count: int
    amount: int
    """Of each."""
    quality: Quality


class Stretch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Samples that follow from one another, as far as they go."""

    first_at_ms: int
    first_dial: int
    at_ms: int
    dial: int
    samples: int = 1
    rises: int = 0
    total: int = 0
    """Risen since the first sample."""
    head: tuple[int, int] | None = None
    """The first interval end passed and what had risen until then."""
    mark: tuple[int, int] | None = None
    """The same of the last one."""
    is_estimated: bool = False
    """Whether the energy of the interval that is open is partly an estimate."""
    held: tuple[IntervalEnergy, ...] = ()
    """Energy that counts once the stretch is trusted."""


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where one epoch ended and another began without anybody knowing the advance between."""

    before: Stretch
    first_at_ms: int
    first_dial: int
    head: tuple[int, int]


class CounterState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Everything that has to be known of the samples so far."""

    trusted: Stretch | None = None
    suspect: Stretch | None = None
    gap: Gap | None = None
    """The last one, so that an exchange reported later can close it."""
    before: Stretch | None = None
    """What was trusted before the last sample, if that rose: it may turn out to be odd."""


class Counted(msgspec.Struct, frozen=True):
    """What a sample or an event led to."""

    state: CounterState
    energies: tuple[IntervalEnergy, ...] = ()
    """Those of intervals that were counted before take the place of what they were."""
    is_questionable: bool = False
    """The sample does not follow from what is trusted."""
    odd: tuple[int, int] | None = None
    """Instant and dial of a sample that counted and turned out to be odd: the last but two."""


class EventDoesNotFitError(ValueError):
    """An exchange or reset that contradicts what was read."""


def count_sample(state: CounterState, *, at_ms: int, dial: int, limits: CounterLimits) -> Counted:
    """
    Take one sample in; one that is not newer than the last changes nothing.

    An interval is estimated where its ends lie in a gap too long to tell (`KnownMarks`), or where
    the samples allow two readings: a dip that rose again at once, or a reset that climbed back.
    """
    trusted, suspect = state.trusted, state.suspect
    if any(stretch and at_ms <= stretch.at_ms for stretch in (trusted, suspect)):
        return Counted(state)
    continues = suspect is not None and _follows(suspect, at_ms, dial, limits)
    if trusted is not None and _follows(trusted, at_ms, dial, limits):
        longer, energies = _extended(trusted, limits, at_ms=at_ms, dial=dial, is_doubtful=continues)
        before = _before(trusted, longer)
        return Counted(CounterState(longer, None, state.gap, before), energies)
    if suspect is not None and continues:
        counted_again = _counted_again(state, limits, at_ms=at_ms, dial=dial)
        if counted_again is not None:
            return counted_again
        suspect, energies = _extended(suspect, limits, at_ms=at_ms, dial=dial)
        suspect = msgspec.structs.replace(suspect, held=_folded((*suspect.held, *energies)))
    else:
        suspect = begun(at_ms, dial)
    if not _is_confirmed(suspect, is_first=trusted is None):
        waiting = msgspec.structs.replace(state, suspect=suspect)
        return Counted(waiting, (), trusted is not None)
    return _new_epoch(state, suspect, limits)


def count_event(
    state: CounterState, *, at_ms: int, final: int, first: int, limits: CounterLimits
) -> Counted:
    """
    Take in that a meter was exchanged or its counter reset: it ended at final, went on from first.

    :raises EventDoesNotFitError: if samples say otherwise, or nothing was read around it.
    """
    gap, trusted, suspect = state.gap, state.trusted, state.suspect
    if gap is not None and gap.before.at_ms <= at_ms <= gap.first_at_ms:
        ended, energies = _ended(gap.before, limits, at_ms=at_ms, final=final, first=first)
        _, bridge = _joined(ended, gap.first_at_ms, gap.first_dial, gap.head, limits)
        return Counted(CounterState(trusted, suspect), _folded((*energies, *bridge)))
    if trusted is None or at_ms < trusted.at_ms:
        raise EventDoesNotFitError("the counter went on from what it was before: no gap is there")
    ended, energies = _ended(trusted, limits, at_ms=at_ms, final=final, first=first)
    if suspect is None or suspect.first_at_ms < at_ms:
        return Counted(CounterState(ended, None, gap), energies)
    joined, bridge = _joined(ended, suspect.first_at_ms, suspect.first_dial, suspect.head, limits)
    if suspect.head is not None:
        joined = suspect
    elif suspect.at_ms > suspect.first_at_ms:
        joined, more = _extended(joined, limits, at_ms=suspect.at_ms, dial=suspect.dial)
        bridge = (*bridge, *more)
    whole = _folded((*energies, *bridge, *suspect.held))
    return Counted(CounterState(msgspec.structs.replace(joined, held=()), None, gap), whole)


def begun(at_ms: int, dial: int) -> Stretch:
    """Return a stretch of one sample."""
    on_mark = (at_ms, 0) if at_ms % _INTERVAL_MS == 0 else None
    return Stretch(at_ms, dial, at_ms, dial, head=on_mark, mark=on_mark)


def each_interval(energies: tuple[IntervalEnergy, ...]) -> Iterator[tuple[int, int, Quality]]:
    """Yield start, amount and quality of every single interval."""
    for energy in energies:
        for index in range(energy.count):
            starts_at = energy.starts_at + index * COUNTED_INTERVAL_S
            yield starts_at, energy.amount, energy.quality


def _follows(stretch: Stretch, at_ms: int, dial: int, limits: CounterLimits) -> bool:
    elapsed_ms = at_ms - stretch.at_ms
    return elapsed_ms <= SILENCE_MS_MAX and 0 <= dial - stretch.dial <= limits.most(elapsed_ms)


def _before(stretch: Stretch, longer: Stretch) -> Stretch | None:
    """Return what is kept of the stretch before its last sample."""
    may_be_odd = longer.dial > stretch.dial > 0  # a counter at 0 may begin there again
    is_near = longer.at_ms - stretch.at_ms <= COUNTED_AGAIN_MS_MAX
    return stretch if may_be_odd and is_near else None


def _counted_again(
    state: CounterState, limits: CounterLimits, *, at_ms: int, dial: int
) -> Counted | None:
    """Count on as if the last trusted sample had never been read, if that alone is odd."""
    before, odd, suspect = state.before, state.trusted, state.suspect
    if before is None or odd is None or suspect is None or suspect.samples > 1:
        return None
    if not _follows(before, suspect.at_ms, suspect.dial, limits):
        return None
    returned, energies = _extended(before, limits, at_ms=suspect.at_ms, dial=suspect.dial)
    longer, more = _extended(returned, limits, at_ms=at_ms, dial=dial)
    return Counted(
        CounterState(longer, None, state.gap, _before(returned, longer)),
        _folded((*energies, *more)),
        odd=(odd.at_ms, odd.dial),
    )


def _is_confirmed(suspect: Stretch, *, is_first: bool) -> bool:
    return (
        suspect.samples >= CONFIRMING_SAMPLES
        and suspect.at_ms - suspect.first_at_ms >= CONFIRMING_MS
        and (is_first or suspect.rises >= _CONFIRMING_RISES)
    )


def _new_epoch(state: CounterState, suspect: Stretch, limits: CounterLimits) -> Counted:
    trusted = msgspec.structs.replace(suspect, held=())
    if state.trusted is None or suspect.head is None:
        return Counted(CounterState(trusted, None, state.gap), suspect.held)
    advance = _rollover(state.trusted, suspect, limits)
    if advance is None:
        gap = Gap(state.trusted, suspect.first_at_ms, suspect.first_dial, suspect.head)
        return Counted(CounterState(trusted, None, gap), suspect.held)
    rolled = msgspec.structs.replace(state.trusted, dial=suspect.first_dial - advance)
    _, bridge = _joined(rolled, suspect.first_at_ms, suspect.first_dial, suspect.head, limits)
    return Counted(CounterState(trusted, None, state.gap), _folded((*bridge, *suspect.held)))


def _rollover(trusted: Stretch, suspect: Stretch, limits: CounterLimits) -> int | None:
    elapsed_ms = suspect.first_at_ms - trusted.at_ms
    most = limits.most(elapsed_ms) if elapsed_ms <= SILENCE_MS_MAX else 0
    for end in limits.rollovers:
        advance = suspect.first_dial + end - trusted.dial
        if suspect.first_dial >= 0 and trusted.dial < end and advance <= min(most, end // 100):
            return advance
    return None


def _ended(
    stretch: Stretch, limits: CounterLimits, *, at_ms: int, final: int, first: int
) -> tuple[Stretch, tuple[IntervalEnergy, ...]]:
    if final < stretch.dial:
        raise EventDoesNotFitError(f"the counter stood at {stretch.dial} before: more than that")
    if final - stretch.dial > limits.most(at_ms - stretch.at_ms):
        raise EventDoesNotFitError(
            f"the counter stood at {stretch.dial} before: it cannot have risen to {final} since"
        )
    longer, energies = _extended(stretch, limits, at_ms=at_ms, dial=final)
    return msgspec.structs.replace(longer, dial=first), energies


def _joined(
    before: Stretch,
    first_at_ms: int,
    first_dial: int,
    head: tuple[int, int] | None,
    limits: CounterLimits,
) -> tuple[Stretch, tuple[IntervalEnergy, ...]]:
    """Go on from one stretch to the first sample of the next, and on to its first interval end."""
    if not 0 <= first_dial - before.dial <= limits.most(first_at_ms - before.at_ms):
        raise EventDoesNotFitError(f"the first sample after it, {first_dial}, does not follow")
    joined, energies = _extended(before, limits, at_ms=first_at_ms, dial=first_dial)
    if head is None or head[0] <= first_at_ms:
        return joined, energies
    joined, more = _extended(joined, limits, at_ms=head[0], dial=first_dial + head[1])
    return joined, (*energies, *more)


def _extended(
    stretch: Stretch, limits: CounterLimits, *, at_ms: int, dial: int, is_doubtful: bool = False
) -> tuple[Stretch, tuple[IntervalEnergy, ...]]:
    """Return the stretch with one more sample, and the energy of the intervals that ended."""
    rise, elapsed_ms = dial - stretch.dial, at_ms - stretch.at_ms
    is_gap = limits.marks.are_estimates(stretch.at_ms, at_ms)
    near_ms = limits.marks.near_s * 1000
    first_ms = (stretch.at_ms // _INTERVAL_MS + 1) * _INTERVAL_MS
    marks = [
        (mark_ms, stretch.total + risen(rise, part=mark_ms - stretch.at_ms, whole=elapsed_ms))
        for mark_ms in range(first_ms, at_ms + 1, _INTERVAL_MS)
    ]

    def quality(earlier: tuple[int, int], later: tuple[int, int]) -> Quality:
        is_estimated = (
            is_doubtful
            or (is_gap and later[0] > stretch.at_ms + near_ms)
            or (stretch.is_estimated and earlier is stretch.mark)
        )
        return Quality.ESTIMATED_INTERPOLATED if is_estimated else Quality.RAW

    known = marks if stretch.mark is None else [stretch.mark, *marks]
    energies = [
        IntervalEnergy(earlier[0] // 1000, 1, later[1] - earlier[1], quality(earlier, later))
        for earlier, later in pairwise(known)
    ]
    # At an interval's very end nothing of the next one is estimated yet.
    left_ms = at_ms - marks[-1][0] if marks else 0
    longer = Stretch(
        stretch.first_at_ms,
        stretch.first_dial,
        at_ms,
        dial,
        stretch.samples + 1,
        stretch.rises + (rise > 0),
        stretch.total + rise,
        stretch.head or (marks[0] if marks else None),
        marks[-1] if marks else stretch.mark,
        (is_doubtful and left_ms > 0) or (is_gap and left_ms > near_ms)
        if marks
        else stretch.is_estimated or is_doubtful,
        stretch.held,
    )
    return longer, _folded(tuple(energies))


def _folded(energies: tuple[IntervalEnergy, ...]) -> tuple[IntervalEnergy, ...]:
    """Return the same with neighbours that are alike put together: a night of zeros is one."""
    folded: list[IntervalEnergy] = []
    for energy in energies:
        last = folded[-1] if folded else None
        if (
            last is not None
            and (last.amount, last.quality) == (energy.amount, energy.quality)
            and last.starts_at + last.count * COUNTED_INTERVAL_S == energy.starts_at
        ):
            folded[-1] = msgspec.structs.replace(last, count=last.count + energy.count)
        else:
            folded.append(energy)
    return tuple(folded)
