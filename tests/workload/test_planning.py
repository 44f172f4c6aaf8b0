"""Plans: reproducible, cold where configured, bounded; bodies as they will be sent."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.connection import Connection
from observatory.core.errors import BadInput
from observatory.core.plan import NONCE_SENTINEL, Plan, nonce, plan_sha256
from observatory.core.scenario import Scenario
from observatory.wires.requests_body import render
from observatory.workload.planning import MAX_OPEN_REQUESTS, make_plan
from observatory.workload.tasks import load_tasks

TICKETS = {"kind": "tasks", "tasks": ["support-tickets"]}


def _plan(folder: Path = Path(), **fields: Any) -> Plan:
    return make_plan(_scenario(**fields), folder)


def _scenario(**fields: Any) -> Scenario:
    given_fields = {
        "name": "mine",
        "workload": TICKETS,
        "arrivals": {"kind": "closed"},
        "stages": [{"concurrency": 2}],
        **fields,
    }
    return Scenario.model_validate_json(json.dumps(given_fields), strict=True)


def _file(folder: Path, *rows: dict[str, Any], **workload: Any) -> Plan:
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return _plan(folder, workload={"kind": "file", "path": "mine.jsonl", **workload})


def test_task_items_become_bodies_with_the_scenarios_settings() -> None:
    plan = _plan(
        workload={
            **TICKETS,
            "cache": "natural",
            "max_tokens": 16,
            "sampling": {"temperature": 0.5, "top_p": 0.9, "seed": 3, "stop": ["\n"]},
            "reasoning_effort": "low",
        }
    )
    task = load_tasks("support-tickets")[0]
    item = plan.items[0]
    assert item.body == {
        "messages": [{"role": "user", "content": task.prompt}],
        "max_tokens": 16,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": ["\n"],
        "reasoning_effort": "low",
    }
    assert (item.prompt_id, item.task) == (task.id, "support-tickets")
    assert (item.expected, item.scorer, item.labels) == (task.expected, task.scorer, task.labels)
    assert len(plan.items) == len(load_tasks("support-tickets"))


def test_what_is_not_set_is_not_sent() -> None:
    plan = _plan(workload={**TICKETS, "cache": "natural", "sampling": {"temperature": None}})
    assert set(plan.items[0].body) == {"messages", "max_tokens"}
    assert plan.items[0].max_tokens == load_tasks("support-tickets")[0].max_tokens


def test_a_cold_prompt_opens_with_the_nonce_and_is_known_without_it() -> None:
    cold, natural = _plan(), _plan(workload={**TICKETS, "cache": "natural"})
    for one, other in zip(cold.items, natural.items, strict=True):
        opened = one.body["messages"][0]["content"]
        assert opened == f"{NONCE_SENTINEL}\n{other.body['messages'][0]['content']}"
        assert (one.prompt_id, one.sha256) == (other.prompt_id, other.sha256)
        body = msgspec.json.encode(other.body, order="deterministic")
        assert one.sha256 == hashlib.sha256(body).hexdigest()
        assert one.prompt_tokens_estimate > other.prompt_tokens_estimate
    assert cold.items_sha256 == natural.items_sha256
    assert cold.comparison_key != natural.comparison_key


def test_a_system_message_is_first_and_gets_the_nonce() -> None:
    plan = _plan(workload={**TICKETS, "system": "Be brief."})
    system, user = plan.items[0].body["messages"]
    assert system == {"role": "system", "content": f"{NONCE_SENTINEL}\nBe brief."}
    assert NONCE_SENTINEL not in user["content"]


def test_a_first_message_of_parts_gets_the_nonce_as_a_part(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    plan = _file(tmp_path, {"messages": [{"role": "user", "content": [image]}]})
    assert plan.items[0].body["messages"][0]["content"] == [
        {"type": "text", "text": f"{NONCE_SENTINEL}\n"},
        image,
    ]


@pytest.mark.parametrize("request_type", ["chat", "completions"])
@pytest.mark.parametrize("system", [None, "Be brief."])
def test_rendered_cold_requests_share_no_prefix_beyond_the_template(
    request_type: str, system: str | None
) -> None:
    plan = _plan(workload={**TICKETS, "request": request_type, "system": system})
    connection = Connection(scheme="http", host="h", port=1, base_path="/v1", model="m")
    openings = set()
    for index, item in enumerate(plan.items):
        before, after = render(
            item, connection, request=plan.request, stream=True, cache=plan.cache
        )
        body = json.loads(before + nonce(plan.seed, 0, index).encode() + after)
        text = body["prompt"] if "prompt" in body else body["messages"][0]["content"]
        openings.add(text[:12])
    assert len(openings) == len(plan.items)


def test_a_warm_cache_is_primed_by_a_stage_of_its_own() -> None:
    warm = _plan(workload={**TICKETS, "cache": "warm"}, stages=[{"concurrency": 1}] * 2)
    assert [(stage.index, stage.kind) for stage in warm.stages] == [
        (0, "prime"),
        (1, "closed"),
        (2, "closed"),
    ]
    assert warm.stages[0].concurrency == 1
    assert warm.stages[0].steady_s == warm.stages[0].warmup_s == 0
    assert NONCE_SENTINEL not in str(warm.items)


def test_priming_does_not_move_the_arrivals() -> None:
    opened = {"arrivals": {"kind": "poisson"}, "stages": [{"rate": "2/s"}, {"rate": "4/s"}]}
    warm = _plan(workload={**TICKETS, "cache": "warm"}, **opened)
    cold = _plan(**opened)
    assert [s.offsets_ns for s in warm.stages[1:]] == [s.offsets_ns for s in cold.stages]


def test_stages_carry_their_times_and_levels() -> None:
    plan = _plan(
        arrivals={"kind": "constant", "max_in_flight": 9},
        stages=[{"rate": "2/s"}, {"rate": "1/s", "timing": {"warmup": "1s", "steady": "4s"}}],
        timing={"warmup": "500ms", "steady": "2s", "drain": "3s"},
    )
    first, second = plan.stages
    assert (first.warmup_s, first.steady_s, first.drain_s) == (0.5, 2.0, 3.0)
    assert (first.rate_per_s, first.max_in_flight, first.concurrency) == (2.0, 9, None)
    assert first.offsets_ns == [0, 500_000_000, 1_000_000_000, 1_500_000_000, 2_000_000_000]
    assert (second.warmup_s, second.steady_s) == (1.0, 4.0)
    assert second.offsets_ns == [number * 10**9 for number in range(5)]
    closed = _plan(arrivals={"kind": "closed", "think_time": "250ms"}).stages[0]
    assert (closed.think_time_s, closed.concurrency, closed.offsets_ns) == (0.25, 2, None)


def test_a_completions_task_is_a_plain_prompt_with_a_cue() -> None:
    plan = _plan(workload={"kind": "tasks", "tasks": ["code"], "request": "completions",
                           "cache": "natural", "system": "You know Python."})  # fmt: skip
    task = load_tasks("code")[0]
    assert plan.items[0].body["prompt"] == f"You know Python.\n\n{task.prompt}\n\nAnswer:"
    assert "messages" not in plan.items[0].body


def test_a_conversation_is_sent_as_it_stands_under_the_scenarios_system(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
             {"role": "user", "content": "c"}]  # fmt: skip
    plan = _file(tmp_path, {"messages": turns}, cache="natural", system="Be brief.")
    assert plan.items[0].body["messages"] == [{"role": "system", "content": "Be brief."}, *turns]


@pytest.mark.parametrize(
    ("row", "workload", "message"),
    [
        (
            {"messages": [{"role": "user", "content": "a"}]},
            {"request": "completions"},
            "messages cannot be sent as a completions request",
        ),
        (
            {"prompt": "a", "tools": [{"type": "function"}]},
            {"request": "completions"},
            "tools cannot be sent as a completions request",
        ),
        (
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]},
            {"system": "c"},
            "the messages open with a system message and workload.system is set too",
        ),
        ({"prompt": f"a{NONCE_SENTINEL}"}, {}, "the text has the nonce's control characters"),
        (
            {"messages": [{"role": "user", "content": "\ud800"}]},
            {},
            "messages: half of a surrogate pair",
        ),
        ({"prompt": "a", "expected": 10**30}, {}, "expected: a whole number has more than 64 bits"),
    ],
)
def test_a_row_that_cannot_be_sent_is_told_with_its_line(
    tmp_path: Path, row: dict[str, Any], workload: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        _file(tmp_path, {"prompt": "fine"}, row, **workload)
    assert f"mine.jsonl:2: {message}" in str(caught.value)


def test_output_limits_come_from_the_scenario_then_the_row_then_128(tmp_path: Path) -> None:
    rows = ({"prompt": "a", "max_tokens": 9}, {"prompt": "b"})
    assert [item.max_tokens for item in _file(tmp_path, *rows).items] == [9, 128]
    assert [item.max_tokens for item in _file(tmp_path, *rows, max_tokens=5).items] == [5, 5]


def test_sensitive_rows_carry_their_mark_and_metadata_is_not_sent(tmp_path: Path) -> None:
    plan = _file(tmp_path, {"prompt": "a", "sensitive": True, "metadata": {"x": "canary"}})
    assert plan.items[0].sensitive
    assert "canary" not in str(plan)


def test_fewer_items_are_a_seeded_choice_in_the_files_order() -> None:
    def ids(seed: int) -> list[str]:
        return [item.prompt_id for item in _plan(seed=seed, workload={**TICKETS, "items": 9}).items]

    everything = [item.prompt_id for item in _plan().items]
    assert len(ids(1)) == 9
    assert ids(1) == ids(1) == sorted(ids(1), key=everything.index)
    assert ids(1) != ids(2)
    assert len(_plan(workload={**TICKETS, "items": 10_000}).items) == len(everything)


def test_a_task_set_named_twice_is_asked_once() -> None:
    doubled = {"kind": "tasks", "tasks": ["code", "code"]}
    ids = [item.prompt_id for item in _plan(workload=doubled).items]
    assert len(ids) == len(set(ids))


def test_ids_are_unique_over_all_task_sets() -> None:
    names = [
        "support-tickets",
        "extraction",
        "summarisation",
        "passage-questions",
        "code",
        "arithmetic",
    ]
    ids = [item.prompt_id for item in _plan(workload={"kind": "tasks", "tasks": names}).items]
    assert len(ids) == len(set(ids)) > 240


SYNTHETIC = {
    "kind": "synthetic",
    "items": 5,
    "prompt_tokens": {"distribution": "uniform", "low": 20, "high": 90},
    "output_tokens": {"distribution": "fixed", "tokens": 7},
    "ignore_eos": True,
}


def test_synthetic_items_ask_for_their_drawn_lengths() -> None:
    plan = _plan(workload=SYNTHETIC)
    for item in plan.items:
        assert item.max_tokens == item.body["max_tokens"] == 7
        assert item.body["ignore_eos"] is True
        text = item.body["messages"][0]["content"].removeprefix(f"{NONCE_SENTINEL}\n")
        words_and_stops = len(text.split()) + text.count(".")
        assert words_and_stops < item.prompt_tokens_estimate < words_and_stops + 40


@settings(max_examples=25, deadline=None)
@given(
    st.integers(min_value=0, max_value=2**63 - 1),
    st.sampled_from(["constant", "poisson"]),
    st.lists(st.floats(0.5, 40), min_size=1, max_size=3),
    st.sampled_from([TICKETS, SYNTHETIC, {**TICKETS, "cache": "warm", "items": 4}]),
)
def test_a_plan_is_a_function_of_scenario_and_seed(
    seed: int, kind: str, rates: list[float], workload: dict[str, Any]
) -> None:
    fields = {
        "seed": seed,
        "workload": workload,
        "arrivals": {"kind": kind},
        "stages": [{"rate": f"{rate:.3f}/s"} for rate in rates],
        "timing": {"warmup": "1s", "steady": "20s"},
    }
    first, again = _plan(**fields), _plan(**fields)
    assert first == again
    assert plan_sha256(first) == plan_sha256(again)
    other = _plan(**{**fields, "seed": (seed + 1) % 2**63})
    assert first.comparison_key != other.comparison_key
    if kind == "poisson":
        assert [s.offsets_ns for s in first.stages] != [s.offsets_ns for s in other.stages]


def test_a_plan_survives_its_journey_as_json() -> None:
    plan = _plan(arrivals={"kind": "poisson"}, stages=[{"rate": "3/s"}])
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan


def test_a_typing_error_does_not_plan_a_billion_requests() -> None:
    with pytest.raises(
        BadInput, match=rf"stages\[1\]: .* the most in one scenario is {MAX_OPEN_REQUESTS:,}"
    ):
        _plan(
            arrivals={"kind": "poisson"},
            stages=[{"rate": "1/s"}, {"rate": "50000000/s"}],
        )
    with pytest.raises(BadInput, match=r"stages\[1\]"):
        _plan(arrivals={"kind": "constant"}, stages=[{"rate": "90000/s"}, {"rate": "90000/s"}])


def test_a_steady_window_without_a_request_is_refused() -> None:
    with pytest.raises(BadInput, match=r"stages\[0\]: no request is due in the steady window"):
        _plan(arrivals={"kind": "constant"}, stages=[{"rate": "1/min"}])


def test_one_changed_answer_changes_the_comparison(tmp_path: Path) -> None:
    one = _file(tmp_path, {"id": "a", "prompt": "x", "expected": "1"})
    other = _file(tmp_path, {"id": "a", "prompt": "x", "expected": "2"})
    assert one.items[0].sha256 == other.items[0].sha256
    assert one.comparison_key != other.comparison_key
