"""What the recorded answers of real servers must decode to; any cutting of them is in test_wire_cuts."""

from itertools import accumulate
from typing import NamedTuple

import pytest

from tests.endpoints.test_wire_cuts import CORPUS, fed


class Counts(NamedTuple):
    """Usage's prompt and output tokens (None: it had none), the events with text, what ended it."""

    prompt: int | None
    output: int
    events: int
    finish: str
    cached: int | None = None
    done: bool = True
    begins: str = ""


STREAMS = {
    "guidellm-mock-chat-stream": Counts(6, 8, 8, "stop", begins="Score each"),
    "guidellm-mock-chat-stream-no-usage": Counts(None, 8, 8, "stop", begins="Score each"),
    # The choice's index counts the events here; it is one choice all the same.
    "guidellm-mock-completions-stream": Counts(6, 8, 8, "stop", begins="Score each cause."),
    "mlx-chat-stream": Counts(38, 10, 10, "length", cached=0, begins="La nouvelle"),
    "mlx-completions-stream": Counts(9, 10, 10, "length", cached=0, begins="\n    return a + b"),
    "transformers-chat-stream": Counts(38, 10, 10, "length", done=False, begins="Je ne"),
    "transformers-completions-stream": Counts(9, 10, 10, "length", done=False, begins="\n    ret"),
    "vllm-chat-stream": Counts(38, 16, 16, "length", begins="Je ne sais qua以,"),
    "vllm-chat-stream-cached": Counts(312, 6, 6, "length", cached=256, begins="The largest"),
    "vllm-chat-stream-four-tokens-an-event": Counts(74, 18, 6, "length", cached=0, begins="The l"),
    "vllm-chat-stream-logprobs": Counts(38, 6, 6, "length", begins="Je ne"),
    "vllm-chat-stream-no-usage": Counts(None, 8, 8, "length", begins="Je ne"),
    "vllm-chat-stream-token-ids": Counts(38, 4, 4, "length", begins="Je ne"),
    "vllm-chat-stream-two-choices": Counts(38, 8, 7, "length"),
    "vllm-chat-stream-usage-per-event": Counts(38, 8, 8, "length", begins="Je ne"),
    "vllm-completions-stream": Counts(9, 16, 16, "length", begins="\n    return a + b"),
    "vllm-completions-stream-logprobs": Counts(9, 6, 6, "length", begins="\n    return"),
    "vllm-reasoning-stream": Counts(36, 46, 21, "stop", cached=0, begins="  a whale is a marine"),
    "vllm-tool-call-auto": Counts(37, 40, 40, "length", begins="The weather in Bern"),
}
WHOLE = {
    "guidellm-mock-chat-whole": Counts(6, 8, 1, "stop", begins="Score each"),
    "mlx-chat-whole": Counts(38, 8, 1, "length", cached=37, begins="La nouvelle"),
    "transformers-chat-whole": Counts(38, 8, 1, "length", begins="Je ne sais"),
    "vllm-chat-whole": Counts(38, 8, 1, "length", begins="Je ne sais"),
    "vllm-completions-whole": Counts(9, 8, 1, "length", begins="\n    return a + b"),
    "vllm-reasoning-whole": Counts(36, 46, 1, "stop", cached=0, begins="  a whale is a marine"),
}
TOOL_CALLS = {
    "guidellm-mock-tool-call": ("weather({})", 8, "tool_calls"),
    "vllm-tool-call-named": ('weather("Bern")', 40, "length"),
    "vllm-tool-call-required": ('weather("Bern")', 40, "length"),
}
REFUSED = {
    "guidellm-mock-bad-request": (400, "Input should be a valid list"),
    "mlx-bad-request": (400, "max_tokens must be at least 1"),
    "vllm-bad-request": (400, "max_tokens must be at least 1"),
    "vllm-not-found": (404, "does not exist"),
    "vllm-too-long": (400, "max_model_len=2048"),
}
BROKEN = {"vllm-engine-died-stream"}


def test_every_recording_has_its_answer_here() -> None:
    here = {*STREAMS, *WHOLE, *TOOL_CALLS, *REFUSED, *BROKEN}
    recorded = {name.removesuffix(".http") for name in CORPUS if not name.startswith("llama-cpp-")}
    assert here == recorded


@pytest.mark.parametrize(("name", "counts"), [*STREAMS.items(), *WHOLE.items()])
def test_counts_and_text(name: str, counts: Counts) -> None:
    answer = fed(CORPUS[f"{name}.http"], [])
    attempt, tokens = answer.attempt, answer.attempt.tokens
    assert attempt.outcome == "ok" and attempt.error_kind is None
    assert (tokens.prompt, tokens.output, tokens.cached) == (
        counts.prompt,
        counts.output,
        counts.cached,
    )
    assert tokens.output_from == ("events" if counts.prompt is None else "usage")
    assert len(attempt.event_tokens) == counts.events
    assert sum(attempt.event_tokens) == tokens.streamed
    assert attempt.finish_reason == counts.finish
    assert attempt.saw_done == (name in STREAMS and counts.done)
    assert answer.text.startswith(counts.begins)
    assert attempt.first_token is not None and attempt.last_token is not None
    assert attempt.model_reported in ("smol", "mock", "./smol", "./smol@main")


def test_one_token_an_event_is_believed_and_more_are_shared_out() -> None:
    def split(name: str) -> tuple[list[int], str | None]:
        attempt = fed(CORPUS[f"{name}.http"], []).attempt
        return attempt.event_tokens, attempt.tokens.streamed_from

    assert split("vllm-chat-stream-usage-per-event") == ([1] * 8, "usage")
    assert split("vllm-chat-stream") == ([1] * 16, "usage")
    assert split("vllm-chat-stream-no-usage") == ([1] * 8, "events")
    by_four, source = split("vllm-chat-stream-four-tokens-an-event")
    assert source == "characters" and sum(by_four) == 18
    true = [1, 4, 4, 4, 4, 1]  # --stream-interval 4
    for given, due in zip(accumulate(by_four), accumulate(true), strict=True):
        assert abs(given - due) <= 2


def test_reasoning_that_usage_denies_is_reasoning_all_the_same() -> None:
    answer = fed(CORPUS["vllm-reasoning-stream.http"], [])
    attempt = answer.attempt
    assert answer.reasoning.startswith(" a whale is a fish but not a whale.")
    assert attempt.tokens.reasoning == 0  # as in usage
    assert attempt.reasoning_characters == len(answer.reasoning)
    assert attempt.first_reasoning == attempt.first_token
    whole = fed(CORPUS["vllm-reasoning-whole.http"], [])
    assert (whole.text, whole.reasoning.strip()) == (answer.text, answer.reasoning.strip())


@pytest.mark.parametrize(("name", "wanted"), TOOL_CALLS.items())
def test_tool_calls(name: str, wanted: tuple[str, int, str]) -> None:
    answer = fed(CORPUS[f"{name}.http"], [])
    attempt = answer.attempt
    assert (answer.tool_text, attempt.tokens.output, attempt.finish_reason) == wanted
    assert (attempt.outcome, attempt.tool_calls, answer.text) == ("ok", 1, "")
    assert attempt.first_token is not None
    # Usage bills more than the received text, and the split is marked as distributed.
    assert attempt.tokens.streamed_from == "characters"


@pytest.mark.parametrize(("name", "wanted"), REFUSED.items())
def test_refusals(name: str, wanted: tuple[int, str]) -> None:
    attempt = fed(CORPUS[f"{name}.http"], []).attempt
    status, words = wanted
    assert (attempt.outcome, attempt.error_kind, attempt.http_status) == (
        "error",
        "http_status",
        status,
    )
    assert attempt.error_text is not None and words in attempt.error_text
    assert attempt.first_token is None


def test_an_engine_that_died_is_an_error_inside_a_200_stream_and_its_text_is_kept() -> None:
    answer = fed(CORPUS["vllm-engine-died-stream.http"], [])
    attempt = answer.attempt
    assert (attempt.outcome, attempt.error_phase, attempt.error_kind) == (
        "error",
        "stream",
        "error_event",
    )
    assert attempt.http_status == 200
    assert attempt.saw_done  # vLLM ends it like any other answer
    assert attempt.error_text is not None and "EngineCore" in attempt.error_text
    assert answer.text.startswith("The story of a long and storied journey")
    assert len(attempt.event_ns) == 7
