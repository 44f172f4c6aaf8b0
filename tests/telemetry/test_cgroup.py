"""A quota's throttling from files of both versions, laid out as kernels and containers lay them out."""

from pathlib import Path

import pytest

from observatory.telemetry.sensors.cgroup import (
    NO_QUOTA,
    CgroupSensor,
    CpuThrottling,
    parse_cpu_stat,
    stat_files,
)

V2 = "usage_usec 900\nuser_usec 600\nnr_periods 40\nnr_throttled {n}\nthrottled_usec {usec}\nnr_bursts 0\n"
V1 = "nr_periods 40\nnr_throttled {n}\nthrottled_time {ns}\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (V2.format(n=3, usec=1_500_000), CpuThrottling(3, 1.5)),
        (V1.format(n=3, ns=1_500_000_000), CpuThrottling(3, 1.5)),
        ("usage_usec 900\nuser_usec 600\n", None),  # the root group
        ("nr_throttled 3\n", None),
        ("nr_throttled many\nthrottled_usec 1\n", None),
        ("", None),
    ],
)
def test_counts_of_either_version(text: str, found: CpuThrottling | None) -> None:
    assert parse_cpu_stat(text) == found


def _lay(folder: Path, groups: str, files: dict[str, str]) -> tuple[Path, Path]:
    """proc and the mount, with process 7 in the groups and cpu.stat files by their folder."""
    proc, mounts = folder / "proc", folder / "cgroup"
    (proc / "7").mkdir(parents=True, exist_ok=True)
    (proc / "7" / "cgroup").write_text(groups)
    for place, text in files.items():
        (mounts / place).mkdir(parents=True, exist_ok=True)
        (mounts / place / "cpu.stat").write_text(text)
    return proc, mounts


@pytest.mark.parametrize(
    ("groups", "files", "found"),
    [
        ("0::/a.slice/b.service\n", ["", "a.slice", "a.slice/b.service"], 3),
        ("0::/\n", [""], 1),  # a container with a name space of its own
        ("0::/../../other\n", [""], 1),
        ("5:cpu,cpuacct:/docker/ab\n0::/x\n", ["cpu,cpuacct/docker/ab", "cpu,cpuacct"], 2),
        (
            "5:cpu,cpuacct:/docker/ab\n",
            ["cpu,cpuacct"],
            1,
        ),  # the host's path, the container's mount
        ("5:cpuacct,cpu:/ab\n", ["cpu/ab", "cpu"], 2),
        ("1:cpu:/ab\n0::/\n", ["cpu/ab", "unified"], 2),
        ("9:memory:/ab\n", ["memory/ab"], 0),
        ("nonsense\n", [""], 0),
    ],
)
def test_every_group_that_limits_a_process(
    groups: str, files: list[str], found: int, tmp_path: Path
) -> None:
    proc, mounts = _lay(tmp_path, groups, dict.fromkeys(files, V1.format(n=0, ns=0)))
    assert len(stat_files(7, proc, mounts)) == found
    assert stat_files(8, proc, mounts) == []


def test_only_what_grew_counts_and_an_outer_quota_too(tmp_path: Path) -> None:
    def lay(inner: int, outer: int) -> tuple[Path, Path]:
        files = {
            "a": V2.format(n=outer, usec=outer * 1_000_000),
            "a/b": V2.format(n=inner, usec=inner * 1000),
        }
        return _lay(tmp_path, "0::/a/b\n", files)

    proc, mounts = lay(5, 10)
    sensor = CgroupSensor(lambda: [7, 7], proc, mounts)

    def read() -> dict[str, float | None]:
        return {sample.metric: sample.value for sample in sensor.read(1)}

    assert read() == {"up": 1.0, "cpu_throttled_s": 0.0, "cpu_throttled_periods": 0.0}
    lay(7, 12)
    assert read() == {"up": 1.0, "cpu_throttled_s": 2.002, "cpu_throttled_periods": 4.0}
    lay(0, 12)  # the group was made again
    assert read() == {"up": 1.0, "cpu_throttled_s": 2.002, "cpu_throttled_periods": 4.0}
    lay(1, 12)
    assert read()["cpu_throttled_s"] == pytest.approx(2.003)


def test_no_quota_is_down_with_a_reason(tmp_path: Path) -> None:
    proc, mounts = _lay(tmp_path, "0::/\n", {"": "usage_usec 1\n"})
    [state] = CgroupSensor(lambda: [7], proc, mounts).read(1)
    assert (state.value, state.reason) == (0.0, NO_QUOTA)
