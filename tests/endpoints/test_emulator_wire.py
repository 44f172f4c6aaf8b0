"""The emulator's side of the wire: what it understands, and the bytes of an answer."""

import json
from typing import Any

import pytest

from observatory.emulator.requests import (
    ParsedRequest,
    Reply,
    render_reply,
    understand,
)

CHAT = "/v1/chat/completions"


def parsed(
    body: Any, path: str = CHAT, method: str = "POST", **options: Any
) -> ParsedRequest | Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"model": "m", "key": None} | options
    return understand(method, path, fields.pop("authorization", ""), data, **fields)


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Two words"}]} | fields


def test_a_chat_is_understood() -> None:
    body = chat(
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=5,
        temperature=0,
        ignore_eos=True,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "image"}]},
            {"role": "assistant", "content": None},
        ],
    )
    assert parsed(body) == ParsedRequest(
        kind="chat",
        text="Be brief.\nHello\n",
        stream=True,
        include_usage=True,
        limit=5,
        fills_limit=True,
    )


def test_a_completion_is_understood() -> None:
    requested = parsed({"model": "m", "prompt": "def f():"}, "/v1/completions")
    assert requested == ParsedRequest("completions", "def f():", False, False, None, False)


def test_a_prompt_can_be_a_list_of_one_or_of_token_ids() -> None:
    for prompt, text in ((["def f():"], "def f():"), ([12, 7, 99], "12 7 99")):
        requested = parsed({"model": "m", "prompt": prompt}, "/v1/completions")
        assert isinstance(requested, ParsedRequest)
        assert requested.text == text


def test_the_newer_name_of_the_limit_wins() -> None:
    requested = parsed(chat(max_tokens=3, max_completion_tokens=9))
    assert isinstance(requested, ParsedRequest)
    assert requested.limit == 9


@pytest.mark.parametrize(
    ("status", "code", "request_"),
    [
        (400, None, {"body": b"{"}),
        (400, None, {"body": b"\xff\xfe"}),
        (400, None, {"body": {"messages": [{"role": "user", "content": "x"}]}}),
        (400, None, {"body": chat(max_tokens=0)}),
        (400, None, {"body": chat(max_tokens="many")}),
        (400, None, {"body": chat(messages=[])}),
        (400, None, {"body": chat(n=2)}),
        (400, None, {"body": chat(stream_options={"include_usage": True})}),
        (400, None, {"body": {"model": "m"}, "path": "/v1/completions"}),
        (400, None, {"body": {"model": "m", "prompt": ["a", "b"]}, "path": "/v1/completions"}),
        (404, "model_not_found", {"body": chat(model="gpt-x")}),
        (404, "model_not_found", {"body": b"", "path": "/v1/models/gpt-x", "method": "GET"}),
        (404, "unknown_url", {"body": chat(), "path": "/chat/completions"}),
        (405, None, {"body": b"", "method": "GET"}),
        (401, "invalid_api_key", {"body": chat(), "key": "right"}),
        (401, "invalid_api_key", {"body": chat(), "key": "right", "authorization": "Bearer no"}),
    ],
)
def test_what_is_refused(status: int, code: str | None, request_: dict[str, Any]) -> None:
    reply = parsed(**request_)
    assert isinstance(reply, Reply)
    assert reply.status == status
    error = json.loads(reply.body)["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["type"] == "invalid_request_error"


def test_the_right_key_is_taken() -> None:
    assert isinstance(parsed(chat(), key="right", authorization="Bearer right"), ParsedRequest)


def test_models_are_listed_and_health_needs_no_key() -> None:
    listed = parsed(b"", "/v1/models", "GET")
    assert isinstance(listed, Reply)
    assert [model["id"] for model in json.loads(listed.body)["data"]] == ["m"]
    one = parsed(b"", "/v1/models/m", "GET")
    assert isinstance(one, Reply)
    assert json.loads(one.body)["id"] == "m"
    health = parsed(b"", "/health", "GET", key="right")
    assert isinstance(health, Reply)
    assert health.status == 200


def test_a_replys_length_is_told() -> None:
    data = render_reply(Reply(200, b"{}", (("x", "y"),)))
    assert data.endswith(b"\r\n\r\n{}")
    assert b"content-length: 2\r\n" in data
    assert b"x: y\r\n" in data
