"""The engine's own page: known pages of real engines, and servers that offer none."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from observatory.core.connection import Connection
from observatory.telemetry.engine import EngineSensor, gauges, metrics_path

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 7.0
vllm:num_requests_running{engine="1",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m, {x}"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 3.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="m"} 12.5
"""
LLAMACPP = """# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 4
# HELP llamacpp:requests_deferred Number of requests deferred.
llamacpp:requests_deferred 12
"""
SGLANG = (
    'sglang:num_running_reqs{model_name="m"} 162.0\nsglang:num_queue_reqs{model_name="m"} 9.0\n'
)
TGI = "tgi_batch_current_size 3\ntgi_queue_size 0 1700000000000\n"


@pytest.mark.parametrize(
    ("page", "running", "waiting"),
    [(VLLM, 12, 3), (LLAMACPP, 4, 12), (SGLANG, 162, 9), (TGI, 3, 0)],
    ids=["vllm", "llamacpp", "sglang", "tgi"],
)
def test_pages_of_the_engines(page: str, running: float, waiting: float) -> None:
    assert gauges(page) == {
        "engine_requests_running": running,
        "engine_requests_waiting": waiting,
    }


def test_a_page_of_something_else_has_none() -> None:
    assert gauges("# HELP go_goroutines x\ngo_goroutines 12\n") == {}
    assert gauges("") == {}


@pytest.mark.parametrize(
    ("base", "path"), [("/v1", "/metrics"), ("", "/metrics"), ("/team/v1/", "/team/metrics")]
)
def test_the_page_lies_beside_the_api(base: str, path: str) -> None:
    connection = Connection(scheme="http", host="h", port=1, base_path=base, model="m")
    assert metrics_path(connection) == path


Reply = Callable[[], tuple[int, str, str]]


@contextmanager
def serving(reply: Reply) -> Iterator[tuple[Connection, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            status, kind, text = reply()
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    host, port = "127.0.0.1", server.server_address[1]
    try:
        yield Connection(scheme="http", host=host, port=port, base_path="/v1", model="m"), asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_tells_is_read_each_time() -> None:
    with serving(lambda: (200, "text/plain; version=0.0.4", VLLM)) as (connection, asked):
        sensor = EngineSensor("engine:t", connection)
        for at in (5, 6):
            rows = [(s.at, s.subject, s.device, s.metric, s.value) for s in sensor.read(at)]
            assert rows == [
                (at, "target", "engine:t", "up", 1.0),
                (at, "target", "engine:t", "engine_requests_running", 12.0),
                (at, "target", "engine:t", "engine_requests_waiting", 3.0),
            ]
        assert asked == ["/metrics", "/metrics"]


@pytest.mark.parametrize(
    "answer",
    [
        (404, "application/json", '{"detail": "Not Found"}'),
        (404, "text/plain", "404 page not found"),
        (200, "text/html", "<html>vllm:num_requests_running 3</html>"),
        (200, "text/plain", "go_goroutines 12\n"),
        (401, "text/plain", "vllm:num_requests_running 3"),
    ],
    ids=["no route", "plain 404", "html", "another's page", "refused"],
)
def test_a_server_without_such_a_page_is_asked_once_and_gives_nothing(
    answer: tuple[int, str, str],
) -> None:
    with serving(lambda: answer) as (connection, asked):
        sensor = EngineSensor("engine:t", connection)
        assert [sensor.read(at) for at in range(3)] == [[], [], []]
        assert asked == ["/metrics"]


def test_a_server_that_is_not_there_gives_nothing() -> None:
    nobody = Connection(scheme="http", host="127.0.0.1", port=9, base_path="/v1", model="m")
    assert EngineSensor("engine:t", nobody).read(1) == []


def test_a_page_that_no_longer_answers_is_down_with_its_reason_and_comes_back() -> None:
    answers = [(200, VLLM), (503, "busy"), (200, VLLM)]

    def reply() -> tuple[int, str, str]:
        status, text = answers.pop(0)
        return status, "text/plain", text

    with serving(reply) as (connection, _):
        sensor = EngineSensor("engine:t", connection)
        first, [gone], back = (sensor.read(at) for at in range(3))
        assert (gone.metric, gone.value, gone.reason) == ("up", 0.0, "HTTP 503, text/plain")
        assert [s.value for s in first] == [s.value for s in back]
