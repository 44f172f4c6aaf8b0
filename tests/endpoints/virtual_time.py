"""An event loop whose clock is simulated, and clients of an emulated model in it: no second is waited."""

import asyncio
import json
import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from observatory.core.emulation.profile import Profile
from observatory.emulator.model import EmulatedModel
from observatory.emulator.server import ClientConnection
from observatory.emulator.truth import TruthLog

STARTED_S = 1000.0


class _Selector(selectors.SelectSelector):
    """Instead of waiting it moves the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = STARTED_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left to happen: the test would hang"
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time passes only while it would wait."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class FakeTransport(asyncio.Transport):
    """A transport that keeps written bytes with their virtual time and detects a response's end."""

    def __init__(self, loop: VirtualLoop, ended: Callable[[], None]) -> None:
        super().__init__()
        self.loop = loop
        self.ended = ended
        self.writes: list[tuple[float, bytes]] = []
        self.closed = False
        self.leave: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        self.writes.append((self.loop.time(), bytes(data)))
        if data.endswith(b"0\r\n\r\n") or b"content-length" in data:
            self.loop.call_soon(self.ended)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self

    def setsockopt(self, *option: Any) -> None:
        """The socket that a reset sets its linger time on."""


@dataclass
class World:
    """A model in virtual time and what its clients saw: (status, seconds from sending to the end)."""

    loop: VirtualLoop
    model: EmulatedModel
    done: list[tuple[int, float]] = field(default_factory=list)
    first_tokens: list[tuple[float, float]] = field(default_factory=list)
    """(when it was sent, seconds to the first write with text) of streams."""
    clients: int = 0

    def client(self, *, think_s: float = 0.0, max_tokens: int | None = None) -> "FakeTransport":
        """Return a client that sends requests one after another; each has another prompt."""
        number = self.clients
        self.clients += 1
        count, sent = 0, 0.0

        def begin() -> None:
            nonlocal connection
            connection = ClientConnection(self.model)
            connection.connection_made(transport)
            transport.leave = lambda: connection.connection_lost(None)
            ask()

        def ask() -> None:
            nonlocal count, sent
            count += 1
            sent = self.loop.time()
            transport.writes.clear()
            connection.data_received(request(f"{number}/{count}", max_tokens))

        def ended() -> None:
            status = int(transport.writes[0][1].split(b" ", 2)[1])
            self.done.append((status, self.loop.time() - sent))
            texts = [at for at, data in transport.writes[1:] if b'"content":' in data]
            if texts:
                self.first_tokens.append((sent - STARTED_S, texts[0] - sent))
            self.loop.call_later(think_s, ask)

        connection: ClientConnection
        transport = FakeTransport(self.loop, ended)
        self.loop.call_soon(begin)
        return transport

    def run(self, seconds: float) -> None:
        """Let this much virtual time pass."""

        async def wait() -> None:
            await asyncio.sleep(seconds)

        self.loop.run_until_complete(wait())


def world(profile: Profile, truth: TruthLog | None = None) -> World:
    """A fresh one; close its loop."""
    loop = VirtualLoop()
    asyncio.set_event_loop(None)
    return World(loop, EmulatedModel(profile, "m", loop.time, truth=truth))


def request(text: str, max_tokens: int | None = None, *, stream: bool = True) -> bytes:
    """A chat request's bytes."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "stream": stream}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    data = json.dumps(body).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n"
    return head % len(data) + data
