"""The openai package against the emulator: every answer it can give is accepted, every error is of
the class that the package has for it, by its synchronous and its asynchronous client."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import openai
import pytest

from observatory.core.emulation.profile import Profile
from observatory.telemetry.scraping.exposition import read_page
from observatory.telemetry.sensors.engine_names import NAMES, of_target, translate

Start = Callable[..., tuple[str, int]]
MESSAGES: Any = [{"role": "user", "content": "Please reset my password today"}]
QUICK = {
    "ttft_median": "1ms",
    "ttft_p95": "1ms",
    "inter_token_median": "1ms",
    "inter_token_p95": "1ms",
    "output_tokens_median": 6,
    "output_tokens_p95": 6,
}

pytestmark = pytest.mark.usefixtures("no_ambient_openai")


@pytest.fixture
def served(start_emulator: Start) -> Iterator[Callable[..., openai.OpenAI]]:
    """Starts an emulator with these fields of a profile, and a client of it."""
    clients = []

    def start(timeout: float = 20, **fields: Any) -> openai.OpenAI:
        host, port = start_emulator(profile=Profile.model_validate(QUICK | fields))
        clients.append(
            openai.OpenAI(
                api_key="any", base_url=f"http://{host}:{port}/v1", max_retries=0, timeout=timeout
            )
        )
        return clients[-1]

    yield start
    for client in clients:
        client.close()


def complete(client: openai.OpenAI, *, stream: bool = False, **more: Any) -> Any:
    return client.chat.completions.create(
        model="emulated-model", messages=MESSAGES, stream=stream, **more
    )


ERRORS = [
    ("http_429", openai.RateLimitError, 429),
    ("http_500", openai.InternalServerError, 500),
    ("http_503", openai.InternalServerError, 503),
    ("http_529", openai.InternalServerError, 529),
]


@pytest.mark.parametrize(("kind", "error", "status"), ERRORS)
def test_its_status_errors_are_raised(
    served: Any, kind: str, error: type[openai.APIStatusError], status: int
) -> None:
    client = served(faults={kind: 1.0})
    for stream in (False, True):
        with pytest.raises(error) as caught:
            complete(client, stream=stream)
        assert caught.value.status_code == status
        assert caught.value.response.headers["server"] == "observatory-emulator"


def test_a_limit_is_told_in_headers_and_as_a_rate_limit_error(served: Any) -> None:
    few = served(limits={"requests_per_minute": 1})
    first = few.chat.completions.with_raw_response.create(model="emulated-model", messages=MESSAGES)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    with pytest.raises(openai.RateLimitError) as caught:
        complete(few)
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
    assert 1 <= int(caught.value.response.headers["retry-after"]) <= 60


def test_an_error_inside_a_stream_is_an_api_error(served: Any) -> None:
    seen = []
    with pytest.raises(openai.APIError, match="in the middle of the answer"):
        for event in complete(served(faults={"error_event": 1.0}), stream=True):
            seen.append(event)
    assert len(seen) >= 2


@pytest.mark.parametrize("kind", ["reset", "early_close", "stall"])
def test_a_broken_connection_raises_in_the_stream(served: Any, kind: str) -> None:
    client = served(timeout=1.0, faults={kind: 1.0, "stall_for": "20s"})
    seen = []
    with pytest.raises((httpx2.TransportError, openai.APIConnectionError)):
        for event in complete(client, stream=True):
            seen.append(event)
    assert len(seen) >= 2


def test_what_is_no_http_is_a_connection_error(served: Any) -> None:
    with pytest.raises(openai.APIConnectionError):
        complete(served(faults={"garbage_http": 1.0}))


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"line_end": "crlf", "comments": True, "keep_alive": "2ms"},
        {"pieces": 5, "piece_pause": "200us", "text": "multibyte"},
        {"tokens_per_event": 3, "events_per_write": 2, "usage": "every_event"},
        {"role": "with_content", "usage": "with_finish", "done": False},
        {"role": "absent", "usage": "always", "padding_bytes": 1 << 20},
    ],
)
def test_every_shape_is_accepted(served: Any, shape: dict[str, Any]) -> None:
    client = served(shape=shape)
    events = list(complete(client, stream=True, stream_options={"include_usage": True}))
    text = "".join(e.choices[0].delta.content or "" for e in events if e.choices)
    assert len(text.split()) == 6
    usages = [event.usage for event in events if event.usage is not None]
    assert usages[-1].completion_tokens == 6
    whole = complete(client)
    assert len(whole.choices[0].message.content.split()) == 6
    assert whole.usage.completion_tokens == 6


def test_tool_calls_are_accepted(served: Any) -> None:
    client = served(shape={"answer": "tool_call"})
    calls = [
        event.choices[0].delta.tool_calls[0]
        for event in complete(client, stream=True)
        if event.choices and event.choices[0].delta.tool_calls
    ]
    assert calls[0].function.name == "look_up"
    arguments = "".join(call.function.arguments for call in calls)
    [call] = complete(client).choices[0].message.tool_calls
    for text in (arguments, call.function.arguments):
        assert len(json.loads(text)["query"].split()) == 5


def test_reasoning_comes_under_the_name_that_is_asked_for(served: Any) -> None:
    thinks = {"tokens_median": 4, "tokens_p95": 4, "stream": "reasoning_content"}
    client = served(reasoning=thinks)
    events = list(complete(client, stream=True))
    pieces = [(event.choices[0].delta.model_extra or {}) for event in events if event.choices]
    thoughts = "".join(piece.get("reasoning_content") or "" for piece in pieces)
    assert len(thoughts.split()) == 4
    usage = complete(client).usage
    assert (usage.completion_tokens, usage.completion_tokens_details.reasoning_tokens) == (10, 4)


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"shape": {"tokens_per_event": 3, "events_per_write": 2}},
        {"shape": {"answer": "tool_call"}},
        {"reasoning": {"tokens_median": 4, "tokens_p95": 4}},
        {"reasoning": {"tokens_median": 4, "tokens_p95": 4, "stream": "reasoning"}},
        {"prompt_cache": {"kind": "fraction", "fraction": 0.5}},
        {"faults": {"wrong_usage": 1.0}},
    ],
)
def test_its_counters_are_what_true_usage_says(served: Any, profile: dict[str, Any]) -> None:
    client = served(**profile)
    *_, last = complete(client, stream=True, stream_options={"include_usage": True})
    usages = [last.usage, complete(client).usage]
    with urllib.request.urlopen(str(client.base_url).replace("/v1/", "/metrics")) as answer:
        page = answer.read().decode()
    counted = translate(of_target(read_page(page, NAMES.__contains__), ""))
    factor = 1.5 if profile.get("faults") else 1.0
    for metric, stated in {
        "output_tokens": sum(usage.completion_tokens for usage in usages),
        "prompt_tokens": sum(usage.prompt_tokens for usage in usages),
    }.items():
        assert counted[f"engine_{metric}_total"] * factor == pytest.approx(stated, abs=1)
    assert counted["engine_requests_total"] == 2
    cached = sum(usage.prompt_tokens_details.cached_tokens for usage in usages)
    assert counted["engine_prefix_cache_hits_total"] == cached
    assert (cached > 0) is ("prompt_cache" in profile)


def test_the_asynchronous_client_streams_and_gets_its_errors(start_emulator: Start) -> None:
    async def use() -> tuple[list[int], list[str]]:
        host, port = start_emulator(profile=Profile.model_validate(QUICK | {"slots": 3}))
        bad = start_emulator(profile=Profile.model_validate(QUICK | {"faults": {"http_429": 1.0}}))
        lengths, errors = [], []

        async def one(client: openai.AsyncOpenAI) -> None:
            stream = await client.chat.completions.create(
                model="emulated-model", messages=MESSAGES, stream=True
            )
            words = [e.choices[0].delta.content async for e in stream if e.choices]
            lengths.append(len([word for word in words if word]))

        async with openai.AsyncOpenAI(api_key="x", base_url=f"http://{host}:{port}/v1") as client:
            await asyncio.gather(*(one(client) for _ in range(8)))
        url = f"http://{bad[0]}:{bad[1]}/v1"
        async with openai.AsyncOpenAI(api_key="x", base_url=url, max_retries=0) as client:
            try:
                await one(client)
            except openai.RateLimitError as error:
                errors.append(str(error.code))
        return lengths, errors

    assert asyncio.run(use()) == ([6] * 8, ["rate_limit_exceeded"])
