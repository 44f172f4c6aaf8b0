"""A new engine is its config model, its file and one table line: it is started, measured, priced and shown."""

import json
from pathlib import Path

import psutil
import pytest

from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

pytestmark = pytest.mark.live

MODEL = '''
"""A target of the engine Echo, as a person writes it."""

from typing import ClassVar, Literal

from observatory.core.money.machine_money import MachineRate
from observatory.core.targets.identity import TargetIdentity


class EchoTarget(TargetIdentity):
    """Echo, started and stopped by the observatory on loopback."""

    opened_by: ClassVar[str] = "observatory.endpoints.echo"
    engine_title: ClassVar[str | None] = "Echo"
    metric_aliases: ClassVar[dict[str, str]] = {"echo:running": "vllm:num_requests_running"}

    kind: Literal["echo"]
    model: str = "echo-1"
    port: int = 0
    hosting: Literal["self"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours"] = "hours"
    rate: MachineRate | None = None
'''
ENGINE = '''
"""Opens a target of the engine Echo; run as a module it is the engine: a few words after each request."""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from observatory.core.system.processes import die_with_parent
from observatory.core.targets.echo import EchoTarget
from observatory.endpoints.opened import (
    Address,
    OpenContext,
    OpenTarget,
    connect,
    facts_of,
    own_connection,
)
from observatory.endpoints.opener import Opener, Prerequisite
from observatory.engines.first_answer import await_completion, await_health
from observatory.processes.server_child import ReportChannel, ServerChild


def open_echo(target: EchoTarget, context: OpenContext) -> OpenTarget:
    child = ServerChild(
        [sys.executable, "-m", "observatory.endpoints.echo", str(target.port), str(os.getpid())],
        context.log_folder / f"engine-{target.name}.log",
        f"Echo of {target.name}",
    )
    try:
        deadline_s = time.monotonic() + 60
        ready = child.wait_ready(deadline_s)
        connection = connect(
            target,
            Address("http", ready["host"], ready["port"]),
            target.model,
        )
        await_health(child, connection, deadline_s)
        body = {"model": target.model, "messages": [{"role": "user", "content": "Hello"}]}
        await_completion(child, connection, "/v1/chat/completions", body, deadline_s)
        facts = facts_of(
            target,
            connection,
            engine="Echo",
            engine_version="1.2",
            engine_distribution="echo 1.2",
            settings={"n_words": 4},
        )
    except BaseException:
        child.close()
        raise
    return OpenTarget(connection, facts, child)


OPENER = Opener(
    open_echo, own_connection, prerequisites=lambda: [Prerequisite("echo", "ok", "Echo 1.2")]
)
WORDS = ["Is ", "it ", "so ", "?"]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        pages = {
            "/health": b"",
            "/v1/models": b'{"object": "list", "data": [{"id": "echo-1", "object": "model"}]}',
            "/metrics": b"# TYPE echo:running gauge\\necho:running 3\\n",
        }
        self.reply(pages.get(self.path, b""), 200 if self.path in pages else 404)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
        about = {"id": "1", "object": "chat.completion", "model": asked["model"]}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(WORDS)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return self.reply(json.dumps({**about, "choices": [choice], "usage": usage}).encode())
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for word in WORDS:
            time.sleep(0.01)
            self.event({**about, "choices": [{"index": 0, "delta": {"content": word}}]})
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.event({**about, "choices": [end]})
        self.event({**about, "choices": [], "usage": usage})
        self.chunk(b"data: [DONE]\\n\\n")
        self.wfile.write(b"0\\r\\n\\r\\n")

    def event(self, data):
        self.chunk(b"data: " + json.dumps(data).encode() + b"\\n\\n")

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\\r\\n".encode() + data + b"\\r\\n")
        self.wfile.flush()

    def reply(self, body, status=200):
        self.send_response(status)
        kind = "text/plain" if self.path == "/metrics" else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[2]))
    channel = ReportChannel()
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer)
    print("Echo listens", flush=True)
    channel.ready({"host": "127.0.0.1", "port": server.server_port})
    server.serve_forever()
'''
SCENARIO = """
name: echo
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 2}]
timing: {warmup: 500ms, steady: 3s, drain: 5s}
telemetry: {interval: 500ms, codecarbon: false, idle: 1s}
targets:
  - kind: echo
    name: echo-a
    rate: {usd_per_hour: 3.6, source: round example, basis: example}
"""


def add_echo(workspace: Workspace) -> None:
    product = copy_product(workspace)
    (product / "core" / "targets" / "echo.py").write_text(MODEL)
    (product / "endpoints" / "echo.py").write_text(ENGINE)
    table = product / "core" / "targets" / "catalogue.py"
    add_line(table, "EmulatedTarget,", "EchoTarget,")
    emulated = "from observatory.core.targets.emulated import EmulatedTarget"
    add_line(table, emulated, "from observatory.core.targets.echo import EchoTarget")
    workspace.write("echo", SCENARIO)


def test_it_needs_no_other_place(workspace: Workspace) -> None:
    add_echo(workspace)
    two = SCENARIO.replace("name: echo\n", "name: two\n") + "    port: 8991\n"
    workspace.write("two", two + "  - {kind: echo, name: echo-b, port: 8991}\n")
    refused = workspace.run("run", "two", code=2)
    assert "echo-a and echo-b both want port 8991" in refused

    workspace.measure("echo")
    (run,) = workspace.sql("select * from runs")
    found = [run[name] for name in ("target_kind", "hosting", "billing", "engine", "status")]
    assert found == ["echo", "self", "hours", "Echo", "complete"]
    assert not run["emulated"]
    (counted,) = workspace.sql(
        "select count(*) as n, count(*) filter (outcome = 'ok') as ok from requests"
    )
    assert counted["ok"] == counted["n"] > 20
    (read,) = workspace.sql(
        "select distinct value from samples where sensor = 'engine' and device = 'engine:echo-a' "
        "and metric = 'engine_requests_running'"
    )
    assert read["value"] == 3
    prices = workspace.sql("select distinct usd_per_unit, unit from cost_components")
    assert prices == [{"usd_per_unit": 3.6, "unit": "accelerator-hour"}]
    (folder,) = workspace.run_folders()
    assert "Echo listens" in (folder / "logs" / "engine-echo-a.log").read_text()
    ours = [one for one in psutil.process_iter(["cmdline"]) if _is_echo(one, workspace)]
    assert ours == []

    seen = json.loads(workspace.run("doctor", "--json", code=(0, 4)))
    assert [check["found"] for check in seen["checks"] if check["name"] == "echo"] == ["Echo 1.2"]

    workspace.run("site", "build")
    (page,) = Path(workspace.root, "site", "dist", "runs").glob("*.html")
    text = page.read_text()
    assert "echo 1.2" in text
    assert "engine-echo-a.log" in text


def _is_echo(process: psutil.Process, workspace: Workspace) -> bool:
    if "observatory.endpoints.echo" not in (process.info["cmdline"] or []):
        return False
    return process.environ().get("PYTHONPATH") == workspace.environment["PYTHONPATH"]
