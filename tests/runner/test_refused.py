"""The reported end of a stage, and the fix for each refusal's text."""

from typing import Any

import pytest

from observatory.core.record import WorkerEnd
from observatory.core.run import REFUSED_ALIKE
from observatory.runner.refused import fix_of, refusals_paid, refused_alike


def end(recorded: int, refused: int, alike: int = 400, **fields: Any) -> WorkerEnd:
    words = {"refusal": "HTTP 400: no seed here"} if refused else {}
    return WorkerEnd(
        1, recorded, recorded, 0, 0, fields.pop("reason", "complete"),
        refused=refused, alike=alike, **{**words, **fields},
    )  # fmt: skip


STOPPED = {"reason": "crashed", "detail": REFUSED_ALIKE}


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ([end(1, 1)], "the only request was refused: HTTP 400: no seed here — leave"),
        ([end(7, 7), end(0, 0, 0)], "all 7 requests were refused alike: HTTP 400"),
        ([end(7, 7), end(3, 3)], "all 10 requests were refused alike: "),
        ([end(7, 7, reason="budget_reached")], "refused alike, and they used up the budget: "),
        ([end(25, 20, **STOPPED), end(2, 0, 0, reason="interrupted")], "all 20 requests"),
        ([end(7, 7), end(3, 3, 404)], None),
        ([end(7, 7, -5)], "all 7 requests were refused alike"),
        ([end(7, 7, 4)], "nothing in them"),
        ([end(4, 4, -5)], None),
        ([end(4, 4, 4)], None),
        ([end(4, 4, 1)], "all 4 requests"),
        ([end(7, 6, 0)], None),
        ([end(7, 7), end(3, 0, 0)], None),
        ([end(0, 0, 0)], None),
        ([], None),
        ([end(7, 7, reason="interrupted")], None),
        ([end(7, 7, reason="crashed", detail="the disk is full")], None),
    ],
)
def test_a_stage_in_which_all_was_refused(ends: list[WorkerEnd], message: str | None) -> None:
    reason = refused_alike(ends)
    if message is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith("refused_alike: ")
        assert message in reason
        assert reason.endswith("stop_on_refusals: false measures nevertheless")


@pytest.mark.parametrize(
    ("alike", "words", "fix"),
    [
        (400, "temperature: 0 is not taken, leave it out", "workload.sampling.temperature"),
        (
            400,
            "Unsupported parameter: 'max_tokens' ... Use 'max_completion_tokens'",
            "to max_completion_tokens",
        ),
        (-7, "The model `m` does not exist (model_not_found)", "name a model"),
        (-7, "exceeds the available context size (400)", "use shorter prompts"),
        (400, "Too many tokens, please wait before trying again.", "correct what its words name"),
        (422, "stream_options: extra fields not permitted", "stream_usage"),
        (400, "This model's maximum context length is 4096 tokens", "shorter prompts"),
        (404, "The model `gpt-5` does not exist", "name a model"),
        (404, "Not Found", "base URL"),
        (401, "Incorrect API key", "api_key_env"),
        (400, "invalid temperature: only 1 is allowed for this model", "sampling.temperature"),
        (400, "something else", "correct what its words name"),
        (451, "for legal reasons", "correct what its words name"),
        (307, "", "redirects"),
        (1, "not HTTP", "no HTTP or no API"),
    ],
)
def test_each_refusal_has_its_fix(alike: int, words: str, fix: str) -> None:
    assert fix in fix_of(alike, words)


def test_refusals_that_a_budget_paid_for_are_counted() -> None:
    assert refusals_paid([end(7, 0, 0)]) == ""
    stated = refusals_paid([end(7, 3, 0), end(5, 1, 0)])
    assert stated == "; 4 of the 12 requests were refused; the first: HTTP 400: no seed here"
