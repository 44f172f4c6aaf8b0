"""What a body is, by how it begins; and where a redirect leads."""

import pytest

from tests.endpoints.wire_streams import chunked, delta, event, head, read

DOCUMENT = b'{"choices": [{"index": 0, "message": {"content": "one"}, "finish_reason": "stop"}]}'
EVENTS = [event(delta(content="one")), event(delta(finish_reason="stop")), event("[DONE]")]


@pytest.mark.parametrize("coding", ["utf-8", "gzip", "br"])
@pytest.mark.parametrize("pieces", [EVENTS, [DOCUMENT]], ids=["stream", "document"])
def test_a_body_that_is_text_is_read_whatever_its_content_encoding(
    coding: str, pieces: list[bytes]
) -> None:
    """agentgateway leaves br on what it decompressed (its issue 3040); others write a charset there."""
    reads = [head("Transfer-Encoding: chunked", f"Content-Encoding: {coding}"), *chunked(pieces)]
    answer = read(reads)
    assert (answer.attempt.outcome, answer.text) == ("ok", "one")


@pytest.mark.parametrize("lines", [1, 255, 256, 5_000])
@pytest.mark.parametrize("streaming", [True, False])
def test_blank_lines_before_a_whole_answer_are_passed_over(lines: int, streaming: bool) -> None:
    """DeepSeek sends one a second until the answer begins (api-docs.deepseek.com, "Rate Limit")."""
    reads = [
        head("Transfer-Encoding: chunked", kind="application/json"),
        *chunked([b"\n" * lines, DOCUMENT]),
    ]
    answer = read(reads, streaming=streaming)
    assert (answer.attempt.outcome, answer.text, answer.attempt.streamed) == ("ok", "one", False)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/other/v1/chat/completions", "it redirects to /other/v1/chat/completions"),
        ("https://u:pw@h.example:8443/v1/x?key=1#f", "it redirects to https://h.example:8443/v1/x"),
        ("//h.example/v1", "it redirects to //h.example/v1"),
        ("http://[", "it redirects to something that is no URL"),
        ("", "no"),
    ],
)
def test_a_redirect_is_told_with_its_address_and_without_secrets(location: str, words: str) -> None:
    raw = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 2\r\n\r\nno"
    attempt = read([raw.encode()]).attempt
    assert attempt.outcome == "error"
    assert attempt.error_text == f"HTTP 307: {words}"


def test_a_sent_key_in_a_location_is_masked() -> None:
    raw = "HTTP/1.1 302 Found\r\nLocation: /login/canary-7f3a91c5/x\r\nContent-Length: 0\r\n\r\n"
    attempt = read([raw.encode()], secrets=["canary-7f3a91c5"]).attempt
    assert attempt.error_text == "HTTP 302: it redirects to /login/***/x"
