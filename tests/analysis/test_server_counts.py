"""The engine's counters against the client's records, between two idle readings."""

from typing import Any

import msgspec
import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.core.record import Tokens
from observatory.core.run import Finding

OWN = {"sensor": "engine", "subject": "target", "device": "engine:t"}
REQUESTS = 30
"""Of 100 prompt and 4 output tokens each, sent at 6, 7 ... 35 s and over after 0.13 s."""
IDLE = ((2.0, 0.0), (40.0, 1.0))


def load(run: Any, requests: int = REQUESTS, **facts: Any) -> Any:
    run.healthy_side()
    for second in range(6, 6 + requests):
        run.add(second, facts=facts or None)
    return run


def report(
    run: Any, readings: tuple[tuple[float, float], ...] = IDLE, base: float = 1000, **grown: float
) -> None:
    """Counters that start at base and grow by so much to the last reading (shares in between)."""
    for at, share in readings:
        for name, total in grown.items():
            run.sample(at, base + share * total, f"engine_{name}_total", **OWN)


def found(run: Any) -> list[Finding]:
    return [f for f in judge_run(run.manifest, run.frames)[0] if f.code != "percentile_floor"]


AGREES = {"output_tokens": 120, "prompt_tokens": 3000, "requests": 30}


def test_counts_that_agree_are_no_finding(made: Any) -> None:
    report(load(made), **AGREES)
    assert found(made) == []


@pytest.mark.parametrize(
    ("counter", "total", "share"),
    [
        ("output_tokens", 180, (60 - 16) / 120),
        ("output_tokens", 90, (30 - 16) / 120),
        ("prompt_tokens", 3300, (300 - 16) / 3000),
    ],
)
def test_counts_that_disagree_either_way_are_one(
    counter: str, total: float, share: float, made: Any
) -> None:
    report(load(made), **AGREES | {counter: total})
    [finding] = found(made)
    assert (finding.code, finding.severity, finding.stage) == ("server_tokens", "degraded", 0)
    assert (finding.value, finding.threshold) == (pytest.approx(share), 0.02)
    kind = counter.removesuffix("_tokens")
    stated = 120 if kind == "output" else 3000
    assert finding.message == (
        f"the server counted {total} {kind} tokens and usage stated {stated} of 30 answers"
    )


def test_a_few_tokens_of_the_servers_own_are_allowed(made: Any) -> None:
    report(load(made), **AGREES | {"output_tokens": 120 + 18})  # 16 and 2 % of 120
    assert found(made) == []


def test_a_reading_while_a_request_is_open_is_none(made: Any) -> None:
    load(made)
    report(made, ((6.12, 0.0), (40.0, 1.0)), output_tokens=999)  # the first answer has begun
    assert found(made) == []


def test_what_is_counted_later_is_idle_until_then(made: Any) -> None:
    load(made)
    report(made, ((6.05, 0.0), (40.0, 1.0)), output_tokens=180, prompt_tokens=9999)
    [finding] = found(made)  # before the first token, which comes after 0.1 s
    assert finding.message.startswith("the server counted 180 output tokens")
    made.samples.clear()
    made.healthy_side()
    report(made, ((6.12, 0.0), (40.0, 1.0)), requests=45)  # before the first end
    assert [f.code for f in found(made)] == ["foreign_load"]


def test_a_reading_just_after_the_last_token_is_left_to_settle(made: Any) -> None:
    load(made)
    report(made, ((2.0, 0.0), (35.15, 0.5), (36.0, 1.0)), **AGREES)
    assert found(made) == []


def test_stages_are_counted_apart(made: Any) -> None:
    made.kinds = ["closed", "closed"]
    load(made)
    for second in range(6, 36):
        made.add(second, stage=1)
    readings = ((2.0, 0.0), (50.0, 0.5), (110.0, 1.0))
    report(made, readings, output_tokens=240, prompt_tokens=6000, requests=60)
    assert found(made) == []
    made.samples.clear()
    made.healthy_side()
    report(made, readings[::2], output_tokens=999)  # no reading between the two
    assert found(made) == []


def test_a_try_that_broke_off_took_tokens_that_nobody_knows(made: Any) -> None:
    load(made)
    made.add_failed(20.5)
    report(made, output_tokens=170, prompt_tokens=3100, requests=31)
    assert [f.code for f in found(made)] == ["errors"]
    made.samples.clear()
    made.healthy_side()
    report(made, output_tokens=60, prompt_tokens=3100, requests=31)
    assert [f.code for f in found(made)] == ["server_tokens", "errors"]


def test_a_kept_connection_that_was_closed_took_nothing(made: Any, make_attempt: Any) -> None:
    load(made)
    closed = make_attempt(20.5, outcome="error", error_phase="headers", error_kind="early_close")
    closed = msgspec.structs.replace(closed, http_status=None, tokens=Tokens(), event_ns=[])
    again = make_attempt(20.6, number=1)
    made.add(20.5, closed, again)
    report(made, output_tokens=180, prompt_tokens=3100, requests=31)
    assert [f.code for f in found(made)] == ["server_tokens", "stale_connections"]


def test_a_request_whose_end_is_not_known_leaves_nothing_to_compare(made: Any) -> None:
    load(made)
    made.add(34.5, facts={"ended": None}, outcome="interrupted")
    report(made, output_tokens=999)
    assert "server_tokens" not in [f.code for f in found(made)]


def test_a_counter_that_began_anew_says_nothing(made: Any) -> None:
    load(made)
    report(made, ((2.0, 0.0), (20.0, -0.5), (40.0, 1.0)), output_tokens=999)
    assert found(made) == []


def test_counts_without_usage_are_not_compared(made: Any) -> None:
    tokens = Tokens(prompt=None, output=4, streamed=4, output_from="events", streamed_from="events")
    report(load(made, tokens=tokens), output_tokens=999)
    assert found(made) == []


def test_what_others_asked_is_told_from_tokens_that_disagree(made: Any) -> None:
    report(load(made), output_tokens=180, prompt_tokens=4500, requests=45)
    [finding] = found(made)
    assert (finding.code, finding.severity, finding.stage) == ("foreign_load", "degraded", 0)
    assert finding.value == pytest.approx(15 / 45)
    assert finding.message == (
        "the server ended 45 requests and 30 were sent to it here: 15 came from others"
    )


def test_a_server_that_ended_fewer_is_not_shared(made: Any) -> None:
    report(load(made), **AGREES | {"requests": 29})
    assert found(made) == []


def test_a_cold_run_that_the_engine_had_in_its_cache(made: Any) -> None:
    made.scenario = {"workload": {"cache": "cold"}}
    report(load(made), **AGREES, prefix_cache_queries=3000, prefix_cache_hits=2400)
    [finding] = found(made)
    assert finding.code == "cache_state"
    assert finding.value == pytest.approx((2400 - 64 * 30) / 3000)
    assert finding.message == "the server found 16.0% of prompt tokens in its cache in a cold run"


@pytest.mark.parametrize(("state", "hits"), [("cold", 64 * 30), ("natural", 3000), ("warm", 10)])
def test_a_prefix_cache_in_the_state_that_was_asked_for(state: str, hits: int, made: Any) -> None:
    made.scenario = {"workload": {"cache": state}}
    report(load(made, tokens=Tokens()), prefix_cache_queries=3000, prefix_cache_hits=hits)
    assert [f.code for f in found(made)] == []


def test_a_primed_cache_that_is_never_hit_is_noted(made: Any) -> None:
    made.scenario = {"workload": {"cache": "warm"}}
    report(load(made, tokens=Tokens()), prefix_cache_queries=3000, prefix_cache_hits=0)
    [finding] = found(made)
    assert (finding.code, finding.severity) == ("cache_state", "note")


def test_another_targets_engine_is_not_this_ones(made: Any) -> None:
    load(made)
    for at, value in ((2.0, 0.0), (40.0, 999.0)):
        own = OWN | {"subject": "shared_host", "device": "engine:other"}
        made.sample(at, value, "engine_output_tokens_total", **own)
    assert found(made) == []
