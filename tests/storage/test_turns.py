"""Turns: one at a time, in the order in which they asked."""

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from meterbook.storage.turns import LONG_S, REST_S_MAX, Turns


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def in_a_thread(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_who_waited_longest_comes_next_also_before_who_just_had_it() -> None:
    turns = Turns(patience_s=10)
    had: list[str] = []

    def have(name: str) -> None:
        with turns:
            had.append(name)

    threads = []
    turns.__enter__()
    for number, name in enumerate("abc", start=1):
        threads.append(in_a_thread(lambda name=name: have(name)))  # type: ignore[misc]
        until(lambda number=number: len(turns._waiting) == number)  # type: ignore[misc]
    turns.__exit__()
    have("again")
    assert had == ["a", "b", "c", "again"]
    for thread in threads:
        thread.join()


def test_one_at_a_time() -> None:
    turns = Turns(patience_s=10)
    inside, most = 0, 0

    def have_many() -> None:
        nonlocal inside, most
        for _ in range(500):
            with turns:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [in_a_thread(have_many) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert (most, inside) == (1, 0)


def test_who_waits_too_long_is_told_and_gets_no_turn_later() -> None:
    turns = Turns(patience_s=0.01)
    told: list[str] = []

    def ask() -> None:
        try:
            with turns:
                told.append("had one")
        except sa.exc.TimeoutError as error:
            told.append(str(error))

    with turns:
        in_a_thread(ask).join()
    assert told == ["no turn to write came in 0.01 s"]
    in_a_thread(ask).join()
    assert told[1:] == ["had one"]


def test_a_turn_that_raises_ends() -> None:
    turns = Turns(patience_s=0.01)
    with pytest.raises(ValueError, match="inside"), turns:
        raise ValueError("inside")
    with turns:
        pass


class Slept:
    """A clock that moves by turns and rests, and remembers the rests."""

    def __init__(self) -> None:
        self.at_s = 100.0
        self.rests: list[float] = []
        self.turns = Turns(patience_s=10, clock=lambda: self.at_s, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Rest."""
        self.rests.append(round(seconds, 6))
        self.at_s += seconds

    def write(self, seconds: float) -> None:
        """Have a turn that takes so long."""
        with self.turns:
            self.at_s += seconds

    def write_elsewhere(self, seconds: float) -> None:
        """Have it in another thread."""
        in_a_thread(lambda: self.write(seconds)).join()


def test_a_long_turn_is_followed_by_as_long_for_others() -> None:
    clock = Slept()
    clock.write(0.3)
    clock.write_elsewhere(0.001)
    clock.write(0.3)
    assert clock.rests == [0.299]
    clock.write_elsewhere(0.5)
    clock.write(0.3)
    assert clock.rests == [0.299]


def test_nobody_rests_for_nobody_or_after_a_short_turn() -> None:
    clock = Slept()
    for seconds in (0.3, 0.3, LONG_S / 2):
        clock.write(seconds)
    clock.write_elsewhere(0.001)
    clock.write(0.001)
    assert clock.rests == []


def test_even_after_the_longest_turn_a_rest_is_short() -> None:
    clock = Slept()
    clock.write(60)
    clock.write_elsewhere(0.25)
    clock.write(1)
    assert clock.rests == [REST_S_MAX - 0.25]


def test_who_has_a_long_turn_while_others_wait_rests_too() -> None:
    clock = Slept()
    with clock.turns:
        clock.at_s += 0.3
        waiting = in_a_thread(lambda: clock.write(0))
        until(lambda: len(clock.turns._waiting) == 1)
    waiting.join()
    clock.write(0)
    assert clock.rests == [0.3]
