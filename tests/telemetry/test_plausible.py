"""Each lie of a sensor by known answers, what becomes of the samples, and that honest ones stay."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.sample import Sample
from observatory.telemetry.plausible import (
    IMPLAUSIBLE,
    STUCK_READINGS,
    Plausibility,
    counter_lie,
    fraction_lie,
    memory_lie,
    power_lie,
)
from observatory.telemetry.sensors.sensor import up

S = 1_000_000_000


def reading(
    at_s: float, sensor: str = "nvml", device: str = "gpu0", **values: float
) -> list[Sample]:
    at = round(at_s * S)
    return [
        up(sensor, at, device=device),
        *(Sample(at, sensor, "shared_host", device, name, value) for name, value in values.items()),
    ]


def plausible(samples: list[Sample]) -> dict[str, tuple[float | None, str | None]]:
    return {sample.metric: (sample.value, sample.reason) for sample in samples}


@pytest.mark.parametrize(
    ("power", "limit", "lie"),
    [
        (0.0, 700.0, None),
        (1049.0, 700.0, None),
        (1051.0, 700.0, "1051 W is above 1.5 x the limit of 700 W"),
        (-0.001, 700.0, "-0.001 W is negative"),
        (4_294_967.295, None, "4.29497e+06 W is above 20000 W"),
        (1200.0, None, None),
        (1200.0, 0.0, None),
    ],
)
def test_wattage(power: float, limit: float | None, lie: str | None) -> None:
    assert power_lie(power, limit) == lie


def test_shares_memory_and_counters() -> None:
    assert fraction_lie(0.0) is fraction_lie(1.0) is None
    assert fraction_lie(1.01) == "1.01 is no share from 0 to 1"
    assert fraction_lie(-0.1) is not None
    assert memory_lie(80, 80) is memory_lie(5, None) is None
    assert memory_lie(81, 80) == "81 bytes in use of 80"
    assert counter_lie(5, 5) is None
    assert counter_lie(5, 4) == "the counter went back from 5 to 4"


def test_a_lie_is_a_null_that_keeps_it_and_its_device_is_down() -> None:
    other = reading(1, device="gpu1", gpu_power_w=300.0)
    checked = Plausibility().check(
        [*reading(1, gpu_power_w=95_000.0, gpu_power_limit_w=700.0, gpu_util_fraction=0.5), *other]
    )
    lie = "95000 W is above 1.5 x the limit of 700 W"
    assert plausible(checked[:4]) == {
        "up": (0.0, f"{IMPLAUSIBLE}{lie} (gpu_power_w)"),
        "gpu_power_w": (None, IMPLAUSIBLE + lie),
        "gpu_power_limit_w": (700.0, None),
        "gpu_util_fraction": (0.5, None),
    }
    assert checked[4:] == other


def test_a_sensor_with_one_state_for_all_its_devices_is_down_as_a_whole() -> None:
    checks = Plausibility()
    energy = [
        up("rapl", 1),
        Sample(1, "rapl", "shared_host", "cpu/package-0", "energy_j", 10.0),
    ]
    assert checks.check(energy) == energy
    later = checks.check([up("rapl", 2), msgspec_with(energy[1], 9.0)])
    assert [sample.value for sample in later] == [0.0, None]


def msgspec_with(sample: Sample, value: float) -> Sample:
    return Sample(2, sample.sensor, sample.subject, sample.device, sample.metric, value)


def test_a_counter_that_went_back_is_believed_again_from_there() -> None:
    checks = Plausibility()
    found = [
        plausible(checks.check(reading(n, gpu_energy_j=e)))["gpu_energy_j"][0]
        for n, e in enumerate([5.0, 7.0, 1.0, 2.0])
    ]
    assert found == [5.0, 7.0, None, 2.0]


def _joules(
    *readings: tuple[float, float],
    sensor: str = "nvml",
    metric: str = "gpu_energy_j",
    **more: float,
) -> list[float | None]:
    checks = Plausibility()
    return [
        plausible(checks.check(reading(at_s, sensor, **{metric: value}, **more)))[metric][0]
        for at_s, value in readings
    ]


@pytest.mark.parametrize(
    ("sensor", "metric", "more", "most_w"),
    [
        ("nvml", "gpu_energy_j", {"gpu_power_limit_w": 700.0}, 1050.0),
        ("nvml", "gpu_energy_j", {}, 20_000.0),
        ("dcgm", "gpu_energy_j", {}, 20_000.0),
        ("rapl", "energy_j", {}, 20_000.0),
        ("codecarbon", "energy_j", {}, 20_000.0),
    ],
)
def test_joules_beyond_physics_are_a_jump(
    sensor: str, metric: str, more: dict[str, float], most_w: float
) -> None:
    """A counter may have been brought up to date a reading ago: two seconds of the most are believed."""

    def run_to(joules: float) -> list[float | None]:
        return _joules((0, 5.0), (1, joules), (2, joules + 1), sensor=sensor, metric=metric, **more)

    honest, jumped = 4 + 2 * most_w, 6 + 2 * most_w
    assert run_to(honest) == [5.0, honest, honest + 1]
    assert run_to(jumped) == [5.0, None, jumped + 1]


def test_a_counter_that_is_brought_up_to_date_every_half_minute_does_not_jump() -> None:
    readings = [(float(at), 500.0 * 30 * (at // 30)) for at in range(125)]
    assert None not in _joules(*readings, sensor="dcgm", gpu_power_limit_w=700.0)


def test_a_counter_after_a_silence_does_not_jump() -> None:
    assert None not in _joules((0, 5.0), (1, 600.0), (90, 60_000.0), gpu_power_limit_w=700.0)


def test_a_counter_of_other_things_may_jump() -> None:
    metric = "gpu_nvlink_sent_bytes_total"
    assert None not in _joules((0, 5.0), (1, 4e11), metric=metric)


def run(powers: list[float], utils: list[float], every_s: float = 1.0) -> list[float | None]:
    checks = Plausibility()
    return [
        plausible(checks.check(reading(n * every_s, gpu_power_w=power, gpu_util_fraction=util)))[
            "gpu_power_w"
        ][0]
        for n, (power, util) in enumerate(zip(powers, utils, strict=True))
    ]


def test_a_constant_value_while_the_utilisation_changes_is_a_lie_until_it_moves() -> None:
    n = STUCK_READINGS
    found = run([90.0] * (n + 5) + [91.0, 90.0], [0.0, 1.0] * ((n + 5) // 2) + [1.0] * 3)
    assert found[: n - 1] == [90.0] * (n - 1)
    assert found[n - 1 : n + 5] == [None] * 6
    assert found[n + 5 :] == [91.0, 90.0]


def test_a_constant_value_at_a_constant_load_is_none() -> None:
    assert None not in run([300.0] * 200, [1.0] * 200)


def test_fast_readings_that_repeat_within_ten_seconds_are_none() -> None:
    assert None not in run([90.0] * 90, [0.0, 1.0] * 45, every_s=0.1)
    assert None in run([90.0] * 110, [0.0, 1.0] * 55, every_s=0.1)


def test_a_counter_that_stands_still_under_load_is_a_lie() -> None:
    checks = Plausibility()
    last: dict[str, tuple[float | None, str | None]] = {}
    for n in range(STUCK_READINGS + 1):
        last = plausible(checks.check(reading(n, gpu_energy_j=7.0, gpu_util_fraction=n % 2)))
    assert last["gpu_energy_j"][0] is None
    assert last["up"][0] == 0.0


def test_what_is_no_number_is_a_lie() -> None:
    checked = plausible(Plausibility().check(reading(1, gpu_temperature_c=math.nan)))
    assert checked["gpu_temperature_c"] == (None, "implausible: nan is no number")


def test_other_sensors_are_left_alone() -> None:
    theirs = [Sample(1, "sampler", "client", "", "cpu_fraction", 1.7)]
    assert Plausibility().check(theirs) is theirs


@given(
    st.lists(
        st.tuples(st.floats(20, 700), st.floats(0, 1), st.floats(0.001, 50)),
        min_size=1,
        max_size=120,
    )
)
def test_an_honest_gpu_is_never_accused(steps: list[tuple[float, float, float]]) -> None:
    """Power that moves with the load, and its own integral as a counter."""
    checks = Plausibility()
    energy = 0.0
    for number, (power, util, grown) in enumerate(steps):
        energy += grown
        samples = reading(
            number,
            gpu_power_w=power + number * 1e-6,
            gpu_power_limit_w=700.0,
            gpu_energy_j=energy,
            gpu_util_fraction=util,
            gpu_memory_used_bytes=1e9,
            gpu_memory_total_bytes=8e10,
        )
        assert checks.check(samples) is samples
