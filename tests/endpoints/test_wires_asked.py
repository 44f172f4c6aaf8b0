"""Every wire through the real transport, against the emulator."""

from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.core.connection import Connection
from observatory.core.emulation.profile import Profile
from observatory.wires.wires import WIRES
from tests.load.asking import Case, RequestOutcome, ask

PROFILE = {
    "ttft_median": "30ms",
    "ttft_p95": "30ms",
    "inter_token_median": "5ms",
    "inter_token_p95": "5ms",
    "output_tokens_median": 8,
    "output_tokens_p95": 8,
    "prompt_cache": {"kind": "fraction", "fraction": 0.5},
    "reasoning": {"tokens_median": 3, "tokens_p95": 3},
}
Start = Callable[..., tuple[str, int]]


@pytest.fixture(scope="module")
def answers(
    start_emulator: Start, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[RequestOutcome]]:
    """Two answers on each wire."""
    folder: Path = tmp_path_factory.mktemp("wires")
    host, port = start_emulator(profile=Profile.model_validate(PROFILE))
    cases = []
    for wire in WIRES:
        connection = Connection(
            scheme="http", host=host, port=port, base_path="/v1", model="emulated-model", wire=wire
        )
        body = {"model": "emulated-model", "stream_options": {"include_usage": True}}
        texts = ["Please reset my password", "Say hello to all of them"]
        cases.append(Case(connection, texts, body=body if wire == "openai" else {}))
    return dict(zip(WIRES, ask(folder, cases), strict=True))


@pytest.mark.parametrize("wire", WIRES)
def test_what_a_wire_tells_is_what_was_served(
    answers: dict[str, list[RequestOutcome]], wire: str
) -> None:
    for one, words in zip(answers[wire], (4, 6), strict=True):
        attempt, tokens = one.attempt, one.attempt.tokens
        assert (attempt.outcome, attempt.saw_done, attempt.http_status) == ("ok", True, 200)
        assert (tokens.prompt, tokens.cached) == (words, words // 2)
        assert (tokens.output, tokens.reasoning, tokens.streamed) == (11, 3, 8)
        assert attempt.event_tokens == [1] * 8
        assert attempt.finish_reason == "stop" and len(one.text.split()) == 8
        assert attempt.model_reported == "emulated-model"
        assert (attempt.provider_request_id or "").startswith("req-emulated-")
    assert answers[wire][1].attempt.reused_connection
