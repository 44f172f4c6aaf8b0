"""Each check against a machine that is fit and one that is not, and the fix it names."""

import os
import resource
import socket
from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from observatory.telemetry.machine import checkup
from observatory.telemetry.machine.checkup import Check

Memory = namedtuple("Memory", "available")


def test_every_check_on_this_machine_has_a_fix_unless_it_is_fine(tmp_path: Path) -> None:
    checks = checkup.machine_checks(tmp_path / "results")
    assert len({check.name for check in checks}) == len(checks) == 13
    for check in checks:
        assert check.found
        assert (check.state == "ok") == (check.fix is None)
    assert not (tmp_path / "results").exists(), "looking creates nothing"


@pytest.mark.parametrize(("cores", "state"), [(1, "warning"), (3, "warning"), (4, "ok")])
def test_cores(monkeypatch: pytest.MonkeyPatch, cores: int, state: str) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cores)))
    assert checkup.check_cores().state == state


@pytest.mark.parametrize(("free", "state"), [(1e9, "warning"), (3e9, "ok")])
def test_memory(monkeypatch: pytest.MonkeyPatch, free: float, state: str) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(free))
    assert checkup.check_memory().state == state


@pytest.mark.parametrize(
    ("governor", "state"), [(None, "ok"), ("performance", "ok"), ("powersave", "warning")]
)
def test_governor(monkeypatch: pytest.MonkeyPatch, governor: str | None, state: str) -> None:
    monkeypatch.setattr(checkup, "cpu_governor", lambda: governor)
    check = checkup.check_governor()
    assert check.state == state
    assert (check.fix is None) == (state == "ok")


def test_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "gpu_inventory", lambda: (["A", "A"], "570", None))
    assert checkup.check_gpu() == Check("gpu", "ok", "A, A, driver 570")
    monkeypatch.setattr(checkup, "gpu_inventory", lambda: ([], None, "NVMLError_LibraryNotFound"))
    absent = checkup.check_gpu()
    assert (absent.state, absent.needed) == ("missing", False)
    assert "NVMLError_LibraryNotFound" in absent.found


def test_rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkup.check_rapl(tmp_path).state == "missing"
    counter = tmp_path / "intel-rapl:0" / "energy_uj"
    counter.parent.mkdir()
    counter.write_text("1")
    assert checkup.check_rapl(tmp_path).state == "missing", "no package: nothing that is read"
    (counter.parent / "name").write_text("package-0\n")
    check = checkup.check_rapl(tmp_path)
    assert (check.state, check.found) == ("ok", "readable: cpu/package-0")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    locked = checkup.check_rapl(tmp_path)
    assert locked.state == "warning"
    assert locked.fix is not None and locked.fix.startswith("sudo chmod a+r")


@pytest.mark.parametrize(("step_ns", "state"), [(0, "ok"), (-99_000, "ok"), (200_000, "warning")])
def test_clock(monkeypatch: pytest.MonkeyPatch, step_ns: int, state: str) -> None:
    readings = iter([(1_000_000, 500_000), (2_000_000 + step_ns, 1_500_000)])
    monkeypatch.setattr(checkup, "read_both", lambda: next(readings))
    assert checkup.check_clock().state == state


@pytest.mark.parametrize(
    ("status", "state"), [(0x0, "ok"), (0x2001, "ok"), (0x40, "warning"), (None, "warning")]
)
def test_time_source(monkeypatch: pytest.MonkeyPatch, status: int | None, state: str) -> None:
    monkeypatch.setattr(checkup, "_clock_status", lambda: status)
    assert checkup.check_synchronised().state == state


def test_the_kernel_answers_adjtimex() -> None:
    status = checkup._clock_status()
    assert status is None or 0 <= status < 2**16


def test_receive_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, state in ((True, "ok"), (False, "warning")):
        monkeypatch.setattr(checkup, "_stamped_over_loopback", lambda answer=answer: answer)
        assert checkup.check_receive_stamps().state == state

    def refused() -> bool:
        raise OSError(92, "Protocol not available")

    monkeypatch.setattr(checkup, "_stamped_over_loopback", refused)
    assert checkup.check_receive_stamps().found == "not to be had: Protocol not available"


def test_kernel_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    here = checkup.check_kernel_reads()
    assert (here.state, here.found) == ("ok", "io_uring is to be had") or (
        here.state == "warning" and "no io_uring (" in here.found
    )
    monkeypatch.setenv("OBSERVATORY_NO_IO_URING", "1")
    off = checkup.check_kernel_reads()
    assert (off.state, off.fix) == ("warning", "unset OBSERVATORY_NO_IO_URING")
    monkeypatch.delenv("OBSERVATORY_NO_IO_URING")
    if here.state == "ok":
        monkeypatch.setattr(checkup, "_LINUX_THAT_READS_ON", 1000)
        assert "reads once per submission" in checkup.check_kernel_reads().found
    monkeypatch.setattr(checkup, "_IO_URING_SETUP", 100_000)
    missing = checkup.check_kernel_reads()
    assert missing.found == "no io_uring (Function not implemented): connections are polled"


@pytest.mark.parametrize(
    ("soft", "hard", "state", "fix"),
    [
        (4096, 4096, "ok", None),
        (1024, 1_000_000, "warning", "ulimit -n 65536"),
        (1024, 2048, "warning", "ulimit -n 2048"),
        (64, 64, "missing", "raise nofile in limits.conf"),
    ],
)
def test_open_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, state: str, fix: str | None
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (soft, hard))
    check = checkup.check_open_files()
    assert (check.state, check.fix) == (state, fix)


@pytest.mark.parametrize(
    ("text", "state"),
    [("32768\t60999\n", "ok"), ("32768\t40000\n", "warning"), ("nonsense", "warning")],
)
def test_port_range(tmp_path: Path, text: str, state: str) -> None:
    folder = tmp_path / "sys" / "net" / "ipv4"
    folder.mkdir(parents=True)
    (folder / "ip_local_port_range").write_text(text)
    assert checkup.check_port_range(tmp_path).state == state
    assert checkup.check_port_range(tmp_path / "absent").state == "warning"


def test_no_free_port_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    check = checkup.check_free_port()
    assert (check.state, check.needed) == ("missing", True)


def test_results_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "not" / "yet"
    assert checkup.check_results(deep).state == "ok"
    file = tmp_path / "file"
    file.touch()
    assert checkup.check_results(file / "below").state == "missing"
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda place: namedtuple("D", "free")(10))
    assert checkup.check_results(deep).state == "missing"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written" in checkup.check_results(deep).found
