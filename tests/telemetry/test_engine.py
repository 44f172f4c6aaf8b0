"""The engine's sensor: servers with metrics, that stop responding, and without such a page."""

import pytest

from observatory.core.connection import Connection, KeySource
from observatory.telemetry.scraping.scrape import PAGE_LIMIT
from observatory.telemetry.sensors.engine import EngineSensor, metrics_page
from tests.telemetry.served_page import serving

VLLM = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 7.0
vllm:num_requests_running{engine="1",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m, {x}"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 3.0
vllm:e2e_request_latency_seconds_sum{engine="0",model_name="m"} 12.5
""".replace("m, {x}", "m")


@pytest.mark.parametrize(
    ("base", "path"), [("/v1", "/metrics"), ("", "/metrics"), ("/team/v1/", "/team/metrics")]
)
def test_the_page_lies_beside_the_api(base: str, path: str) -> None:
    connection = Connection(scheme="http", host="h", port=1, base_path=base, model="m")
    assert metrics_page(connection).path == path


def test_a_server_that_tells_is_read_each_time() -> None:
    with serving(lambda: (200, "text/plain; version=0.0.4", VLLM)) as served:
        sensor = EngineSensor("engine:t", served.connection)
        for at in (5, 6):
            rows = [(s.at, s.subject, s.device, s.metric, s.value) for s in sensor.read(at)]
            assert rows == [
                (at, "target", "engine:t", "up", 1.0),
                (at, "target", "engine:t", "engine_requests_running", 12.0),
                (at, "target", "engine:t", "engine_requests_waiting", 3.0),
                (at, "target", "engine:t", "engine_batch_size", 12.0),
            ]
        assert served.asked == ["/metrics", "/metrics"]
        assert len(served.clients) == 1  # the connection is kept


@pytest.mark.parametrize(
    "answer",
    [
        (404, "application/json", '{"detail": "Not Found"}'),
        (404, "text/plain", "404 page not found"),
        (200, "text/html", "<html>vllm:num_requests_running 3</html>"),
        (200, "text/plain", "go_goroutines 12\n"),
        (401, "text/plain", "vllm:num_requests_running 3"),
        (200, "text/plain", "<html>no page</html>"),
    ],
    ids=["no route", "plain 404", "html", "another's page", "refused", "html said to be text"],
)
def test_a_server_without_such_a_page_is_asked_once_and_gives_nothing(
    answer: tuple[int, str, str],
) -> None:
    with serving(lambda: answer) as served:
        sensor = EngineSensor("engine:t", served.connection)
        assert [sensor.read(at) for at in range(3)] == [[], [], []]
        assert served.asked == ["/metrics"]


def test_a_server_that_is_not_there_gives_nothing() -> None:
    nobody = Connection(scheme="http", host="127.0.0.1", port=9, base_path="/v1", model="m")
    assert EngineSensor("engine:t", nobody).read(1) == []


def test_a_page_that_no_longer_answers_is_down_with_its_reason_and_comes_back() -> None:
    answers = [(200, VLLM), (503, "busy"), (200, VLLM)]

    def reply() -> tuple[int, str, str]:
        status, text = answers.pop(0)
        return status, "text/plain", text

    with serving(reply) as served:
        sensor = EngineSensor("engine:t", served.connection)
        first, [gone], back = (sensor.read(at) for at in range(3))
        assert (gone.metric, gone.value, gone.reason) == ("up", 0.0, "HTTP 503, text/plain")
        assert [s.value for s in first] == [s.value for s in back]


def test_a_page_that_has_its_first_series_later_is_read_then() -> None:
    """Engines with one registry for several processes have no series before their first request."""
    pages = [""] * 2 + [VLLM] * 30
    with serving(lambda: (200, "text/plain", pages.pop(0))) as served:
        sensor = EngineSensor("engine:t", served.connection)
        found = [len(sensor.read(at)) > 0 for at in range(14)]
    assert found == [False] * 10 + [True] * 4
    assert len(served.asked) == 6


def test_a_page_that_was_named_is_asked_all_along_and_missed_aloud() -> None:
    with serving(lambda: (404, "text/plain", "no")) as served:
        sensor = EngineSensor("engine:t", served.connection, served.url + "/x?a=b")
        for at in range(2):
            [gone] = sensor.read(at)
            assert (gone.metric, gone.value, gone.reason) == ("up", 0.0, "HTTP 404, text/plain")
        assert served.asked == ["/metrics/x?a=b"] * 2


def test_the_key_goes_to_the_targets_own_service_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENGINE_KEY", "s3cret")
    key = KeySource(env="ENGINE_KEY")
    page = (200, "text/plain", VLLM)
    with serving(lambda: page, key=key) as own, serving(lambda: page) as other:
        for url in (None, own.url, other.url):
            assert EngineSensor("engine:t", own.connection, url).read(1)[0].value == 1.0
        assert [h.get("Authorization") for h in own.headers] == ["Bearer s3cret"] * 2
        assert [h.get("Authorization") for h in other.headers] == [None]


def test_a_key_that_is_missing_is_said_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENGINE_KEY", raising=False)
    with serving(lambda: (200, "text/plain", VLLM), key=KeySource(env="ENGINE_KEY")) as served:
        [gone] = EngineSensor("engine:t", served.connection).read(1)
        assert gone.value == 0.0
        assert "ENGINE_KEY is not set" in (gone.reason or "")


def test_a_page_of_other_models_is_down_with_its_reason() -> None:
    page = (
        'vllm:num_requests_running{model_name="a"} 1\nvllm:num_requests_running{model_name="b"} 2\n'
    )
    with serving(lambda: (200, "text/plain", page)) as served:
        [gone] = EngineSensor("engine:t", served.connection).read(1)
        assert (gone.value, gone.reason) == (0.0, "the page is of 2 models and m is none of them")


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("x 1\n" * (PAGE_LIMIT // 4 + 1), "the page has more than 4 MiB"),
        (VLLM + "vllm:num_requests_running 12", "the page was cut off: its last line has no end"),
        (VLLM + "vllm:num_requests_running x\n", "line 9 of the page is no series"),
        ("", "the page has nothing of an engine that is known"),
    ],
    ids=["too long", "cut", "torn", "empty"],
)
def test_a_page_that_cannot_be_trusted_is_down(page: str, reason: str) -> None:
    pages = [VLLM, page, VLLM]
    with serving(lambda: (200, "text/plain", pages.pop(0))) as served:
        sensor = EngineSensor("engine:t", served.connection)
        first, [gone], back = (sensor.read(at) for at in range(3))
        assert (gone.metric, gone.value, gone.reason) == ("up", 0.0, reason)
        assert [s.value for s in first] == [s.value for s in back]


def test_a_restarted_replica_is_a_null_with_its_reason_between_two_readings() -> None:
    def page(first: int, second: int) -> str:
        return "".join(
            f'sglang:generation_tokens_total{{model_name="m",tp_rank="{rank}",dp_rank="{rank}"}} {reported}\n'
            f'sglang:num_running_reqs{{model_name="m",tp_rank="{rank}",dp_rank="{rank}"}} {rank + 1}\n'
            for rank, reported in enumerate((first, second))
        )

    pages = iter([page(100, 100), page(900, 3), page(950, 40)])
    with serving(lambda: (200, "text/plain", next(pages))) as served:
        sensor = EngineSensor("engine:t", served.connection)
        found = [{s.metric: s for s in sensor.read(at)} for at in range(3)]
    tokens = [each["engine_output_tokens_total"] for each in found]
    assert [sample.value for sample in tokens] == [200, None, 990]
    assert (tokens[1].reason or "").startswith(
        "restarted: sglang:generation_tokens_total went back"
    )
    assert [each["engine_requests_running"].value for each in found] == [3, 3, 3]
    assert all(each["up"].value == 1.0 for each in found)


@pytest.mark.parametrize(
    ("page", "metric", "reason"),
    [
        ("vllm:kv_cache_usage_perc 50", "engine_kv_cache_fraction",
         "implausible: vllm:kv_cache_usage_perc 50 is no share from 0 to 1"),
        ('vllm:kv_cache_usage_perc{engine="0"} 1.5\nvllm:kv_cache_usage_perc{engine="1"} 0.1',
         "engine_kv_cache_fraction", "implausible: vllm:kv_cache_usage_perc 1.5 is no share from 0 to 1"),
        ("sglang:token_usage -0.25", "engine_kv_cache_fraction", "implausible: sglang:token_usage -0.25 is negative"),
        ("vllm:num_requests_running -3", "engine_batch_size", "implausible: vllm:num_requests_running -3 is negative"),
        ("vllm:request_queue_time_seconds_sum -0.5", "engine_queue_seconds_sum",
         "implausible: vllm:request_queue_time_seconds_sum -0.5 is negative"),
        ("vllm:kv_cache_usage_perc +Inf", "engine_kv_cache_fraction", "a part of it is no number on the engine's page"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_a_null_with_its_reason(page: str, metric: str, reason: str) -> None:
    text = f"{page}\nvllm:num_requests_waiting 2\nsglang:num_queue_reqs 2\n"
    with serving(lambda: (200, "text/plain", text)) as served:
        read = {one.metric: one for one in EngineSensor("engine:t", served.connection).read(5)}
    assert (read[metric].value, read[metric].reason) == (None, reason)
    assert (read["up"].value, read["engine_requests_waiting"].value) == (1.0, 2.0)
