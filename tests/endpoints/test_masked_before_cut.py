"""A secret is masked before a text is cut, so that the cut leaves no part of it that is not found any more."""

from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.connect.masking import Masker, cut_between_words
from observatory.core.record import Attempt
from observatory.processes.server_log import ServerLog
from observatory.wires.streams.proxy_answer import ProxyAnswer
from observatory.wires.wire import ERROR_TEXT_LIMIT
from tests.endpoints.wire_streams import delta, event, head, read, stream

KEY = "k9-abcdefghij-1234"
"""18 characters: too short to be found by a part of it."""
LONG_KEY = "sx" + KEY * 6
DONE = b"data: [DONE]\n\n"


def piece_of(key: str, text: str) -> str | None:
    """A piece of the key in a text."""
    pieces = (key[at : at + 6] for at in range(len(key) - 6))
    return next((piece for piece in pieces if piece in text), None)


def odd(message: str) -> list[bytes]:
    return stream([event(delta(content="a", finish_reason="stop")), event(f": {message}"), DONE])


def refused(message: str) -> list[bytes]:
    return [head(f"Content-Length: {len(message)}", status="500 No") + message.encode()]


def no_json(message: str) -> list[bytes]:
    return stream([event(f'{{"x": "{message}'), DONE])


def no_http(message: str) -> list[bytes]:
    return [f"{message}\r\n\r\n".encode()]


def bad_length(message: str) -> list[bytes]:
    return [head(f"Content-Length: {message}")]


def error_event(message: str) -> list[bytes]:
    return stream([event({"error": {"message": message}}), DONE])


def finish(message: str) -> list[bytes]:
    return stream([event(delta(content="a", finish_reason=message)), DONE])


def limits(message: str) -> list[bytes]:
    return stream([DONE], f"x-ratelimit-limit: {message}", f"x-request-id: {message}")


PLACES = [odd, refused, no_json, no_http, bad_length, error_event, finish, limits]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", [KEY, LONG_KEY])
def test_no_cut_leaves_a_part_of_a_key(place: Callable[[str], list[bytes]], key: str) -> None:
    for before in (*range(15, 45, 3), *range(180, 202, 3), *range(ERROR_TEXT_LIMIT - 60, 302, 6)):
        attempt: Attempt = read(place("x" * before + key + "z" * 50), secrets=[key]).attempt
        assert piece_of(key, str(attempt)) is None, before
        assert "xxx" in str(attempt)


@pytest.mark.parametrize("place", [refused, no_json, odd])
def test_masking_shortens_a_text_and_still_leaves_no_part(
    place: Callable[[str], list[bytes]],
) -> None:
    for before in range(0, len(LONG_KEY), 7):
        attempt = read(place("x" * before + LONG_KEY * 60), secrets=[LONG_KEY]).attempt
        assert piece_of(LONG_KEY, str(attempt)) is None


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        ("short", 5, "short"),
        ("two words", 5, "two ..."),
        ("two words", 3, "two ..."),
        ("two words", 4, "two ..."),
        ("endless", 3, "..."),
        ("a b c", 3, "a b ..."),
    ],
)
def test_a_text_is_cut_between_its_words(text: str, most: int, cut: str) -> None:
    assert cut_between_words(text, most) == cut


def test_the_last_words_of_a_log_and_a_proxys_reason_end_between_words(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    for before in (580, 590, 599):
        log.write_text(f"{'x' * before} {KEY} more\n")
        stated = Masker([KEY]).exact(ServerLog(log, 0).last_words())
        assert piece_of(KEY, stated) is None
    answer = ProxyAnswer()
    answer.feed(f"HTTP/1.1 407 {'x' * 90} {KEY}\r\n\r\n".encode())
    fault = answer.fault()
    assert fault is not None and piece_of(KEY, fault.text) is None and "407" in fault.text
