"""A stepped clock is seen, and only what was open across it is marked."""

from observatory.core.clock import STEP_NS, Anchor
from observatory.load.clock_watch import ClockWatch

ANCHOR = Anchor(realtime_ns=1_000_000, monotonic_ns=0)


class Clocks:
    """Both clocks under the test's hand."""

    def __init__(self) -> None:
        self.monotonic = 0
        self.offset = 1_000_000
        self.jitter = 0

    def careful(self) -> tuple[int, int]:
        return self.monotonic + self.offset, self.monotonic

    def quick(self) -> tuple[int, int]:
        return self.monotonic + self.offset + self.jitter, self.monotonic


def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(ANCHOR, clocks.careful, clocks.quick)


def test_without_a_step_nothing_is_marked() -> None:
    clocks = Clocks()
    clock = watch(clocks)
    clocks.monotonic = 5_000_000_000
    clocks.offset += STEP_NS
    assert not clock.check()
    assert not clock.stepped_between(0, 5_000_000_000)
    assert clock.instant(5_000_000_000) == 5_000_000_000


def test_a_step_marks_what_was_open_since_the_last_look() -> None:
    clocks = Clocks()
    clock = watch(clocks)
    clocks.monotonic = 10
    clock.check()
    clocks.monotonic, clocks.offset = 30, clocks.offset + STEP_NS + 1
    assert clock.check()
    assert clock.stepped_between(5, 20)
    assert clock.stepped_between(20, 40)
    assert clock.stepped_between(0, 100)
    assert not clock.stepped_between(0, 9)
    assert not clock.stepped_between(31, 50)
    assert clock.offset_change_ns == STEP_NS + 1


def test_a_step_back_counts_as_well_and_conversions_follow() -> None:
    clocks = Clocks()
    clock = watch(clocks)
    clocks.monotonic, clocks.offset = 1_000, clocks.offset - 2 * STEP_NS
    assert clock.check()
    assert clock.instant(1_000) == 1_000 - 2 * STEP_NS
    assert clock.monotonic(clock.instant(777)) == 777


def test_a_preempted_quick_look_is_no_step() -> None:
    clocks = Clocks()
    clock = watch(clocks)
    clocks.jitter = 50 * STEP_NS
    clocks.monotonic = 10
    assert not clock.check()
    assert not clock.stepped_between(0, 100)
