"""Each wire's paths and fixed headers, and that what is sent and what is shown agree on them."""

import msgspec
import pytest

from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.endpoints.check import would_send
from observatory.load.connections.endpoint import make_endpoint
from observatory.wires.wires import WIRES, RequestKind, WireName, fixed_headers, path_of

OPENAI = Connection(scheme="https", host="api.test", port=443, base_path="/v1", model="m")


def speaking(wire: WireName, **more: object) -> Connection:
    return msgspec.structs.replace(OPENAI, wire=wire, **more)


@pytest.mark.parametrize(
    ("wire", "request_kind", "path"),
    [
        ("openai", "chat", "/chat/completions"),
        ("openai", "completions", "/completions"),
        ("responses", "chat", "/responses"),
        ("messages", "chat", "/messages"),
    ],
)
def test_a_request_goes_to_its_wires_path(
    wire: WireName, request_kind: RequestKind, path: str
) -> None:
    connection = speaking(wire)
    assert path_of(connection, request_kind) == path
    endpoint = make_endpoint(connection, new_anchor(), request=request_kind, stream=True)
    assert endpoint.head.startswith(f"POST /v1{path} HTTP/1.1\r\n".encode())
    if request_kind == "chat":
        assert would_send(connection).startswith(f"POST https://api.test/v1{path}\n")


@pytest.mark.parametrize("wire", ["responses", "messages"])
def test_completions_have_no_path_on_wires_that_only_chat(wire: WireName) -> None:
    with pytest.raises(ValueError, match=f"{WIRES[wire].title} takes no completions requests"):
        path_of(speaking(wire), "completions")


def test_messages_say_their_version_unless_the_target_says_another() -> None:
    plain = speaking("messages")
    assert fixed_headers(plain, {}) == {"anthropic-version": "2023-06-01"}
    head = make_endpoint(plain, new_anchor(), request="chat", stream=True).head
    assert b"\r\nanthropic-version: 2023-06-01\r\n" in head
    assert "\nanthropic-version: 2023-06-01\n" in would_send(plain)
    own = speaking("messages", headers={"Anthropic-Version": "2099-01-01"})
    head = make_endpoint(own, new_anchor(), request="chat", stream=True).head
    assert head.lower().count(b"anthropic-version") == 1 and b"2099-01-01" in head
    assert would_send(own).lower().count("anthropic-version") == 1
    assert fixed_headers(OPENAI, {}) == {}
