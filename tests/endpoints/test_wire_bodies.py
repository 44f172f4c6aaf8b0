"""The request bodies of each wire: known bodies, the openai package's own types, and the nonce's place.

The Messages bodies follow platform.claude.com/docs/en/api/messages and /en/api/openai-sdk.
"""

import json
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError

from observatory.core.plan import NONCE_SENTINEL, PlanItem
from observatory.core.targets.url import UrlTarget
from observatory.wires.requests_body import render
from observatory.wires.wires import WireName
from tests.endpoints.test_requests_body import NONCE, connection, item

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a place",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
    },
}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Where is this?"}, PICTURE]},
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"place":"Bern"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
    {"role": "user", "content": "So?"},
]
SETTINGS = {"temperature": 0.0, "top_p": 0.9, "tools": [WEATHER], "seed": 7, "max_tokens": 99}
TYPES: dict[str, Any] = {
    "openai": CompletionCreateParamsStreaming,
    "responses": ResponseCreateParamsStreaming,
}


def sent(
    body: dict[str, Any], wire: WireName, *, cache: Any = "natural", **options: Any
) -> dict[str, Any]:
    """The body as it leaves, with a nonce in its place where it is cold."""
    before, after = render(
        item(body), connection(wire=wire, **options), request="chat", stream=True, cache=cache
    )
    whole: dict[str, Any] = json.loads(before + NONCE + after if after else before)
    return whole


@pytest.mark.parametrize("wire", ["openai", "responses"])
def test_the_openai_package_takes_the_body_for_its_own(wire: WireName) -> None:
    stop = {"stop": ["END"]} if wire == "openai" else {}
    body = sent(
        {"messages": TALK, **SETTINGS, **stop, "tool_choice": "auto", "reasoning_effort": "low"},
        wire,
        service_tier="flex",
    )
    kind = TYPES[wire]
    assert set(body) <= set(get_type_hints(kind))
    adapter = TypeAdapter(kind)
    # Iterables are validated as they are gone through.
    adapter.dump_python(adapter.validate_python(body), warnings="error")


def test_a_responses_body() -> None:
    body = sent(
        {"messages": TALK, **SETTINGS, "reasoning_effort": "low"},
        "responses",
        reasoning_effort="high",
    )
    assert body == {
        "input": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Where is this?"},
                    {
                        "type": "input_image",
                        "image_url": "data:image/png;base64,aGk=",
                        "detail": "auto",
                    },
                ],
            },
            {"role": "assistant", "content": "Let me look."},
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "get_weather",
                "arguments": '{"place":"Bern"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "Sunny"},
            {"role": "user", "content": "So?"},
        ],
        "model": "m",
        "temperature": 0.0,
        "top_p": 0.9,
        "max_output_tokens": 7,
        "tools": [{"type": "function", **WEATHER["function"], "strict": False}],  # type: ignore[dict-item]
        "reasoning": {"effort": "high"},
        "store": False,
        "stream": True,
    }


def test_a_shape_of_answer_is_a_text_format_there() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True}
    body = sent(
        {
            "messages": TALK[-1:],
            "response_format": {"type": "json_schema", "json_schema": schema},
            "verbosity": "low",
        },
        "responses",
    )
    assert body["text"] == {"format": {"type": "json_schema", **schema}, "verbosity": "low"}


def test_a_messages_body() -> None:
    body = sent(
        {"messages": TALK, **SETTINGS, "stop": ["END"], "tool_choice": "required"}, "messages"
    )
    assert body == {
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where is this?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "aGk="},
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me look."},
                    {
                        "type": "tool_use",
                        "id": "call_1",
                        "name": "get_weather",
                        "input": {"place": "Bern"},
                    },
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "Sunny"}],
            },
            {"role": "user", "content": "So?"},
        ],
        "model": "m",
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "tools": [
            {
                "name": "get_weather",
                "description": "The weather in a place",
                "input_schema": WEATHER["function"]["parameters"],  # type: ignore[index]
            }
        ],
        "tool_choice": {"type": "any"},
        "stream": True,
    }


def test_system_messages_are_hoisted_together() -> None:
    talk = [{"role": "system", "content": "A"}, TALK[-1], {"role": "developer", "content": "B"}]
    assert sent({"messages": talk}, "messages")["system"] == "A\nB"
    talk[2] = {"role": "system", "content": [{"type": "text", "text": "B"}]}
    assert sent({"messages": talk}, "messages")["system"] == [
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B"},
    ]


def test_effort_is_adaptive_thinking_and_none_disables_it() -> None:
    plain = {"messages": TALK[-1:]}
    body = sent(plain | {"reasoning_effort": "low"}, "messages", reasoning_effort="max")
    assert body["thinking"] == {"type": "adaptive"} and body["output_config"] == {"effort": "max"}
    assert "reasoning_effort" not in body
    off = sent(plain | {"reasoning_effort": "none", "temperature": 0.0}, "messages")
    assert off["thinking"] == {"type": "disabled"} and "output_config" not in off


def budget(tokens: int) -> dict[str, Any]:
    return {"extra_body": {"thinking": {"type": "enabled", "budget_tokens": tokens}}}


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        ({"reasoning_effort": "minimal"}, {}, "knows no reasoning effort 'minimal'"),
        ({"reasoning_effort": "low", "temperature": 0.0}, {}, "no temperature and no top_k"),
        ({"reasoning_effort": "low", "top_p": 0.5}, {}, "top_p from 0.95 to 1"),
        ({"reasoning_effort": "low", "tool_choice": "required"}, {}, "forces no tool call"),
        ({}, budget(1024), "budget_tokens is 1024.*less than max_tokens, which is 7"),
        ({}, budget(5), "takes 1024 or more"),
        ({"tool_choice": "maybe"}, {}, "knows no tool_choice 'maybe'"),
    ],
)
def test_what_the_messages_api_would_refuse_is_refused_before(
    fields: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        sent({"messages": TALK[-1:], **fields}, "messages", **options)


def test_a_budget_below_the_limit_goes_out() -> None:
    plan_item = PlanItem(
        "p", "", {"messages": TALK[-1:]}, max_tokens=4096, prompt_tokens_estimate=1
    )
    body, _ = render(
        plan_item,
        connection(wire="messages", **budget(2048)),
        request="chat",
        stream=True,
        cache="natural",
    )
    assert json.loads(body)["thinking"] == {"type": "enabled", "budget_tokens": 2048}


def test_what_a_wire_cannot_say_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no stop sequences"):
        sent({"messages": TALK[-1:], "stop": ["END"]}, "responses")
    with pytest.raises(ValueError, match="takes no completions requests"):
        render(
            item({"prompt": "x"}),
            connection(wire="messages"),
            request="completions",
            stream=True,
            cache="natural",
        )
    with pytest.raises(ValueError, match="not the system's"):
        sent({"messages": TALK[:1]}, "messages")
    with pytest.raises(ValueError, match="a part of type 'input_audio'"):
        sent({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages")
    with pytest.raises(ValueError, match="a tool of type 'custom'"):
        sent({"messages": TALK[-1:], "tools": [{"type": "custom"}]}, "responses")


@pytest.mark.parametrize("wire", ["openai", "responses", "messages"])
def test_refused_fields_are_left_out_and_extra_body_has_the_last_word(wire: WireName) -> None:
    body = sent(
        {"messages": TALK[-1:], **SETTINGS},
        wire,
        omitted=["temperature", "seed", "top_p"],
        service_tier="priority",
        extra_body={"top_p": 0.3, "metadata": {"a": "b"}, "tools": None},
    )
    assert "temperature" not in body and "seed" not in body and "tools" not in body
    assert (body["top_p"], body["metadata"], body["service_tier"]) == (0.3, {"a": "b"}, "priority")


@pytest.mark.parametrize("name", ["input", "instructions", "system", "max_output_tokens"])
def test_extra_body_must_not_touch_what_a_wire_asks(name: str) -> None:
    with pytest.raises(ValidationError, match=f"must not set {name}:"):
        UrlTarget(kind="url", name="t", url="http://h/v1", extra_body={name: 1})


CONTENT = st.one_of(
    st.text(), st.sampled_from([NONCE_SENTINEL, f'"{NONCE_SENTINEL}', '"\\u0001NONCE\\u0001'])
)


@given(
    wire=st.sampled_from(["responses", "messages"]),
    system=st.booleans(),
    parts=st.booleans(),
    text=CONTENT,
    tool=CONTENT,
)
def test_the_nonce_opens_what_is_asked_and_all_before_it_is_fixed(
    wire: WireName, system: bool, parts: bool, text: str, tool: str
) -> None:
    opening: Any = f"{NONCE_SENTINEL}\n{text}"
    if parts:
        opening = [
            {"type": "text", "text": f"{NONCE_SENTINEL}\n"},
            {"type": "text", "text": text},
        ]
    talk = [{"role": "user", "content": opening}]
    if system:
        talk = [{"role": "system", "content": opening}, {"role": "user", "content": text}]
    function = {"name": "f", "description": tool, "parameters": {"type": "object"}}
    plan_item = item({"messages": talk, "tools": [{"type": "function", "function": function}]})
    before, after = render(
        plan_item, connection(wire=wire), request="chat", stream=True, cache="cold"
    )
    body = json.loads(before + NONCE + after)
    first = body.get("system") or body.get("messages", body.get("input"))[0]["content"]
    stated = "".join(part["text"] for part in first) if isinstance(first, list) else first
    assert stated == f"{NONCE.decode()}\n{text}"
    # Nothing of this item precedes its nonce, so that no prefix can be the same by chance.
    assert len(before) <= len(
        '{"messages":[{"role":"system","content":[{"type":"input_text","text":"'
    )
    described = body["tools"][0]
    assert described["description"] == tool
