"""What a worker sends: known bodies, then that no text can move the nonce."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from observatory.core.connection import Connection
from observatory.core.plan import NONCE_SENTINEL, PlanItem
from observatory.core.targets.url import UrlTarget
from observatory.wires.requests_body import model_of, render

NONCE = b"0123456789abcdef"


def connection(**options: Any) -> Connection:
    return Connection(
        scheme="http", host="127.0.0.1", port=8000, base_path="/v1", model="m", **options
    )


def item(body: dict[str, Any], max_tokens: int = 7) -> PlanItem:
    return PlanItem(
        prompt_id="p1", sha256="0" * 64, body=body, max_tokens=max_tokens, prompt_tokens_estimate=1
    )


def chat(text: str, **fields: Any) -> PlanItem:
    return item({"messages": [{"role": "user", "content": text}], **fields})


def test_a_cold_chat_body_is_cut_where_the_nonce_goes() -> None:
    before, after = render(
        chat(NONCE_SENTINEL + "\nhello", temperature=0.0, max_tokens=99),
        connection(),
        request="chat",
        stream=True,
        cache="cold",
    )
    assert json.loads(before + NONCE + after) == {
        "messages": [{"role": "user", "content": "0123456789abcdef\nhello"}],
        "model": "m",
        "temperature": 0.0,
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_natural_body_is_whole() -> None:
    before, after = render(
        chat("hello"), connection(), request="chat", stream=False, cache="natural"
    )
    assert after == b""
    assert json.loads(before) == {
        "messages": [{"role": "user", "content": "hello"}],
        "model": "m",
        "max_tokens": 7,
        "stream": False,
    }


def test_the_targets_dialect_names_the_limit_and_leaves_usage_out() -> None:
    dialect = connection(max_tokens_field="max_completion_tokens", stream_usage=False)
    body = json.loads(render(chat("x"), dialect, request="chat", stream=True, cache="natural")[0])
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body
    assert "stream_options" not in body
    completion = item({"prompt": "x"})
    body = json.loads(
        render(completion, dialect, request="completions", stream=True, cache="natural")[0]
    )
    assert body["max_tokens"] == 7
    assert body["prompt"] == "x"


def test_the_target_wins_over_the_item_and_extra_body_over_both() -> None:
    target = connection(
        reasoning_effort="low",
        extra_body={
            "temperature": None,
            "stream_options": {"continuous_usage_stats": True},
            "chat_template_kwargs": {"enable_thinking": False},
        },
    )
    body = json.loads(
        render(
            chat("x", temperature=0.0, reasoning_effort="high"),
            target,
            request="chat",
            stream=True,
            cache="natural",
        )[0]
    )
    assert body["reasoning_effort"] == "low"
    assert "temperature" not in body
    assert body["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


def test_extra_body_must_not_touch_what_records_and_caps_rest_on() -> None:
    with pytest.raises(ValidationError, match="must not set max_tokens, n:"):
        UrlTarget(kind="url", name="t", url="http://h/v1", extra_body={"n": 4, "max_tokens": 1})


def test_models_are_asked_in_turn_and_a_warmed_item_keeps_its_own() -> None:
    several = connection(models=["a", "b", "m"])
    turns = [(index, 7 - index) for index in range(4)]
    for cache, expected in (("cold", "abma"), ("natural", "abma"), ("warm", "bamb")):
        requested = [model_of(several, index=i, place=p, cache=cache) for i, p in turns]  # type: ignore[arg-type]
        assert "".join(requested) == expected
    assert model_of(connection(), index=5, place=1, cache="cold") == "m"
    body, _ = render(
        chat("hello"), several, request="chat", stream=True, cache="natural", model="b"
    )
    assert json.loads(body)["model"] == "b"


def test_an_item_that_does_not_fit_is_our_bug() -> None:
    with pytest.raises(ValueError, match="has no prompt"):
        render(chat("x"), connection(), request="completions", stream=True, cache="natural")
    with pytest.raises(ValueError, match="nothing in it opens with the nonce"):
        render(chat("x"), connection(), request="chat", stream=True, cache="cold")


@given(
    text=st.one_of(
        st.text(),
        st.sampled_from(
            [
                NONCE_SENTINEL,
                f'"{NONCE_SENTINEL}',
                '"\\u0001NONCE\\u0001',
                f'\\"{NONCE_SENTINEL}"',
            ]
        ),
    ),
    extra=st.text(),
)
def test_no_text_moves_the_nonce(text: str, extra: str) -> None:
    plan_item = item(
        {
            "messages": [
                {"role": "system", "content": NONCE_SENTINEL + text},
                {"role": "user", "content": text},
            ]
        }
    )
    before, after = render(
        plan_item, connection(extra_body={"x": extra}), request="chat", stream=True, cache="cold"
    )
    body = json.loads(before + NONCE + after)
    assert body["messages"][0]["content"] == NONCE.decode() + text
    assert body["messages"][1]["content"] == text
    assert body["x"] == extra
