"""The loop with precise timers is an ordinary loop, and waits without spinning."""

import asyncio
import resource
import socket
import sys
from pathlib import Path

import pytest

from observatory.emulator.precise_timers import new_precise_loop


def test_timers_fire_in_order_and_never_early() -> None:
    fired: list[tuple[float, float]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for delay in (0.02, 0.0105, 0.0004, 0.0):
            loop.call_at(start + delay, lambda due=start + delay: fired.append((due, loop.time())))
        await asyncio.sleep(0.03)

    with asyncio.Runner(loop_factory=new_precise_loop) as runner:
        runner.run(run())
    assert [due for due, _ in fired] == sorted(due for due, _ in fired)
    assert all(at >= due for due, at in fired)


def test_sockets_wake_it_before_its_timer_and_an_old_timer_does_not_make_it_spin() -> None:
    async def run() -> tuple[bytes, float]:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        timer = loop.call_later(0.05, lambda: None)
        loop.call_later(0.01, right.send, b"x")
        data = await loop.sock_recv(left, 1)
        timer.cancel()
        before = resource.getrusage(resource.RUSAGE_SELF)
        waiting = loop.create_task(loop.sock_recv(left, 1))
        timer_thread = loop.run_in_executor(None, lambda: __import__("time").sleep(0.3))
        await timer_thread
        after = resource.getrusage(resource.RUSAGE_SELF)
        right.send(b"y")
        data += await waiting
        left.close()
        right.close()
        return data, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    with asyncio.Runner(loop_factory=new_precise_loop) as runner:
        data, cpu_s = runner.run(run())
    assert data == b"xy"
    assert cpu_s < 0.15


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux")
def test_its_file_is_closed_with_it() -> None:
    def timers() -> int:
        files = [file for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
        return sum("timerfd" in str(file.readlink()) for file in files)

    before = timers()
    loop = new_precise_loop()
    assert timers() == before + 1
    loop.close()
    assert timers() == before
