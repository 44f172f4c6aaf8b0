"""RAPL from made powercap folders: which counters count, wraparound, and what is not readable."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.telemetry.plausible import COUNTER_BROKE
from observatory.telemetry.sensors.rapl import RaplSensor, advance, zones

RANGE = 262_143_328_850


def zone(folder: Path, path: str, name: str, energy: int | str = 0) -> Path:
    made = folder / path
    made.mkdir(parents=True, exist_ok=True)
    (made / "name").write_text(f"{name}\n")
    (made / "energy_uj").write_text(f"{energy}\n")
    (made / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return made / "energy_uj"


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages as a two-socket server shows them, with what must not be counted twice."""
    for number in (0, 1):
        zone(tmp_path, f"intel-rapl:{number}", f"package-{number}", 1_000_000)
        zone(tmp_path, f"intel-rapl:{number}/intel-rapl:{number}:0", "core", 5)
        zone(tmp_path, f"intel-rapl:{number}/intel-rapl:{number}:1", "dram", 500_000)
    zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def test_packages_and_their_memory_and_nothing_twice(powercap: Path) -> None:
    assert [device for device, _ in zones(powercap)] == [
        "cpu/package-0",
        "memory/dram-0",
        "cpu/package-1",
        "memory/dram-1",
    ]


def test_joules_since_the_first_reading(powercap: Path) -> None:
    sensor = RaplSensor(powercap)
    first = sensor.read(1)
    assert (first[0].metric, first[0].value) == ("up", 1.0)
    assert [s.value for s in first[1:]] == [0.0] * 4
    (powercap / "intel-rapl:0/energy_uj").write_text("43500000")
    (powercap / "intel-rapl:1/intel-rapl:1:1/energy_uj").write_text("1750000")
    values = {s.device: s.value for s in sensor.read(2)[1:]}
    assert values == {
        "cpu/package-0": pytest.approx(42.5),
        "memory/dram-0": 0.0,
        "cpu/package-1": 0.0,
        "memory/dram-1": pytest.approx(1.25),
    }
    assert {(s.sensor, s.subject, s.metric) for s in first[1:]} == {
        ("rapl", "shared_host", "energy_j")
    }


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 999_999)
    sensor = RaplSensor(tmp_path)
    sensor.read(1)
    counter.write_text("2000000")
    assert sensor.read(2)[1].value == pytest.approx(3.0)


S = 1_000_000_000


@pytest.mark.parametrize(
    ("readings", "every_s", "totals"),
    [
        # Reset to 0 far from the end of its range: no wrap.
        ([150_000_000_000, 900_000, 60_900_000], 1, [0.0, None, 60.0]),
        ([150_000_000_000, 0, 60_000_000], 1, [0.0, None, 60.0]),
        # A jump forward, and back to where it was.
        ([1_000_000, 90_000_000_000, 90_050_000_000], 1, [0.0, None, 50.0]),
        ([90_000_000_000, 1_000_000, 51_000_000], 1, [0.0, None, 50.0]),
        # A wrap: 100 W for a second, and 180 W for ten minutes.
        ([RANGE - 50_000_000, 49_999_999, 149_999_999], 1, [0.0, 100.0, 200.0]),
        ([200_000_000_000, (200_000_000_000 + 108_000_000_000) % (RANGE + 1)], 600, [0.0, 108_000.0]),
    ],
)  # fmt: skip
def test_a_reset_is_no_wrap(
    readings: list[int], every_s: int, totals: list[float | None], tmp_path: Path
) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", readings[0])
    sensor = RaplSensor(tmp_path)
    found = []
    for place, reading in enumerate(readings):
        counter.write_text(f"{reading}\n")
        found.append(sensor.read(place * every_s * S)[1])
    assert [sample.value for sample in found] == [
        None if total is None else pytest.approx(total) for total in totals
    ]
    for sample in found:
        assert (sample.value is None) == (sample.reason or "").startswith(COUNTER_BROKE)


def test_without_its_range_a_counter_counts_and_a_wrap_is_null(tmp_path: Path) -> None:
    """codecarbon issue 1309: containers that show energy_uj alone; there the energy became negative."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 4_000_000_000)
    counter.with_name("max_energy_range_uj").unlink()
    sensor = RaplSensor(tmp_path)
    found = []
    for at, reading in enumerate((4_000_000_000, 4_050_000_000, 10_000, 60_010_000)):
        counter.write_text(f"{reading}\n")
        found.append(sensor.read(at * S)[1])
    assert [s.value for s in found] == [0.0, 50.0, None, 110.0]
    assert (found[2].reason or "").startswith(COUNTER_BROKE)


def test_the_limits_in_force_bound_the_power(tmp_path: Path) -> None:
    """4 kJ in a second pass for a package of unknown limits read late, and not for one of 65 W."""
    for limit_w, value in ((65, None), (600, 2.9e3)):
        folder = tmp_path / str(limit_w)
        counter = zone(folder, "intel-rapl:0", "package-0", 0)
        for number, watts in enumerate((limit_w / 2, limit_w)):
            place = counter.with_name(f"constraint_{number}_power_limit_uw")
            place.write_text(f"{round(watts * 1e6)}\n")
        counter.with_name("constraint_2_power_limit_uw").write_text("none\n")
        sensor = RaplSensor(folder)
        sensor.read(0)
        counter.write_text("2900000000\n")
        assert sensor.read(S)[1].value == value


@given(
    start=st.integers(0, RANGE), steps=st.lists(st.integers(0, RANGE // 2), min_size=1, max_size=20)
)
def test_any_walk_of_a_counter_adds_up(start: int, steps: list[int]) -> None:
    at, total = start, 0
    for step in steps:
        later = (at + step) % (RANGE + 1)
        total += advance(at, later, RANGE)
        at = later
    assert total == sum(steps)


def test_a_machine_without_counters_gives_no_samples(tmp_path: Path) -> None:
    sensor = RaplSensor(tmp_path / "none")
    assert sensor.read(1) == []
    assert sensor.read(2) == []


def test_counters_that_may_not_be_read_are_said_once(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def refuse(path: Path, *args: str, **more: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path, *args, **more)

    monkeypatch.setattr(Path, "read_text", refuse)
    sensor = RaplSensor(powercap)
    (only,) = sensor.read(1)
    assert (only.metric, only.value) == ("up", 0.0)
    assert only.reason == "memory/dram-1: Permission denied"
    assert sensor.read(2) == []


def test_a_counter_that_fails_later_is_a_null_and_all_of_them_are_down(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 1)
    sensor = RaplSensor(tmp_path)
    sensor.read(1)
    first.write_text("garbage")
    state, broken, whole = sensor.read(2)
    assert state.value == 1.0
    assert (broken.value, broken.reason) == (None, "its counter is no number")
    assert whole.value == 0.0
    second.unlink()
    state = sensor.read(3)[0]
    assert (state.metric, state.value) == ("up", 0.0)
    assert state.reason == "No such file or directory; its counter is no number"
