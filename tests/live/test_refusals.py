"""A service that refuses every request alike ends the run after few, with its words and the fix."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tests.live.harness import Workspace

pytestmark = pytest.mark.live

SCENARIO = """
name: refused
stop_on_refusals: {stops}
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 3}}, {{concurrency: 2}}]
timing: {{warmup: 0s, steady: 2s, drain: 30s}}
processes: {processes}
budget: {budget}
telemetry: {{interval: 500ms, codecarbon: false}}
targets:
  - {{kind: url, name: gateway, url: "URL", model: m, billing: tokens, price: unknown}}
"""
WORDS = "temperature: 0 is not taken, leave it out"


@contextmanager
def refusing(
    status: str, body: dict[str, Any], most: int | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that lists model m and refuses all else; `most`: after so many it answers no more."""
    posted: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            while first := lines.readline():
                length = 0
                while (line := lines.readline()).strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                content = lines.read(length)
                reported, stated = status, body
                if first.startswith(b"GET"):
                    found = first.split()[1] == b"/v1/models"
                    reported, stated = (
                        ("200 OK", {"data": [{"id": "m"}]}) if found else ("404 No", {})
                    )
                else:
                    posted.append(content)
                    if most is not None and len(posted) > most:
                        threading.Event().wait(30)
                text = json.dumps(stated).encode()
                head = f"HTTP/1.1 {reported}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                connection.sendall(head.encode() + text)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", posted


def run(workspace: Workspace, url: str, code: int | tuple[int, ...], **changes: Any) -> str:
    settings = {"stops": "null", "processes": 1, "budget": "{requests: 1000}", **changes}
    workspace.write("refused", SCENARIO.format(**settings).replace("URL", url))
    return workspace.run("run", "refused", "--yes", code=code)


def test_a_run_whose_requests_are_all_refused_stops(workspace: Workspace) -> None:
    body = {"error": {"message": WORDS, "type": "invalid_request_error", "param": "temperature"}}
    with refusing("400 Bad Request", body) as (url, posted):
        text = run(workspace, url, 4, processes=2)
    assert WORDS in text
    assert "workload.sampling.temperature" in text
    facts = workspace.manifest()
    assert facts["status"] == "crashed"
    assert facts["status_reason"].startswith("refused_alike: ")
    assert facts["verdict"]["level"] == "invalid"
    assert "refused_alike" in facts["verdict"]["codes"]
    (stage,) = facts["stages"]
    # At the twentieth refusal each of the other users has at most one request open.
    assert 20 <= len(posted) <= stage["issued"] == stage["recorded"] <= 20 + 3
    rows = workspace.sql(
        "select http_status, outcome, count(*) as n from request_metrics group by all"
    )
    assert {(row["http_status"], row["outcome"]) for row in rows} >= {(400, "error")}


def test_refusals_that_use_up_a_budget_are_named(workspace: Workspace) -> None:
    with refusing("422 Unprocessable", {"detail": "seed: extra inputs are not permitted"}) as (
        url,
        _,
    ):
        text = run(workspace, url, 4, budget="{requests: 5}")
    assert "all 5 requests were refused alike, and they used up the budget" in text
    assert "seed: extra inputs are not permitted" in text
    assert workspace.manifest()["status_reason"].startswith("refused_alike: ")


def test_it_can_be_turned_off(workspace: Workspace) -> None:
    with refusing("400 Bad Request", {"error": {"message": "no"}}) as (url, posted):
        text = run(workspace, url, 7, stops="false", budget="{requests: 60}")
    assert len(posted) == 60
    assert workspace.manifest()["status"] == "budget_reached"
    assert "60 of the 60 requests were refused; the first: HTTP 400: no" in text


def test_a_base_url_that_ends_in_the_route_is_refused_before_the_load(workspace: Workspace) -> None:
    with refusing("404 Not Found", {"detail": "Not Found"}) as (url, posted):
        text = run(workspace, f"{url}/chat/completions", 4)
    assert f"use {url}" in text
    assert posted == []
