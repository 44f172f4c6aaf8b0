"""Energy rows by hand: who, which part of the machine, on which basis, and what is left null."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.run import IdleWindow, StageTimes
from observatory.core.sample import EnergyRow, Sample, Subject
from observatory.economics.energy import ELSEWHERE, HIDDEN, Site, energy_rows
from observatory.economics.sensed import Grid

S = 1_000_000_000
ENGINE = "engine:llama"


def _stage(index: int = 0, start: int | None = 10, end: int | None = 40) -> StageTimes:
    return StageTimes(
        index=index,
        kind="closed",
        concurrency=1,
        rate_per_s=None,
        steady_started=None if start is None else start * S,
        steady_ended=None if end is None else end * S,
    )


def _series(
    sensor: str,
    device: str,
    metric: str,
    value: Callable[[int], float | None],
    *,
    subject: Subject = "shared_host",
    seconds: Iterable[int] = range(61),
    reason: str | None = None,
) -> list[Sample]:
    return [
        Sample(second * S, sensor, subject, device, metric, value(second), reason)
        for second in seconds
    ]


def _host() -> list[Sample]:
    """10 W of CPU and 20 W of memory; 1.5 cores busy: engine 0.9, client 0.3, sampler 0.03."""
    return [
        *_series("codecarbon", "cpu/cpu_load", "energy_j", lambda t: 10.0 * t),
        *_series("codecarbon", "memory/constant", "energy_j", lambda t: 20.0 * t),
        Sample(S, "codecarbon", "shared_host", "cpu/cpu_load", "full_load_power_w", 8.0),
        Sample(S, "codecarbon", "shared_host", "grid/FRA/2023", "kgco2e_per_kwh", 0.06),
        *_series("host", "", "cpu_busy_s", lambda t: 100 + 1.5 * t),
        *_series("process", ENGINE, "cpu_s", lambda t: 5 + 0.9 * t, subject="target"),
        *_series("process", "client", "cpu_s", lambda t: 1 + 0.3 * t, subject="client"),
        *_series("process", "sampler", "cpu_s", lambda t: 0.03 * t, subject="client"),
    ]


def _rows(
    samples: list[Sample],
    *stages: StageTimes,
    idle: IdleWindow | None = None,
    **options: Any,
) -> list[EnergyRow]:
    site = Site(**{"target_role": ENGINE, "on_this_host": True, **options})
    return energy_rows(samples, stages or (_stage(),), site, idle)


def _row(rows: list[EnergyRow], subject: str, scope: str) -> EnergyRow:
    (row,) = [row for row in rows if (row.subject, row.scope) == (subject, scope) and row.counts]
    return row


def test_one_host_without_a_gpu() -> None:
    rows = _rows(_host())
    assert [(r.subject, r.scope, r.basis, r.method) for r in rows] == [
        ("shared_host", "cpu", "estimated", "codecarbon cpu_load"),
        ("shared_host", "memory", "estimated", "codecarbon ram constant"),
        ("target", "cpu", "estimated", "codecarbon cpu_load, by share of busy CPU time"),
        ("client", "cpu", "estimated", "codecarbon cpu_load, by share of busy CPU time"),
    ]
    joules = [r.energy_j for r in rows]
    assert joules == pytest.approx([300, 600, 300 * 0.9 / 1.5, 300 * 0.33 / 1.5])
    for row in rows:
        assert (row.window_start, row.window_end, row.reason) == (10 * S, 40 * S, None)
        assert (row.grid_zone, row.grid_kgco2e_per_kwh) == ("FRA", 0.06)
        assert row.energy_j is not None
        assert row.kgco2e == pytest.approx(row.energy_j / 3.6e6 * 0.06)
    assert _row(rows, "shared_host", "cpu").source == (
        "codecarbon cpu_load, model of 8 W; grid: codecarbon global_energy_mix.json (2023)"
    )


def test_rapl_is_measured_and_its_shares_are_not() -> None:
    samples = _series("codecarbon", "cpu/intel_rapl", "energy_j", lambda t: 50.0 * t)
    samples += [s for s in _host() if s.sensor != "codecarbon"]
    rows = _rows(samples)
    assert _row(rows, "shared_host", "cpu").basis == "measured"
    assert _row(rows, "shared_host", "cpu").method == "codecarbon intel_rapl"
    assert _row(rows, "target", "cpu").basis == "estimated"
    assert _row(rows, "target", "cpu").energy_j == pytest.approx(1500 * 0.6)


def test_without_a_grid_joules_stand_and_emissions_are_null() -> None:
    rows = _rows([s for s in _host() if not s.device.startswith("grid/")])
    assert rows[0].energy_j == pytest.approx(300)
    assert (rows[0].grid_zone, rows[0].kgco2e) == (None, None)


def test_an_emulated_target_has_no_joules() -> None:
    rows = _rows(_host(), no_energy="emulated")
    target = [row for row in rows if row.subject == "target"]
    assert [(r.scope, r.energy_j, r.kgco2e, r.reason) for r in target] == [
        ("host", None, None, "emulated")
    ]
    assert _row(rows, "client", "cpu").energy_j == pytest.approx(66)
    assert _row(rows, "shared_host", "cpu").energy_j == pytest.approx(300)


def test_a_target_elsewhere_leaves_the_client_only() -> None:
    rows = _rows(_host(), on_this_host=False)
    assert [(r.subject, r.energy_j is None, r.reason) for r in rows] == [
        ("target", True, ELSEWHERE),
        ("client", False, None),
    ]


def test_only_stages_with_a_steady_window_have_rows() -> None:
    rows = _rows(_host(), _stage(0, 10, None), _stage(1, None, None), _stage(2, 20, 50))
    assert {row.stage for row in rows} == {2}


def test_codecarbon_that_never_read_is_null_with_its_own_reason() -> None:
    samples = [s for s in _host() if s.sensor != "codecarbon"]
    assert _rows(samples)[0].reason == "codecarbon was not sampled"
    samples.append(Sample(S, "codecarbon", "shared_host", "", "up", 0.0, "ImportError('x')"))
    rows = _rows(samples)
    assert {row.reason for row in rows} == {"ImportError('x')"}
    assert all(row.energy_j is None for row in rows)


def test_an_engine_that_was_not_watched_is_null_and_not_zero() -> None:
    rows = _rows([s for s in _host() if s.device != ENGINE])
    target = _row(rows, "target", "cpu")
    assert target.energy_j is None
    assert target.reason == f"CPU time of {ENGINE}: no readings in the window"
    assert _row(rows, "client", "cpu").energy_j == pytest.approx(66)


def test_the_measuring_side_is_all_of_it_or_null() -> None:
    samples = [s for s in _host() if s.device != "sampler"]
    samples += _series(
        "process", "sampler", "cpu_s", lambda t: 0.03 * t, subject="client", seconds=range(5)
    )
    client = _row(_rows(samples), "client", "cpu")
    assert (client.energy_j, client.reason) == (
        None,
        "CPU time of sampler: no readings in the window",
    )


def test_a_gap_in_the_readings_is_null() -> None:
    samples = [s for s in _host() if not (s.sensor == "codecarbon" and 20 * S < s.at < 27 * S)]
    rows = _rows(samples)
    assert _row(rows, "shared_host", "cpu").energy_j is None
    assert _row(rows, "shared_host", "cpu").reason == "7.0 s of the window without a reading"
    assert _row(rows, "target", "cpu").energy_j is None


def _gpu(device: str, watts: float, *users: str) -> list[Sample]:
    samples = [
        *_series("nvml", device, "gpu_energy_j", lambda t: 1e6 + watts * t),
        *_series("nvml", device, "gpu_power_w", lambda t: watts),
    ]
    for role in users:
        metric = f"{device}_memory_used_bytes"
        whose: Subject = "target" if role == ENGINE else "shared_host"
        samples += _series("nvml", role, metric, lambda t: 1e9, subject=whose)
    return samples


def test_gpus_that_the_engine_uses_are_the_targets_and_the_rest_is_apart() -> None:
    samples = _host() + _gpu("gpu0", 100, ENGINE) + _gpu("gpu1", 200, ENGINE) + _gpu("gpu2", 40)
    rows = _rows(samples)
    target, host = _row(rows, "target", "gpu"), _row(rows, "shared_host", "gpu")
    assert (target.energy_j, target.basis, target.method) == (9000.0, "measured", "nvml_counter")
    assert target.reason is None
    assert host.energy_j == pytest.approx(1200)


def test_a_gpu_of_two_engines_says_so() -> None:
    rows = _rows(_host() + _gpu("gpu0", 100, ENGINE, "engine:other"))
    assert _row(rows, "target", "gpu").energy_j == pytest.approx(3000)
    assert _row(rows, "target", "gpu").reason == "gpu0 also used by engine:other"


def test_a_gpu_that_nobody_is_known_to_use_is_the_hosts() -> None:
    rows = _rows(_host() + _gpu("gpu0", 100))
    assert {row.subject for row in rows if row.scope == "gpu"} == {"shared_host"}
    emulated = _rows(_host() + _gpu("gpu0", 100, ENGINE), no_energy="emulated")
    assert _row(emulated, "shared_host", "gpu").energy_j == pytest.approx(3000)


def test_gpus_of_dcgm_on_another_host_are_none_of_ours() -> None:
    far = _series("dcgm", "dcgm:gpu0", "gpu_power_w", lambda _: 700.0)
    rows = _rows([*_host(), *far], gpus=frozenset({"gpu0"}))
    assert [row for row in rows if row.scope == "gpu"] == []


def test_a_gpu_that_must_be_the_targets_and_cannot_be_found_makes_it_null() -> None:
    """In a container the driver shows no process of ours: a sum of the processors alone would lie."""
    row = _row(_rows(_host() + _gpu("gpu0", 100), needs_gpu=True), "target", "gpu")
    assert (row.energy_j, row.reason, row.counts) == (None, HIDDEN, True)
    known = _rows(_host() + _gpu("gpu0", 100), needs_gpu=True, gpus=frozenset({"gpu0"}))
    assert _row(known, "target", "gpu").energy_j == pytest.approx(3000)
    none = _rows(_host(), needs_gpu=True)
    assert not [row for row in none if row.scope == "gpu"], "a host without any GPU"


def test_without_a_counter_power_is_integrated() -> None:
    samples = _series("nvml", "gpu0", "gpu_power_w", lambda t: 250.0)
    samples += _series("nvml", "gpu0", "gpu_energy_j", lambda t: None, reason="NVMLError_X")
    row = _row(_rows(_host() + samples), "shared_host", "gpu")
    assert (row.energy_j, row.basis, row.method) == (7500.0, "measured", "nvml_power_trapezoid")


def test_a_gpu_without_any_power_reading_is_null_with_the_drivers_reason() -> None:
    samples = _series(
        "nvml", "gpu0", "gpu_power_w", lambda t: None, reason="NVMLError_NotSupported"
    )
    row = _row(_rows(_host() + samples), "shared_host", "gpu")
    assert (row.energy_j, row.reason) == (None, "gpu0: NVMLError_NotSupported")


def test_a_lost_gpu_makes_the_sum_null() -> None:
    lost = [s for s in _gpu("gpu1", 50, ENGINE) if s.at < 15 * S]
    row = _row(_rows(_host() + _gpu("gpu0", 100, ENGINE) + lost), "target", "gpu")
    assert row.energy_j is None
    assert row.reason == "gpu1: 26.0 s of the window without a reading"


def test_codecarbons_gpu_stands_in_only_where_nvml_sees_none() -> None:
    other = _series("codecarbon", "gpu/driver", "energy_j", lambda t: 70.0 * t)
    row = _row(_rows(_host() + other), "shared_host", "gpu")
    assert (row.energy_j, row.basis, row.method) == (2100.0, "measured", "codecarbon driver")
    both = [r for r in _rows(_host() + other + _gpu("gpu0", 100, ENGINE)) if r.scope == "gpu"]
    assert [(r.subject, r.method, r.counts) for r in both] == [
        ("target", "nvml_counter", True),
        ("target", "nvml_power_trapezoid", False),
    ]


def test_gpus_with_and_without_a_counter_are_one_row_that_names_both() -> None:
    plain = _series("nvml", "gpu1", "gpu_power_w", lambda t: 10.0)
    row = _row(_rows(_host() + _gpu("gpu0", 100) + plain), "shared_host", "gpu")
    assert row.energy_j == pytest.approx(3300)
    assert row.method == "nvml_counter and nvml_power_trapezoid"


def test_the_key_of_the_energy_table_is_unique() -> None:
    mixed = _series("nvml", "gpu2", "gpu_power_w", lambda t: 10.0)
    samples = _host() + _gpu("gpu0", 100, ENGINE) + _gpu("gpu1", 50) + mixed
    rows = _rows(samples, _stage(0, 5, 20), _stage(1, 20, 50))
    keys = [(r.stage, r.subject, r.scope, r.basis, r.method) for r in rows]
    assert len(keys) == len(set(keys)) == 2 * 8


def test_the_order_of_the_samples_does_not_matter() -> None:
    samples = _host() + _gpu("gpu0", 100, ENGINE)
    assert _rows(samples[::-1]) == _rows(samples)


@settings(max_examples=50, deadline=None)
@given(
    watts=st.lists(st.floats(0, 500), min_size=60, max_size=60),
    middle=st.integers(11, 39),
)
def test_a_window_cut_in_two_adds_up(watts: list[float], middle: int) -> None:
    def energy(second: int) -> float:
        return sum(watts[:second])

    samples = _series("codecarbon", "cpu/cpu_load", "energy_j", energy)
    samples += _series("nvml", "gpu0", "gpu_energy_j", energy)
    samples += _series("nvml", "gpu0", "gpu_power_w", lambda t: watts[min(t, 59)])
    samples += _series("nvml", "gpu1", "gpu_power_w", lambda t: watts[min(t, 59)])
    samples += _series("nvml", ENGINE, "gpu1_memory_used_bytes", lambda t: 1.0)

    def joules(start: int, end: int) -> dict[tuple[str, str], float]:
        rows = _rows(samples, _stage(0, start, end))
        return {(r.scope, r.method): r.energy_j for r in rows if r.energy_j is not None}

    whole, first, second = joules(10, 40), joules(10, middle), joules(middle, 40)
    assert set(whole) == {
        ("cpu", "codecarbon cpu_load"),
        ("gpu", "nvml_counter"),
        ("gpu", "nvml_power_trapezoid"),
    }
    for key, value in whole.items():
        assert value == pytest.approx(first[key] + second[key], abs=1e-6)


@given(
    engine=st.floats(0, 1), client=st.floats(0, 1), other=st.floats(0, 1), power=st.floats(0.1, 400)
)
def test_shares_never_exceed_the_machine(
    engine: float, client: float, other: float, power: float
) -> None:
    samples = [
        *_series("codecarbon", "cpu/cpu_load", "energy_j", lambda t: power * t),
        *_series("host", "", "cpu_busy_s", lambda t: (engine + client + other) * t),
        *_series("process", ENGINE, "cpu_s", lambda t: engine * t, subject="target"),
        *_series("process", "client", "cpu_s", lambda t: client * t, subject="client"),
    ]
    rows = _rows(samples)
    shares = [_row(rows, subject, "cpu").energy_j for subject in ("target", "client")]
    whole = _row(rows, "shared_host", "cpu").energy_j
    assert whole == pytest.approx(30 * power)
    assert all(share is not None and share >= 0 for share in shares)
    assert sum(share or 0.0 for share in shares) <= (whole or 0.0) * (1 + 1e-9)


def test_the_idle_baseline_has_rows_of_its_own_without_the_client() -> None:
    """Loaded the engine has 0.9 of 1.5 busy cores; at rest 0.1 of 0.4, and the CPU draws 4 W."""

    def ramp(before: float, after: float) -> Callable[[int], float]:
        return lambda t: before * min(t, 10) + after * max(t - 10, 0)

    samples = [
        *_series("codecarbon", "cpu/cpu_load", "energy_j", ramp(4, 10)),
        *_series("host", "", "cpu_busy_s", ramp(0.4, 1.5)),
        *_series("process", ENGINE, "cpu_s", ramp(0.1, 0.9), subject="target"),
        *_series("process", "sampler", "cpu_s", ramp(0.02, 0.03), subject="client"),
    ]
    rows = _rows(samples, idle=IdleWindow(2 * S, 10 * S))
    idle = [row for row in rows if row.stage is None]
    assert [(r.subject, r.scope) for r in idle] == [
        ("shared_host", "cpu"),
        ("shared_host", "memory"),
        ("target", "cpu"),
    ]
    assert idle[0].energy_j == pytest.approx(8 * 4)
    assert idle[2].energy_j == pytest.approx(8 * 4 * 0.25)
    assert {(r.window_start, r.window_end) for r in idle} == {(2 * S, 10 * S)}
    loaded = [row for row in rows if row.stage == 0]
    assert _row(loaded, "target", "cpu").energy_j == pytest.approx(300 * 0.6)


def test_a_target_without_energy_of_its_own_has_no_idle_row() -> None:
    rows = _rows(_host(), idle=IdleWindow(0, 8 * S), no_energy="emulated")
    assert {row.subject for row in rows if row.stage is None} == {"shared_host"}


def test_counter_and_integral_stand_side_by_side_and_one_of_them_counts() -> None:
    samples = _series("nvml", "gpu0", "gpu_energy_j", lambda t: 100.0 * t)
    samples += _series("nvml", "gpu0", "gpu_power_w", lambda t: 110.0)
    samples += _series("nvml", "gpu0", "gpu_power_limit_w", lambda t: 300.0)
    samples += _series("nvml", "gpu1", "gpu_power_w", lambda t: 50.0)
    samples += _series("nvml", "gpu1", "gpu_power_limit_w", lambda t: 200.0)
    rows = [r for r in _rows(samples, gpus=frozenset({"gpu0", "gpu1"})) if r.scope == "gpu"]
    assert [(r.method, r.energy_j, r.counts) for r in rows] == [
        ("nvml_counter and nvml_power_trapezoid", 30 * 150.0, True),
        ("nvml_power_trapezoid", 30 * 160.0, False),
    ]
    assert {row.subject for row in rows} == {"target"}
    assert rows[0].disagreement_fraction == pytest.approx(10 / 110), "of the GPU where it is worst"
    assert rows[0].limit_w == 500
    assert (rows[0].coverage_fraction, rows[0].longest_gap_s) == (1.0, 1.0)


def test_a_constant_power_gives_the_same_by_counter_and_integral() -> None:
    row = _row(_rows(_gpu("gpu0", 250.0, ENGINE)), "target", "gpu")
    assert row.energy_j == pytest.approx(7500)
    assert row.disagreement_fraction == pytest.approx(0)


def test_a_counter_that_was_reset_is_null_and_its_check_stands_beside() -> None:
    samples = _series("nvml", "gpu0", "gpu_energy_j", lambda t: 100.0 * (t if t < 20 else t - 20))
    samples += _series("nvml", "gpu0", "gpu_power_w", lambda t: 100.0)
    main, check = (
        r
        for r in _rows(samples, gpus=frozenset({"gpu0"}))
        if (r.subject, r.scope) == ("target", "gpu")
    )
    assert (main.energy_j, main.counts) == (None, True)
    assert main.reason == "gpu0: the counter went back from 1900 to 0"
    assert (check.energy_j, check.counts) == (3000, False)


@pytest.mark.parametrize("sensor", ["rapl", "nvml"])
def test_joules_across_a_reading_that_was_no_continuation_are_null(sensor: str) -> None:
    """The counter went on 2 s later from wherever it was: what it counted meanwhile is not known."""
    device, metric = ("cpu/package-0", "energy_j") if sensor == "rapl" else ("gpu0", "gpu_energy_j")
    why = "the counter was reset or jumped: 63143.3 J in 1 s is more than 1500 W"
    samples = [
        sample
        if sample.at != 20 * S
        else msgspec.structs.replace(sample, value=None, reason=f"implausible: {why}")
        for sample in _series(sensor, device, metric, lambda t: 100.0 * t)
    ]
    [row] = [
        row
        for row in _rows(samples, gpus=frozenset({"gpu0"}))
        if row.scope in ("cpu", "gpu")
        and row.energy_j is None
        and "reset" in (row.reason or "")
        and row.subject in ("shared_host" if sensor == "rapl" else "target",)
    ]
    assert why in (row.reason or "")


def _every(
    step_s: float, until_s: float, value: Callable[[float], float]
) -> list[tuple[int, float]]:
    return [(round(n * step_s * S), value(n * step_s)) for n in range(round(until_s / step_s) + 1)]


def test_repeats_of_a_slow_sensor_cover_no_time() -> None:
    """Read every 10 ms, changing every 100 ms: whole. Changing every 4 s: a gap, at any reading rate."""
    for period_s, joules, gap_s in ((0.1, 250 * 30, 0.1), (4.0, None, 30.0)):
        samples = [
            Sample(at, "nvml", "shared_host", "gpu0", "gpu_power_w", watts)
            for at, watts in _every(
                0.01, 50, lambda t, p=period_s: 240 + 20 * (int(t / p + 1e-9) % 2)
            )
        ]
        samples.append(
            Sample(0, "nvml", "shared_host", "gpu0", "gpu_power_update_period_s", period_s)
        )
        row = _row(_rows(samples), "shared_host", "gpu")
        assert row.energy_j == (None if joules is None else pytest.approx(joules, rel=1e-3))
        assert row.longest_gap_s == pytest.approx(gap_s, abs=1e-6)


def test_a_stuck_value_is_new_data_once_a_period() -> None:
    samples = [
        Sample(at, "nvml", "shared_host", "gpu0", "gpu_power_w", watts)
        for at, watts in _every(0.01, 50, lambda t: 70.0)
    ]
    samples.append(Sample(0, "nvml", "shared_host", "gpu0", "gpu_power_update_period_s", 0.1))
    row = _row(_rows(samples), "shared_host", "gpu")
    assert row.energy_j == pytest.approx(70 * 30)
    assert row.longest_gap_s == pytest.approx(0.1, abs=0.011)


def test_rapl_is_preferred_and_its_packages_are_summed() -> None:
    samples = _host()
    samples += _series("rapl", "cpu/package-0", "energy_j", lambda t: 30.0 * t)
    samples += _series("rapl", "cpu/package-1", "energy_j", lambda t: 20.0 * t)
    samples += _series("rapl", "memory/dram-0", "energy_j", lambda t: 3.0 * t)
    samples += _series("rapl", "psys", "energy_j", lambda t: 90.0 * t)
    samples += _series("rapl", "far:cpu/package-0", "energy_j", lambda t: 500.0 * t)
    rows = _rows(samples)
    cpu, memory = _row(rows, "shared_host", "cpu"), _row(rows, "shared_host", "memory")
    assert (cpu.energy_j, cpu.basis, cpu.method) == (1500, "measured", "rapl")
    assert (memory.energy_j, memory.basis, memory.method) == (90, "measured", "rapl")
    share = _row(rows, "target", "cpu")
    assert (share.energy_j, share.basis) == (pytest.approx(1500 * 0.6), "estimated")
    assert share.method == "rapl, by share of busy CPU time"


def _far() -> list[Sample]:
    """Host far, by its probe: the engine on gpu0 and on 3 of 4 busy cores; this host's gpu0 is not it."""
    samples = _gpu("gpu0", 9000)
    for device, watts in (("far:gpu0", 100.0), ("far:gpu1", 70.0)):
        subject: Subject = "target" if device == "far:gpu0" else "shared_host"
        samples += _series("nvml", device, "gpu_power_w", lambda t, w=watts: w, subject=subject)
    role = "far:engine:watched"
    samples += _series("nvml", role, "gpu0_memory_used_bytes", lambda t: 1e9, subject="target")
    samples += _series("process", role, "cpu_s", lambda t: 3.0 * t, subject="target")
    samples += _series("host", "far", "cpu_busy_s", lambda t: 4.0 * t)
    return samples


def test_a_distant_target_has_the_gpus_and_the_share_that_a_probe_reads() -> None:
    samples = _host() + _far()
    samples += _series("rapl", "far:cpu/package-0", "energy_j", lambda t: 40.0 * t)
    rows = _rows(samples, on_this_host=False)
    assert [(r.subject, r.scope, r.energy_j, r.basis) for r in rows] == [
        ("target", "gpu", 3000, "measured"),
        ("target", "cpu", pytest.approx(900), "estimated"),
        ("client", "cpu", pytest.approx(66), "estimated"),
    ]
    assert rows[0].reason is None


def test_a_distant_host_without_counters_leaves_the_gpus() -> None:
    rows = _rows(_host() + _far(), on_this_host=False)
    assert [(r.subject, r.scope) for r in rows] == [("target", "gpu"), ("client", "cpu")]


def test_a_probe_beside_changes_nothing_of_a_target_on_this_host() -> None:
    far = [
        sample
        if sample.subject != "target"
        else msgspec.structs.replace(sample, subject="shared_host")
        for sample in _far()
        if sample.device.startswith("far")
    ]
    assert _rows(_host() + _gpu("gpu0", 100, ENGINE) + far) == _rows(
        _host() + _gpu("gpu0", 100, ENGINE)
    )


def test_the_processes_of_another_host_are_not_on_this_hosts_gpu() -> None:
    far = Sample(20 * S, "nvml", "target", "lab:engine:watched", "gpu0_memory_used_bytes", 1e9)
    rows = _rows([*_host(), *_gpu("gpu0", 100.0, ENGINE), far])
    assert _row(rows, "target", "gpu").reason is None


def test_dcgm_stands_in_where_nvml_does_not_read_that_gpu() -> None:
    samples = _series("dcgm", "gpu0", "gpu_energy_j", lambda t: 80.0 * t, subject="target")
    samples += _series("dcgm", "gpu1", "gpu_energy_j", lambda t: 999.0 * t)
    samples += _gpu("gpu1", 60, ENGINE)
    row = _row(_rows(samples), "target", "gpu")
    assert (row.energy_j, row.method) == (30 * 140.0, "dcgm_counter and nvml_counter")


def test_a_slice_makes_its_gpu_the_targets_and_is_no_meter_of_its_own() -> None:
    samples = _series("nvml", "gpu0", "gpu_power_w", lambda t: 90.0)
    samples += _series("nvml", "gpu0/mig1", "gpu_power_w", lambda t: None, reason="NotSupported")
    for role, slice_ in ((ENGINE, 1), ("engine:other", 2)):
        metric = f"gpu0/mig{slice_}_memory_used_bytes"
        whose: Subject = "target" if role == ENGINE else "shared_host"
        samples += _series("nvml", role, metric, lambda t: 1e9, subject=whose)
    row = _row(_rows(samples), "target", "gpu")
    assert (row.energy_j, row.reason) == (2700, "gpu0 also used by engine:other")


def test_the_joules_of_a_gpu_that_is_divided_say_that_they_are_of_all_its_parts() -> None:
    """Processes on the other slices need not be ours."""
    samples = _gpu("gpu0", 90, ENGINE)
    one = _series("nvml", "gpu0/mig0", "gpu_memory_used_bytes", lambda t: 1e9)
    other = _series("nvml", "gpu0/mig1", "gpu_memory_used_bytes", lambda t: 1e9)
    assert _row(_rows(samples + one), "target", "gpu").reason is None
    row = _row(_rows(samples + one + other), "target", "gpu")
    assert row.energy_j == pytest.approx(2700)
    assert row.reason == "gpu0 is divided (MIG), and its meter is of all its parts"


def test_pue_is_applied_once_to_what_counts() -> None:
    rows = _rows(_host() + _gpu("gpu0", 100, ENGINE), pue=1.5)
    overhead = _row(rows, "target", "datacentre_overhead")
    assert overhead.energy_j == pytest.approx(0.5 * (3000 + 180))
    assert (overhead.basis, overhead.method, overhead.pue) == ("modelled", "pue", 1.5)
    assert [row.scope for row in rows if row.pue is not None] == ["datacentre_overhead"]
    assert "datacentre_overhead" not in {r.scope for r in _rows(_host())}


def test_overhead_of_what_is_not_known_is_not_known() -> None:
    samples = [s for s in _host() if s.device != ENGINE]
    overhead = _row(_rows(samples, pue=1.5), "target", "datacentre_overhead")
    assert (overhead.energy_j, overhead.reason) == (
        None,
        "the energy that it is a share of is not known",
    )
    assert not [r for r in _rows(_host(), pue=1.5, no_energy="emulated") if r.pue is not None]


def test_a_stated_grid_replaces_the_countrys() -> None:
    grid = Grid("hydro", 0.01, "our contract")
    rows = _rows(_host(), grid=grid)
    for row in rows:
        assert row.energy_j is not None
        assert (row.grid_zone, row.kgco2e) == ("hydro", pytest.approx(row.energy_j / 3.6e6 * 0.01))
        assert (row.source or "").endswith("grid: our contract")
    client = _row(_rows(_host(), grid=grid, on_this_host=False), "client", "cpu")
    assert client.grid_zone == "FRA", "the contract is of the distant target"


@given(pue=st.floats(1, 3), watts=st.floats(1, 700))
def test_parts_and_overhead_make_the_facility(pue: float, watts: float) -> None:
    rows = [r for r in _rows(_host() + _gpu("gpu0", watts, ENGINE), pue=pue) if r.counts]
    own = {r.scope: r.energy_j or 0.0 for r in rows if r.subject == "target"}
    assert sum(own.values()) == pytest.approx(pue * (own["gpu"] + own["cpu"]))
