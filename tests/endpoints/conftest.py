"""Servers for the endpoint tests: the emulator, and one with responses scripted by a test."""

import contextlib
import http.server
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from observatory.core.emulation.profile import Profile
from observatory.emulator.emulator import EmulatorConfig
from observatory.processes.server_child import ServerChild

QUICK = Profile.model_validate(
    {
        "ttft_median": "2ms",
        "ttft_p95": "3ms",
        "inter_token_median": "1ms",
        "inter_token_p95": "2ms",
        "output_tokens_median": 8,
        "output_tokens_p95": 8,
    }
)


@pytest.fixture(scope="session")
def start_emulator(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., tuple[str, int]]]:
    """Start an emulator child with these fields of EmulatorConfig; answers host and port."""
    children: list[ServerChild] = []
    folder = tmp_path_factory.mktemp("emulators")

    def start(**fields: Any) -> tuple[str, int]:
        config = EmulatorConfig(**({"profile": QUICK, "parent": os.getpid()} | fields))
        path = folder / f"{len(children)}.json"
        path.write_text(config.model_dump_json())
        child = ServerChild(
            [sys.executable, "-m", "observatory.emulator.emulator", str(path)],
            folder / f"{len(children)}.log",
            "the test's emulator",
        )
        children.append(child)
        ready = child.wait_ready(time.monotonic() + 30)
        return ready["host"], ready["port"]

    yield start
    for child in children:
        child.close()


@pytest.fixture(scope="session")
def emulator(start_emulator: Callable[..., tuple[str, int]]) -> tuple[str, int]:
    """Host and port of a quick emulator that takes any key."""
    return start_emulator()


@dataclass
class Scripted:
    """A server that answers every request alike, or the next of `bodies`, and keeps what it was sent."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    by_path: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    bodies: list[bytes] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextlib.contextmanager
def serving(
    script: Scripted, secure: Callable[[http.server.ThreadingHTTPServer], None] | None = None
) -> Iterator[None]:
    """Serve a script on a free port of loopback, in a thread of this process."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            script.seen.append(
                (self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
            )
            usual = script.bodies.pop(0) if script.bodies else script.body
            status, body = script.by_path.get(self.path.partition("?")[0], (script.status, usual))
            self.send_response(status)
            for name, value in script.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    if secure is not None:
        secure(server)
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A scripted server, already listening; a test sets what it answers."""
    script = Scripted()
    with serving(script):
        yield script


@pytest.fixture
def no_ambient_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove OPENAI_* variables from the environment."""
    for name in list(os.environ):
        if name.startswith("OPENAI_"):
            monkeypatch.delenv(name)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder for servers' logs."""
    return tmp_path / "logs"


@pytest.fixture(scope="session")
def fake_vllm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A command that behaves as vLLM's processes do (fake_vllm.py)."""
    path = tmp_path_factory.mktemp("fake") / "vllm"
    source = Path(__file__).with_name("fake_vllm.py").read_text(encoding="utf-8")
    path.write_text(f"#!{sys.executable} -S\n{source}", encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder with a configuration and the header of weights."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["TinyForCausalLM"]}')
    header = (
        b'{"__metadata__":{"format":"pt"},'
        b'"a":{"dtype":"BF16","shape":[4,8],"data_offsets":[0,64]},'
        b'"b":{"dtype":"F32","shape":[3],"data_offsets":[64,76]}}'
    )
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags: [x]\n---\n# Tiny\n")
    return folder
