"""What a made run shows of its target's limits: counts, tokens, headers, signs of a saturated service."""

from typing import Any

import msgspec
import pytest

from observatory.analysis.rate_limits.limit_finding import FoundLimit
from observatory.analysis.rate_limits.limit_reading import LimitsSeen, read_limits, relative_width
from observatory.core.caps_spent import CapsSpent
from observatory.core.record import Attempt, Tokens
from tests.analysis.conftest import MadeRun, ns

WORDS = (
    "HTTP 429: Rate limit reached for m on tokens per min (TPM): Limit 6000 (rate_limit_exceeded)"
)
WORKLOAD = {"workload": {"output_tokens": {"distribution": "fixed", "tokens": 20}}}
STEADY = {"steady_started": 0, "steady_ended": ns(40), "rate_per_s": 2.0}


def attempt(sent_s: float, status: int | None, **fields: Any) -> Attempt:
    given: dict[str, Any] = {
        "number": 0,
        "sent": ns(sent_s),
        "ended": ns(sent_s + 0.1),
        "http_status": status,
        "outcome": "ok" if status == 200 else "throttled" if status == 429 else "error",
    }
    return Attempt(**(given | fields))


def bucket(made: MadeRun, **refusal: Any) -> MadeRun:
    """Add 2 requests a second, of which 1 a second is allowed, five at first: refused every second time from 2.5 s on."""
    made.kinds, made.stage_facts, made.scenario = ["constant"], {0: STEADY}, WORKLOAD
    used = Tokens(prompt=80, output=10, output_from="usage")
    for place in range(80):
        at = place / 2
        if at < 2.5 or place % 2 == 0:
            made.add(at, attempt(at, 200, tokens=used))
        else:
            made.add(at, attempt(at, 429, **refusal), outcome="throttled")
    return made


def test_requests_and_how_they_were_refused(made: MadeRun) -> None:
    headers = {"x-ratelimit-limit-requests": "90", "x-ratelimit-remaining-requests": "0"}
    bucket(made, retry_after_s=0.5, error_text=WORDS, rate_limit_headers=headers)
    seen = read_limits(made.manifest, made.frames)
    assert seen.unit == "requests"
    assert seen.ceiling.a_minute == pytest.approx(60)
    assert (seen.sent, seen.refused) == (80, 38)
    assert seen.statuses == {"200": 42, "429": 38}
    assert seen.advertised_a_minute == 90
    assert seen.retry_advice.enough == 1.0
    assert (seen.named, seen.words) == (["tokens"], WORDS)
    [stage] = seen.stages
    assert (stage.demand_a_minute, stage.seconds, stage.let_in) == (120, 40, 42)
    assert stage.reached is None


def test_tokens_are_counted_as_admitted_and_as_used(made: MadeRun) -> None:
    made.facts["scenario_name"] = "limits-tpm"
    seen = read_limits(bucket(made).manifest, made.frames)
    assert (seen.unit, seen.each) == (
        "tokens",
        100,
    )  # 80 of the prompt, 20 that the answer may have
    assert seen.ceiling.a_minute == pytest.approx(6000)
    assert seen.by_usage == pytest.approx(60 * 90)
    assert read_limits(made.manifest, made.frames, "requests").ceiling.a_minute == pytest.approx(60)


def test_headers_are_put_together_from_all_answers(made: MadeRun) -> None:
    made.kinds = ["constant"]
    for at, headers in (
        (0.0, {"x-ratelimit-limit-tokens": "5000"}),
        (1.0, {"x-ratelimit-limit-requests": "60"}),
        (2.0, {"x-ratelimit-limit-requests": "70"}),
        (3.0, {}),
    ):
        made.add(at, attempt(at, 200, rate_limit_headers=headers))
    seen = read_limits(made.manifest, made.frames)
    assert seen.advertised.requests_per_minute == 70
    assert seen.advertised.tokens_per_minute == 5000
    assert seen.ceiling.reason == "never_refused"
    assert seen.retry_advice.enough is None


def test_prompts_limited_alone_are_the_token_limit(made: MadeRun) -> None:
    made.facts["scenario_name"] = "limits-tpm"
    headers = {"anthropic-ratelimit-input-tokens-limit": "40000"}
    made.add(0.0, attempt(0.0, 200, rate_limit_headers=headers))
    assert read_limits(made.manifest, made.frames).advertised_a_minute == 40_000


def test_overload_is_told_apart_from_a_limit(made: MadeRun) -> None:
    made.kinds, made.stage_facts = ["constant"], {0: STEADY}
    for place in range(40):
        status = (200, 503, 529, None)[place % 4]
        fields = {"outcome": "ok"} if status == 200 else {"outcome": "error"}
        made.add(place, attempt(place, status), **fields)
    seen = read_limits(made.manifest, made.frames)
    [stage] = seen.stages
    assert (stage.let_in, stage.refused, stage.overloaded, stage.failed) == (10, 0, 20, 10)
    assert stage.reached == "20 of 40 answers stated that it is overloaded"
    assert seen.ceiling.reason == "never_refused"
    assert seen.statuses == {"200": 10, "503": 10, "529": 10, "none": 10}


def test_a_refusal_inside_a_200_is_not_let_in(made: MadeRun) -> None:
    """The same limits by the same rule, stated with another status."""
    inside = {"error_kind": "rate_limited", "outcome": "throttled", "error_text": WORDS}
    made.kinds, made.stage_facts, made.scenario = ["constant"], {0: STEADY}, WORKLOAD
    for place in range(80):
        at = place / 2
        if at < 2.5 or place % 2 == 0:
            made.add(at, attempt(at, 200))
        else:
            made.add(at, attempt(at, 200, **inside), outcome="throttled")
    found = read_limits(made.manifest, made.frames)
    [stage] = found.stages
    assert (stage.let_in, stage.refused, stage.overloaded, stage.failed) == (42, 38, 0, 0)
    assert found.ceiling.a_minute == pytest.approx(60)
    assert found.words == WORDS


@pytest.mark.parametrize(("slower_s", "full"), [(0.0, False), (0.5, True)])
def test_a_queue_that_grows_is_a_full_service(made: MadeRun, slower_s: float, full: bool) -> None:
    made.kinds, made.stage_facts = ["constant"], {0: STEADY}
    for place in range(80):
        took = 0.2 + slower_s * place
        made.add(place / 2, attempt(place / 2, 200, ended=ns(place / 2 + took)))
    [stage] = read_limits(made.manifest, made.frames).stages
    assert (stage.reached is not None) == full


def test_the_narrowest_stage_answers(made: MadeRun) -> None:
    bucket(made)
    made.kinds = ["constant", "constant"]
    made.stage_facts[1] = {"rate_per_s": 1.0}
    made.add(0.0, attempt(60.0, 200), stage=1)
    seen = read_limits(made.manifest, made.frames)
    assert [stage.ceiling.reason for stage in seen.stages] == [None, "never_refused"]
    assert seen.ceiling.a_minute == pytest.approx(60)


def test_nothing_sent_says_nothing(made: MadeRun) -> None:
    seen = read_limits(made.manifest, made.frames)
    assert (seen.ceiling.a_minute, seen.sent, seen.cost_usd, seen.words) == (None, 0, None, None)


def test_a_reading_is_plain_data(made: MadeRun) -> None:
    seen = read_limits(bucket(made).manifest, made.frames)
    again = msgspec.json.decode(msgspec.json.encode(seen), type=LimitsSeen)
    assert again == seen


def test_relative_width() -> None:
    assert relative_width(FoundLimit(100.0, 90.0, 120.0)) == pytest.approx(0.15)
    assert relative_width(FoundLimit(None, reason="too_short")) == float("inf")


def test_what_a_run_held_against_its_cap_is_more_than_its_rows_say(made: MadeRun) -> None:
    bucket(made)
    spent = CapsSpent(requests=80, output_tokens=80, usd=0.25, assumed_usd=0.25, overrun=1.0)
    manifest = msgspec.structs.replace(made.manifest, spent=spent)
    seen = read_limits(manifest, made.frames)
    assert seen.capped_usd == 0.25
    assert read_limits(made.manifest, made.frames).capped_usd == (seen.cost_usd or 0.0) < 0.25


def test_without_usage_the_planned_tokens_are_what_was_taken(made: MadeRun) -> None:
    """A service that counts tokens against its limit and states none: the plan knows what was sent."""
    made.kinds, made.stage_facts = ["constant"], {0: STEADY}
    made.scenario = {
        "name": "limits-tpm",
        "workload": {
            "prompt_tokens": {"distribution": "fixed", "tokens": 80},
            "output_tokens": {"distribution": "fixed", "tokens": 20},
        },
    }
    for place in range(80):
        at = place / 2
        let_in = at < 2.5 or place % 2 == 0
        made.add(at, attempt(at, 200 if let_in else 429), outcome="ok" if let_in else "throttled")
    seen = read_limits(made.manifest, made.frames, "tokens")
    assert seen.each == 100
    assert seen.ceiling.a_minute == pytest.approx(6000)
    assert seen.by_usage is None
