"""What the kernel allows, read from its own files; the one limit that is raised."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from observatory.telemetry.machine.host_limits import read_host_limits


def proc(root: Path, ports: str, reserved: str | None = "") -> Path:
    folder = root / "sys" / "net" / "ipv4"
    folder.mkdir(parents=True)
    (folder / "ip_local_port_range").write_text(ports)
    if reserved is not None:
        (folder / "ip_local_reserved_ports").write_text(reserved)
    return root


@pytest.mark.parametrize(
    ("ports", "reserved", "count"),
    [
        ("32768\t60999\n", "\n", 28_232),
        ("1000 1999", None, 1_000),
        ("1000 1999", "1000,1500-1599,80,5000-6000\n", 899),
        ("1000 1999", "500-1099", 900),
        ("1000 1999", "1-65535", 0),
        ("nonsense", "", None),
        ("1000 1999", "nonsense", 1_000),
    ],
)
def test_ports_are_the_range_less_those_reserved(
    tmp_path: Path, ports: str, reserved: str | None, count: int | None
) -> None:
    assert read_host_limits(proc(tmp_path, ports, reserved)).ports == count


def test_where_the_kernel_says_nothing_ports_are_unknown(tmp_path: Path) -> None:
    limits = read_host_limits(tmp_path)
    assert (limits.ports, limits.port_range) == (None, None)


def test_descriptors_are_this_process_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 4096))
    limits = read_host_limits()
    assert (limits.open_files, limits.open_files_hard) == (256, 4096)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, resource.RLIM_INFINITY))
    assert read_host_limits().open_files_hard == sys.maxsize


def test_the_soft_limit_is_raised_up_to_the_hard_one_and_never_lowered() -> None:
    code = (
        "import resource as r\n"
        "from observatory.telemetry.machine.host_limits import raise_open_files as up\n"
        "r.setrlimit(r.RLIMIT_NOFILE, (100, 300))\n"
        "print(up(50), r.getrlimit(r.RLIMIT_NOFILE))\n"
        "print(up(200), r.getrlimit(r.RLIMIT_NOFILE))\n"
        "print(up(301), r.getrlimit(r.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True (100, 300)", "True (200, 300)", "False (200, 300)"]
