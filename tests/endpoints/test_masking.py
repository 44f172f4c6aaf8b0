"""A secret is found in every form in which a server repeats it, and nothing else is changed."""

import base64
from collections.abc import Callable
from urllib.parse import quote

import pytest

from observatory.connect.masking import MASK, Masker
from observatory.connect.sent_secrets import hiding, masker_of
from observatory.core.connection import Connection, KeySource, resolved_headers
from observatory.core.errors import BadInput, TargetFailed
from observatory.wires.failures.prompt_echo import MARK, without_prompt
from tools.echo_server import ENCODINGS

SECRET = "sk-canary/7f3a91+c5d2=e84b60&z"
PAIR = "canary-user:pass word!%"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "sent",
    [f"Bearer {SECRET}", SECRET, f"Basic {base64.b64encode(SECRET.encode()).decode()}"],
    ids=["bearer", "bare", "inside basic"],
)
def test_a_secret_is_masked_in_every_encoding(encoding: str, sent: str) -> None:
    text = f"you sent {ENCODINGS[encoding](SECRET)}, or did you?"
    masked = Masker([sent]).exact(text)
    assert MASK in masked
    assert SECRET[:12].lower() not in masked.lower() and SECRET[-12:].lower() not in masked.lower()
    assert ENCODINGS[encoding](SECRET)[2:-2] not in masked
    assert masked.startswith("you sent ") and masked.endswith(", or did you?")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_short_secret_is_masked_too(encoding: str) -> None:
    short = "hunter2&"
    assert ENCODINGS[encoding](short)[1:-1] not in Masker([short]).exact(ENCODINGS[encoding](short))


def test_the_pair_in_basic_and_its_password_are_secrets() -> None:
    masker = Masker([f"Basic {base64.b64encode(PAIR.encode()).decode()}"])
    assert (
        masker.exact(f"{PAIR} or pass+word%21%25 or {PAIR[12:]}") == f"{MASK} or {MASK} or {MASK}"
    )


def test_a_piece_of_a_long_secret_gives_it_away() -> None:
    masker = Masker([SECRET])
    assert SECRET[:14] not in masker.exact(f"no such key: {SECRET[:14]}...")
    assert SECRET[-14:] not in masker.exact(f"no such key: ...{SECRET[-14:]}")


KEY = "sk-proj-" + "".join(
    f"{chr(97 + i * 7 % 26)}{chr(65 + i * 5 % 26)}{i % 10}" for i in range(48)
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("shown", [13, 18, 24, 40, 120])
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
@pytest.mark.parametrize("end", ["...", "\u2026", "***", " (cut)"])
def test_no_rest_of_a_part_of_a_key_is_left(
    shown: int, case: Callable[[str], str], end: str
) -> None:
    masker = Masker([f"Bearer {KEY}"])
    first = masker.exact(f"no such key: {case(KEY[:shown])}{end} at all")
    assert first in (f"no such key: {MASK}{end} at all", f"no such key: {MASK} at all")
    last = masker.exact(f"no such key: ...{case(KEY[-shown:])}, check it")
    assert last == f"no such key: ...{MASK}, check it"
    assert masker.exact(f"a {case(KEY)}{end} b") == f"a {MASK}{end} b"


def test_a_part_of_a_key_of_nineteen_characters() -> None:
    key = "Zx9-short-key-19chs"
    assert Masker([key]).exact(f"key {key[:18]}... is none") == f"key {MASK}... is none"


def test_a_part_of_an_escaped_key() -> None:
    text = f"no such key: {quote(SECRET, safe='')[:26]}... at all"
    assert Masker([SECRET]).exact(text) == f"no such key: {MASK}... at all"
    in_json = "".join(f"\\u{ord(sign):04x}" for sign in SECRET)
    assert Masker([SECRET]).exact(f'"{in_json}"') == f'"{MASK}"'
    assert Masker([SECRET]).exact(f"'{in_json.replace('u00', 'x')}'") == f"'{MASK}'"


@pytest.mark.parametrize("key", [SECRET, KEY])
@pytest.mark.parametrize("user", ["", "user:", ":", '{"key": "'])
@pytest.mark.parametrize("shown", [32, 44, 1_000])
def test_a_part_of_its_base64(key: str, user: str, shown: int) -> None:
    text = encoded(user + key)
    masked = Masker([key]).exact(f"sent: Basic {text[:shown]}... at all")
    left = -(-len(user) * 8 // 6)
    assert masked.endswith("... at all") and MASK in masked
    assert text[left : left + 6] not in masked and text[28:32] not in masked


@pytest.mark.parametrize("sign", [" ", ":", "-"])
@pytest.mark.parametrize("octets", [5, 12, 30])
def test_a_part_of_its_octets(sign: str, octets: int) -> None:
    """Node.js prints the first 50 octets of a buffer."""
    said = f"<Buffer {SECRET[:octets].encode().hex(sign)} ... 12 more bytes> at 10:20:30"
    masked = Masker([SECRET]).exact(said)
    assert masked in (
        f"<Buffer {MASK} ... 12 more bytes> at 10:20:30",
        f"<Buffer {MASK}... 12 more bytes> at 10:20:30",
    )


def test_base64_over_several_lines() -> None:
    for end in ("\n", "\r\n", "\\n"):
        text = base64.encodebytes(f"user:{KEY}".encode()).decode().strip().replace("\n", end)
        assert text.count(end) >= 2
        masked = Masker([KEY]).exact(f"sent: {text} at all")
        assert masked == f"sent: {text[:7]}{MASK} at all"


def test_a_long_text_with_many_parts_is_masked_in_linear_time() -> None:
    text = KEY[:12] + "a" * 60_000 + KEY[-12:] + ("x" * 50 + KEY[-12:]) * 200
    assert KEY[-12:] not in Masker([KEY]).exact(text)


@pytest.mark.parametrize("text", ["", "stop", "gpt-5-mini", "the key was 7 % too long \\ ok &amp;"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert Masker([SECRET, "EMPTY", "abc"]).exact(text) == text


def test_a_word_as_a_key_is_masked_as_it_is_written_only() -> None:
    assert Masker(["EMPTY"]).exact("the answer is empty: EMPTY") == f"the answer is empty: {MASK}"


def test_values_are_masked_with_the_names_of_their_fields() -> None:
    value = {SECRET: [SECRET, 1, None, {"a": (SECRET,)}]}
    assert Masker([SECRET]).values(value) == {MASK: [MASK, 1, None, {"a": [MASK]}]}


def test_all_that_a_connection_sends_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"KEY": "key-canary-1", "HEADER": "header-canary-2", "QUERY": "query-canary-3"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("http_proxy", "http://proxy-user:proxy-canary-4@one:1")
    connection = Connection(
        scheme="http", host="api.example.com", port=80, base_path="/v1", model="m",
        headers={"X-Team": "team-${HEADER}", "X-Plain": "plain"},
        query={"sig": "literal-canary-5", "v": "2024-06-01", "q": "${QUERY}"},
        key=KeySource(env="KEY"),
    )  # fmt: skip
    masker = masker_of(connection)
    for secret in (*given.values(), "proxy-canary-4", "proxy-user", "literal-canary-5"):
        assert masker.exact(f"<{secret}>") == f"<{MASK}>", secret
    assert masker.exact("plain 2024-06-01") == "plain 2024-06-01"


def test_an_error_loses_its_secrets() -> None:
    with (
        pytest.raises(TargetFailed) as caught,
        hiding(Masker([SECRET])),
    ):
        raise TargetFailed(f"it says {SECRET}", where=f"http://h/{SECRET}", fix=f"not {SECRET}")
    assert str(caught.value) == f"http://h/{MASK}: it says {MASK} — not {MASK}"
    with pytest.raises(BadInput) as plain, hiding(Masker([SECRET])):
        raise BadInput("no model")
    assert str(plain.value) == "no model"


PROMPT = "Patient Jane Roe, born 1970-02-03, complains of\n  headaches since Monday."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"HTTP 400: invalid content: {' '.join(PROMPT.split())} (bad_request)",
         f"HTTP 400: invalid content: {MARK} (bad_request)"),
        ("HTTP 400: too long: 'Jane Roe, born 1970-02-03, complains' ...",
         f"HTTP 400: too long: '{MARK}' ..."),
        ("HTTP 400: the model m does not exist", "HTTP 400: the model m does not exist"),
        ("HTTP 400: 'Pa 55'", "HTTP 400: 'Pa 55'"),
    ],
)  # fmt: skip
def test_a_prompt_in_an_errors_text_is_not_kept(text: str, kept: str) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]}
    assert without_prompt(text, body) == kept


@pytest.mark.parametrize(
    "key", ["sk-здравей-123456", "sk-canary\x01-123456", "sk-\u200bcanary-123456"]
)
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", key)
    connection = Connection(
        scheme="http", host="h", port=1, base_path="/v1", model="m", key=KeySource(env="KEY")
    )
    with pytest.raises(BadInput, match="cannot be sent") as caught:
        resolved_headers(connection)
    assert key not in str(caught.value) and "123456" not in str(caught.value)
    monkeypatch.setenv("KEY", "sk-café-123456")
    assert resolved_headers(connection)["Authorization"] == "Bearer sk-café-123456"
