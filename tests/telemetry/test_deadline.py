"""A sensor that hangs or raises is data; the others and the next reading do not suffer."""

import threading

from observatory.core.sample import Sample
from observatory.telemetry.deadline import Deadlined, _Answer
from observatory.telemetry.sensors.sensor import up

PLENTY_S = 30.0


class _Scripted:
    name = "scripted"

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.hang = False
        self.fail: Exception | None = None
        self.asked: list[int] = []

    def read(self, now: int) -> list[Sample]:
        self.asked.append(now)
        if self.hang:
            self.let_go.wait()
        if self.fail:
            raise self.fail
        return [up(self.name, now)]


def test_an_answer_comes_with_its_cost() -> None:
    answer, cost = Deadlined(_Scripted()).read(5, PLENTY_S)
    assert answer == Sample(5, "scripted", "shared_host", "", "up", 1.0)
    assert (cost.sensor, cost.subject, cost.device, cost.metric) == (
        "sampler",
        "client",
        "scripted",
        "read_s",
    )
    assert cost.value is not None and cost.value >= 0


def test_an_exception_is_down_with_what_was_raised_and_the_next_reading_works() -> None:
    sensor = _Scripted()
    guarded = Deadlined(sensor)
    sensor.fail = ZeroDivisionError("a bug")
    down, _ = guarded.read(1, PLENTY_S)
    assert (down.metric, down.value, down.reason) == ("up", 0.0, "ZeroDivisionError('a bug')")
    sensor.fail = None
    assert guarded.read(2, PLENTY_S)[0].value == 1.0


def test_a_hanging_sensor_is_down_is_not_asked_again_and_comes_back() -> None:
    sensor = _Scripted()
    guarded = Deadlined(sensor)
    sensor.hang = True
    (first,) = guarded.read(1, 0.01)
    assert (first.metric, first.value, first.reason) == ("up", 0.0, "no answer within 0.01 s")
    (second,) = guarded.read(2, PLENTY_S)
    assert second.value == 0.0
    assert second.reason is not None and second.reason.startswith("hangs since")
    assert sensor.asked == [1]
    sensor.hang = False
    sensor.let_go.set()
    answers = guarded.read(3, PLENTY_S)
    while answers[0].value == 0.0:  # until the late answer has come
        answers = guarded.read(3, PLENTY_S)
    assert [sample.at for sample in answers] == [3, 3]
    assert sensor.asked == [1, 3]


def _after_a_late_answer(read_s: float) -> list[Sample]:
    """What the next reading returns, where the machine let the first one begin 0.2 s late."""
    guarded = Deadlined(_Scripted())
    guarded._pending_since = 1.0
    answer = _Answer([up("scripted", 10)], lag_s=0.2, read_s=read_s, deadline_s=0.05)
    guarded._answers.put(answer)
    return [sample for sample in guarded.read(900_000_000, PLENTY_S) if sample.metric == "up"]


def test_samples_of_a_busy_machine_come_with_the_next_reading_and_their_own_instant() -> None:
    late, fresh = _after_a_late_answer(read_s=0.01)
    assert (late.at, late.value) == (200_000_010, 1.0)
    assert (fresh.at, fresh.value) == (900_000_000, 1.0)


def test_samples_of_a_slow_reading_are_of_no_known_instant() -> None:
    assert [sample.at for sample in _after_a_late_answer(read_s=0.06)] == [900_000_000]


def test_a_sensor_with_nothing_to_say_costs_no_row() -> None:
    class Silent:
        name = "silent"

        def read(self, now: int) -> list[Sample]:
            return []

    assert Deadlined(Silent()).read(1, PLENTY_S) == []
