"""A server that does everything wrong that a server can, and the real load generator sent against it.

`python -m tools.hostile_server` tries every mode of hostile_modes and each hostile list and page, prints one
row a mode, and ends with exit code 1 where an outcome is not the right one or the client took more than
MOST_MEMORY. `--serve` only serves: POST to /MODE/v1/chat/completions.
"""

import argparse
import contextlib
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import msgspec

from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.core.errors import ObservatoryError
from observatory.core.journal import decode_entries
from observatory.core.plan import PlanItem, StagePlan
from observatory.core.record import RequestRecord
from observatory.core.workspace import NO_RING_VARIABLE
from observatory.load.command import locust_command
from observatory.load.handoff import HANDOFF_VARIABLE, Handoff, write_handoff
from observatory.wires.wires import WireName
from tools.hostile_modes import FEW, HELD_S, JSON_ANSWER, MODES, OK, Flood, Mode

ROOT = Path(__file__).resolve().parent.parent
MOST_MEMORY = 600_000_000
USERS = 12
LIMITS: dict[str, Any] = {
    "first_byte_timeout_s": 2.0,
    "between_events_timeout_s": 2.0,
    "total_timeout_s": 6.0,
}
FLOODS_LIMIT_S = 60.0
"""Of modes that send hundreds of megabytes, which a busy machine takes its time for."""
CHILD_LIMIT_S = 240.0
LISTS = {
    "list_that_drips": (OK + b"\r\n", Flood(b" ", 0.05)),
    "list_head_that_drips": (OK, Flood(b"X: y\r\n", 0.05)),
    "list_without_end": (OK + b'\r\n{"data":[', Flood(b'{"id":"m"},' * 4_000)),
    "list_head_without_end": (OK, Flood(b"X: " + b"y" * 60_000 + b"\r\n")),
    "list_in_interim_heads": (Flood(b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),),
    "list_in_html": (OK + b"Content-Length: 6\r\n\r\n<html>",),
    "list_refused_without_end": (b"HTTP/1.1 500 No\r\n\r\n", Flood(b"e" * 65_536)),
    "list_that_is_an_answer": (
        OK + b"Content-Length: %d\r\n\r\n" % len(JSON_ANSWER) + JSON_ANSWER,
    ),
    "list_that_is_silent": (Flood(b"", 0.2),),
}
LIST_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """What was right, and what came."""

    name: str
    right: str
    came: str

    @property
    def fine(self) -> bool:
        """Whether they are the same."""
        return self.right == self.came


class Server:
    """Answers a request by the mode that is in its path, or in its prompt in brackets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._modes = {mode.name: mode for mode in MODES}
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := _request(connection)) is not None:
                named = re.search(rb"\[(\w+)\]", request) or re.match(rb"\w+ /(\w+)/v1", request)
                name = named[1].decode() if named else ""
                if name in LISTS:
                    _send(connection, LISTS[name])
                    return
                mode = self._modes[name]
                _send(connection, mode.parts)
                if mode.ending == "reset":
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if mode.ending == "hold":
                    time.sleep(HELD_S)
                if mode.ending != "keep":
                    return


def _request(connection: socket.socket) -> bytes | None:
    """A request, head and body; None where the client has gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


def _send(connection: socket.socket, parts: Sequence[bytes | float | Flood]) -> None:
    for part in parts:
        if isinstance(part, Flood):
            until = time.monotonic() + HELD_S + FLOODS_LIMIT_S
            for _ in range(part.times):
                connection.sendall(part.part)
                time.sleep(part.pause_s)
                if time.monotonic() > until:
                    break
        elif isinstance(part, bytes):
            connection.sendall(part)
        else:
            time.sleep(part)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    server = Server()
    try:
        yield server
    finally:
        server.close()


def _address(port: int, **more: Any) -> Connection:
    fields: dict[str, Any] = {
        "scheme": "http",
        "host": "127.0.0.1",
        "base_path": "/v1",
        "model": "m",
    }
    return Connection(port=port, **{**fields, **more})


def _handoff(folder: Path, connection: Connection, modes: Sequence[Mode]) -> Handoff:
    """Return a hand-off that sends one request to each mode, by USERS users."""
    stage: dict[str, Any] = {"rate_per_s": None, "warmup_s": 0.0, "steady_s": 0.0, "drain_s": 0.0}
    items = [PlanItem(mode.name, "0" * 64, {"messages": [_prompt(mode)]}, 16, 1) for mode in modes]
    return Handoff(
        connection=connection,
        items=items,
        stage=StagePlan(index=0, kind="prime", concurrency=min(USERS, len(items)), **stage),
        run_id="run",
        target="target",
        anchor=new_anchor(),
        request="chat",
        stream=True,
        cache="natural",
        seed=1,
        journal=str(folder / "journal"),
        store_text=True,
    )


def _prompt(mode: Mode) -> dict[str, str]:
    return {"role": "user", "content": f"[{mode.name}]"}


def try_modes(
    modes: Sequence[Mode], port: int, environment: dict[str, str], **connection: Any
) -> tuple[list[Row], int]:
    """The modes of one wire through the load generator; rows, and the most memory that it had."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        (folder / "journal").mkdir()
        handoff = _handoff(folder, _address(port, **connection), modes)
        private = folder / "private"
        private.mkdir(mode=0o700)
        path = write_handoff(private, handoff)
        child = subprocess.Popen(
            locust_command(handoff, ROOT / "loadtests"),
            env={**os.environ, HANDOFF_VARIABLE: str(path), "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        memory = _watch(child)
        entries = [
            entry
            for file in (folder / "journal").iterdir()
            for entry in decode_entries(file.read_bytes())
        ]
    found = {entry.prompt_id: entry for entry in entries if isinstance(entry, RequestRecord)}
    return [_row(mode, found.get(mode.name)) for mode in modes], memory


def _watch(child: subprocess.Popen[bytes]) -> int:
    """Wait for its end; answers the most resident memory that it ever had, in bytes."""
    most, until = 0, time.monotonic() + CHILD_LIMIT_S
    while child.poll() is None:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{child.pid}/status").read_text()
            peak = re.search(r"VmHWM:\s+(\d+) kB", status)
            most = max(most, int(peak[1]) * 1024 if peak else 0)
        if time.monotonic() > until:
            child.kill()
        time.sleep(0.02)
    return most


def _row(mode: Mode, record: RequestRecord | None) -> Row:
    right = f"{mode.outcome} {mode.kind or ''}".strip()
    if record is None:
        return Row(mode.name, right, "no record")
    last = record.attempts[-1]
    came = f"{record.outcome} {last.error_kind or ''}".strip()
    if came == right and mode.text is not None and record.answer != mode.text:
        came += f", but its text is {(record.answer or '')[:60]!r}"
    if came == right and mode.most_s is not None and last.ended is not None:
        took_s = (last.ended - (last.body_sent or 0)) / 1e9
        if took_s > mode.most_s:
            came += f", but after {took_s:.1f} s"
    if came != right and last.error_text:
        came += f" ({last.error_text[:100]})"
    return Row(mode.name, right, came)


def try_lists(port: int) -> list[Row]:
    """Every hostile list of models, as a check of a target reads it: each must be refused in time."""
    from observatory.endpoints import listing

    rows = []
    for name in LISTS:
        began = time.monotonic()
        try:
            listing.owned_models(_address(port, base_path=f"/{name}/v1"), LIST_WITHIN_S)
            came = "taken"
        except ObservatoryError:
            late = time.monotonic() - began > LIST_WITHIN_S + 5.0
            came = "refused late" if late else "refused"
        rows.append(Row(name, "refused", came))
    return rows


def _lists_in_a_child(port: int) -> tuple[list[Row], int]:
    command = [sys.executable, "-m", "tools.hostile_server", "--lists", str(port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    rows, memory = msgspec.json.decode(done.stdout, type=tuple[list[list[str]], int])
    return [Row(*row) for row in rows], memory


def try_all(names: Callable[[str], bool], ways: Sequence[str]) -> tuple[list[Row], int]:
    """All modes that are named, by each way to send; rows, and the most memory that a client had."""
    rows: list[Row] = []
    most = 0
    with serving() as server:
        for way in ways:
            environment = {NO_RING_VARIABLE: "1" if way == "polled" else ""}
            transport = "sdk" if way == "sdk" else "lean"
            for wire in get_args(WireName):
                if (way, wire) == ("sdk", "messages"):
                    continue  # the openai package does not speak it
                for floods in (False, True):
                    chosen = [
                        mode
                        for mode in MODES
                        if mode.wire == wire and names(mode.name) and floods == _is_flood(mode)
                    ]
                    limits = LIMITS | (dict.fromkeys(LIMITS, FLOODS_LIMIT_S) if floods else {})
                    if chosen:
                        more, memory = try_modes(
                            chosen,
                            server.port,
                            environment,
                            wire=wire,
                            transport=transport,
                            **limits,
                        )
                        if way == "sdk":
                            more = [_of_the_package(row) for row in more]
                        rows += [Row(f"{way}: {r.name}", r.right, r.came) for r in more]
                        most = max(most, memory)
        if names("lists"):
            more, memory = _lists_in_a_child(server.port)
            rows += more
            most = max(most, memory)
    return rows, most


def _of_the_package(row: Row) -> Row:
    """Through the openai package, whose own reading of HTTP is what is measured: any outcome is right."""
    return Row(row.name, "an outcome", row.came if row.came == "no record" else "an outcome")


def _is_flood(mode: Mode) -> bool:
    """Whether it must be let finish, however long a busy machine takes for hundreds of megabytes."""
    return mode.kind == "too_large"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tools.hostile_server")
    parser.add_argument("--few", action="store_true", help="one mode of each kind")
    parser.add_argument("--serve", action="store_true", help="only serve, until interrupted")
    parser.add_argument("--lists", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.lists:
        rows = [[row.name, row.right, row.came] for row in try_lists(options.lists)]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        sys.stdout.buffer.write(msgspec.json.encode([rows, memory]))
        return 0
    if options.serve:
        with serving() as server, contextlib.suppress(KeyboardInterrupt):
            print(f"http://127.0.0.1:{server.port}/MODE/v1, MODE one of:")
            print(" ".join([*(mode.name for mode in MODES), *LISTS]), flush=True)
            threading.Event().wait()
        return 0
    names = FEW.__contains__ if options.few else lambda name: True
    tried, memory = try_all(names, ["kernel"] if options.few else ["kernel", "polled", "sdk"])
    for row in tried:
        print(
            f"{'ok  ' if row.fine else 'BAD '} {row.name}: {row.came}"
            + ("" if row.fine else f"; right: {row.right}")
        )
    wrong = sum(not row.fine for row in tried)
    print(f"{len(tried)} tried, {wrong} wrong; the client had {memory / 1e6:.0f} MB at the most")
    return int(wrong > 0 or memory > MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
