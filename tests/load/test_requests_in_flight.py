"""The same seed sends the same bytes in the same order, for any split over users."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.plan import nonce
from observatory.core.worst_case import TEMPLATE_TOKENS
from observatory.load.in_flight import RequestSource
from tests.load.stages import cold_item, make_handoff

ITEMS = [cold_item(f"item {number}") for number in range(7)]


def bodies(seed: int, indices: list[int]) -> list[bytes]:
    handoff = msgspec.structs.replace(
        make_handoff(Path("unused"), 1, ITEMS, stage={"kind": "closed"}), seed=seed, cache="cold"
    )
    turns = RequestSource(handoff)
    return [b"".join(turns.make(index).body) for index in indices]


@given(seed=st.integers(0, 2**40), indices=st.lists(st.integers(0, 50), max_size=20))
def test_a_body_is_a_function_of_seed_and_index(seed: int, indices: list[int]) -> None:
    assert bodies(seed, indices) == [bodies(seed, [index])[0] for index in indices]


def test_each_round_asks_every_item_once_with_its_own_nonce() -> None:
    sent = bodies(3, list(range(21)))
    assert len(set(sent)) == 21
    for start in (0, 7, 14):
        requested = [
            msgspec.json.decode(body)["messages"][0]["content"] for body in sent[start : start + 7]
        ]
        assert sorted(text[16:] for text in requested) == sorted(f"item {n}" for n in range(7))
    assert nonce(3, 0, 5).encode() in sent[5]


def test_the_worst_case_of_a_prompt_is_its_bytes_and_what_a_template_adds() -> None:
    in_flight = RequestSource(make_handoff(Path("unused"), 1, [cold_item("grüezi")])).make(0)
    assert in_flight.worst_prompt_tokens == len(b"".join(in_flight.body)) + TEMPLATE_TOKENS
    assert in_flight.worst_output_tokens == 16
