"""Is this machine fit to measure on? One finding per question, each with what to do about it.

It changes nothing, and reports what it found whether it is good or not.
"""

import ctypes
import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from observatory.core.clock import STEP_NS, read_both
from observatory.core.workspace import NO_RING_VARIABLE
from observatory.telemetry.machine.environment import cpu_governor, cpu_model, gpu_inventory
from observatory.telemetry.machine.host_limits import PROC, read_host_limits
from observatory.telemetry.sensors.rapl import POWERCAP, zones

State = Literal["ok", "warning", "missing"]

LEAST_FREE_BYTES = 500_000_000
"""A quickstart's run, its database and its site take about a tenth of this; the rest is room."""
GOOD_OPEN_FILES = 4096
LEAST_OPEN_FILES = 256
GOOD_PORTS = 10_000
GOOD_CORES = 4
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; also the type of the control message
_IO_URING_SETUP, _IO_URING_PARAMETERS = 425, 120  # the system call; struct io_uring_params
_LINUX_THAT_READS_ON = 6  # multishot recvmsg
_POLLED = (
    "none needed up to some hundred streams; else: sysctl kernel.io_uring_disabled=0, and a container "
    "that allows io_uring"
)
_STA_UNSYNC = 0x40  # linux/timex.h


@dataclass(frozen=True, slots=True)
class Check:
    """One question. needed: the quickstart cannot do without it. fix: a command or a step."""

    name: str
    state: State
    found: str
    fix: str | None = None
    needed: bool = False


def machine_checks(results: Path) -> list[Check]:
    """Check everything about the machine itself; `results` is where run folders would go."""
    return [
        check_cores(),
        check_memory(),
        check_governor(),
        check_gpu(),
        check_rapl(),
        check_clock(),
        check_synchronised(),
        check_receive_stamps(),
        check_kernel_reads(),
        check_open_files(),
        check_port_range(),
        check_free_port(),
        check_results(results),
    ]


def _judged(
    name: str, found: str, *, good: bool, fix: str, bad: State = "warning", needed: bool = False
) -> Check:
    """Return a check that is ok where `good`, else `bad` and with its fix."""
    return Check(name, "ok" if good else bad, found, None if good else fix, needed)


def check_cores() -> Check:
    """Check the cores that this process may use: client and engine should not have to share them."""
    cores = len(os.sched_getaffinity(0))
    found = f"{cores} usable, {cpu_model() or 'model unknown'}"
    fix = "use a machine with 4 cores or more; until then runs on a local engine are degraded"
    return _judged("cores", found, good=cores >= GOOD_CORES, fix=fix)


def check_memory() -> Check:
    """Check the memory that is free to use."""
    free = psutil.virtual_memory().available
    fix = "close other programs: an engine needs 1 GB or more"
    return _judged("memory", f"{free / 1e9:.1f} GB available", good=free >= 2e9, fix=fix)


def check_governor() -> Check:
    """Check the governor: one that lowers the clock makes equal work take unequal time."""
    governor = cpu_governor()
    if governor is None:
        return Check("cpu governor", "ok", "not shown (usual on virtual machines)")
    fix = "sudo cpupower frequency-set -g performance"
    return _judged("cpu governor", governor, good=governor == "performance", fix=fix)


def check_gpu() -> Check:
    """Check the NVIDIA GPUs as the driver lists them."""
    names, driver, reason = gpu_inventory()
    if names:
        return Check("gpu", "ok", f"{', '.join(names)}, driver {driver}")
    fix = "only for GPU engines: install the NVIDIA driver until nvidia-smi works"
    return Check("gpu", "missing", f"none ({reason or 'the driver lists none'})", fix)


def check_rapl(folder: Path = POWERCAP) -> Check:
    """Check the processors' energy counters (sensors.rapl), without which CPU energy is estimated."""
    found = dict(zones(folder))
    counters = [zone / "energy_uj" for zone in found.values()]
    if not counters:
        fix = "bare metal: sudo modprobe intel_rapl_msr; virtual machines have none"
        return Check("rapl", "missing", "no counter: CPU energy is estimated by a model", fix)
    if all(os.access(counter, os.R_OK) for counter in counters):
        return Check("rapl", "ok", f"readable: {', '.join(found)}")
    fix = f"sudo chmod a+r {folder}/intel-rapl:*/energy_uj (until the next boot)"
    return Check(
        "rapl", "warning", "counters are there but not readable: CPU energy is estimated", fix
    )


def check_clock() -> Check:
    """Check realtime against monotonic over a tenth of a second."""
    realtime, monotonic = read_both()
    time.sleep(0.1)
    later_realtime, later_monotonic = read_both()
    moved = (later_realtime - realtime) - (later_monotonic - monotonic)
    found = f"realtime against monotonic moved {abs(moved) / 1e3:.1f} us in 0.1 s"
    fix = "let the time daemon settle (chronyc waitsync); requests across a step are left out"
    return _judged("clock", found, good=abs(moved) <= STEP_NS, fix=fix)


def check_synchronised() -> Check:
    """Check whether the kernel holds its clock for synchronised (adjtimex)."""
    status = _clock_status()
    if status is None:
        return Check("time source", "warning", "the kernel has no figure", "timedatectl status")
    if not status & _STA_UNSYNC:
        return Check("time source", "ok", "synchronised")
    fix = "sudo timedatectl set-ntp true, or install chrony; matters only between machines"
    return Check("time source", "warning", "not synchronised", fix)


def _clock_status() -> int | None:
    words = (ctypes.c_long * 64)()  # struct timex is 208 bytes; mode 0 (first word) only reads
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(words))
    except (AttributeError, OSError):
        return None
    return None if answer < 0 else words[5] & 0xFFFFFFFF  # modes, offset, freq, two errors, status


def check_receive_stamps() -> Check:
    """Check whether the kernel stamps received segments (SO_TIMESTAMPNS), tried over loopback."""
    fix = "none needed: instants are then taken when the read returns, which a busy client delays"
    try:
        stamped = _stamped_over_loopback()
    except OSError as error:
        return Check("receive stamps", "warning", f"not to be had: {error.strerror}", fix)
    if stamped:
        return Check("receive stamps", "ok", "the kernel stamps received segments")
    return Check("receive stamps", "warning", "the kernel gave no stamp", fix)


def _stamped_over_loopback() -> bool:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=2) as client,
    ):
        client.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        accepted, _ = server.accept()
        with accepted:
            time.sleep(0.05)  # stamping is switched on asynchronously
            accepted.sendall(b"x")
            _, control, _, _ = client.recvmsg(1, 64)
    return any(kind == _SO_TIMESTAMPNS for _, kind, _ in control)


def check_kernel_reads() -> Check:
    """Check whether the kernel reads connections by itself (io_uring), so that a busy client loses no stamp."""
    if not sys.platform.startswith("linux"):
        return Check("kernel reads", "warning", "no Linux: connections are polled", _POLLED)
    if os.environ.get(NO_RING_VARIABLE):
        fix = f"unset {NO_RING_VARIABLE}"
        return Check("kernel reads", "warning", f"switched off: {NO_RING_VARIABLE} is set", fix)
    call = ctypes.CDLL(None, use_errno=True).syscall
    descriptor = call(_IO_URING_SETUP, 1, (ctypes.c_char * _IO_URING_PARAMETERS)())
    if descriptor >= 0:
        os.close(descriptor)
        release = os.uname().release
        if int(release.partition(".")[0]) >= _LINUX_THAT_READS_ON:
            return Check("kernel reads", "ok", "io_uring is to be had")
        found = f"Linux {release} reads once per submission: connections are polled"
        return Check("kernel reads", "warning", found, _POLLED)
    error = os.strerror(ctypes.get_errno())
    return Check(
        "kernel reads", "warning", f"no io_uring ({error}): connections are polled", _POLLED
    )


def check_open_files() -> Check:
    """Check the descriptors: every open stream takes one."""
    limits = read_host_limits()
    soft, hard = limits.open_files, limits.open_files_hard
    found = f"{soft} open files (up to {hard}, which a run takes by itself where it needs them)"
    fix = f"ulimit -n {min(hard, 65536)}" if hard > soft else "raise nofile in limits.conf"
    if soft >= GOOD_OPEN_FILES:
        return Check("open files", "ok", found, needed=True)
    if soft >= LEAST_OPEN_FILES:
        return Check("open files", "warning", found, fix, needed=True)
    return Check("open files", "missing", found, fix, needed=True)


def check_port_range(proc: Path = PROC) -> Check:
    """Check the ephemeral ports: each connection to one endpoint takes one."""
    limits = read_host_limits(proc)
    if limits.ports is None:
        fix = "cat /proc/sys/net/ipv4/ip_local_port_range"
        return Check("ephemeral ports", "warning", "the kernel has no figure", fix)
    found = f"{limits.port_range}: {limits.ports} at once to one target, less those reserved"
    fix = "sudo sysctl -w net.ipv4.ip_local_port_range='15000 65000'"
    return _judged("ephemeral ports", found, good=limits.ports >= GOOD_PORTS, fix=fix)


def check_free_port() -> Check:
    """Check for a free port on loopback for an engine."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
    except OSError as error:
        fix = "allow this user to listen on 127.0.0.1"
        return Check("loopback port", "missing", f"none: {error.strerror}", fix, needed=True)
    return Check("loopback port", "ok", f"free, e.g. {port}", needed=True)


def check_results(results: Path) -> Check:
    """Check room and permission where run folders go."""
    place = results
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        fix = "choose another folder: --results DIR or OBSERVATORY_RESULTS"
        return Check("results folder", "missing", f"{place} cannot be written", fix, needed=True)
    free = shutil.disk_usage(place).free
    found = f"{results}: {free / 1e9:.1f} GB free"
    fix, good = "free some space, or choose another disk: --results DIR", free >= LEAST_FREE_BYTES
    return _judged("results folder", found, good=good, fix=fix, bad="missing", needed=True)
