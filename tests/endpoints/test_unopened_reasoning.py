"""Reasoning whose opening tag was in the prompt: chat templates of DeepSeek-R1 and Qwen3 end with `<think>`.

Shapes after github.com/vllm-project/vllm/issues/12999 and 13125: served without a reasoning parser, an answer's
content begins with the reasoning and has the closing tag alone.
"""

import pytest

from observatory.quality.answer_text import without_reasoning
from observatory.wires.answer_reading import UNOPENED
from observatory.wires.wires import WireName
from tests.endpoints.wire_streams import SENT, delta, event, named, read, stream, usage, whole

DONE = b"data: [DONE]\n\n"
STOP = event(delta(finish_reason="stop"))


def bodies(texts: list[str]) -> dict[WireName, list[bytes]]:
    """The same texts on each wire."""
    blocks = [{"type": "text_delta", "text": text} for text in texts]
    return {
        "openai": [*(event(delta(content=text)) for text in texts), STOP, DONE],
        "messages": [
            *(named({"type": "content_block_delta", "delta": one}) for one in blocks),
            named({"type": "message_stop"}),
        ],
        "responses": [
            *(
                named({"type": "response.output_text.delta", "output_index": 0, "delta": text})
                for text in texts
            ),
            named({"type": "response.completed", "response": {"status": "completed"}}),
        ],
    }


@pytest.mark.parametrize(
    ("texts", "reasoning", "text", "first_answer"),
    [
        (
            ["Alright", ", hi.", "\n</think>", "\n\n", "Hello", "!"],
            "Alright, hi.\n",
            "\n\nHello!",
            6,
        ),
        (["hm", " so", "</th", "ink>391"], "hm so", "391", 5),
        (["hm", " so<", "/think", ">\n", "391"], "hm so", "\n391", 6),
        (["a</THINKING>", "b"], "a", "b", 3),
        (["a</thought>", "b"], "a", "b", 3),
        (["a</seed:think>", "b"], "a", "b", 3),
        (["a</think>\n<think>b", "</think>", "c"], "a\nb", "c", 4),
        (["I write `</think>` later.", "\n</think>", "7"], "I write `` later.\n", "7", 4),
        # The first one ends it.
        (["a</think>", "Then </think>", " again"], "a", "Then </think> again", 3),
        # Cut off while it thinks, or no reasoning: the two look alike.
        (["and so", " on"], "", "and so on", 2),
        # In code and in quotes it is text.
        (["Split at `</think>`", " first."], "", "Split at `</think>` first.", 2),
        (["Use `x = t.split('</think>')`", "."], "", "Use `x = t.split('</think>')`.", 2),
        (["```\nt.split(end)\n", "</think>\n```"], "", "```\nt.split(end)\n</think>\n```", 2),
        (['Say "</think>"', " last"], "", 'Say "</think>" last', 2),
        (["Use <think>", "a", "</think>"], "", "Use <think>a</think>", 2),
    ],
)
@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_what_comes_before_a_closing_tag_alone_is_reasoning(
    texts: list[str], reasoning: str, text: str, first_answer: int, wire: WireName
) -> None:
    answer = read(stream(bodies(texts)[wire]), wire=wire)
    attempt = answer.attempt
    assert (attempt.outcome, answer.reasoning, answer.text) == ("ok", reasoning, text)
    assert attempt.reasoning_characters == len(reasoning)
    assert attempt.answer_characters == len(text)
    assert attempt.first_token == SENT + 20_000_000
    assert attempt.first_answer == SENT + 10_000_000 * first_answer
    assert attempt.first_reasoning == (SENT + 20_000_000 if reasoning else None)
    assert attempt.event_characters == [len(one) for one in texts]
    assert attempt.odd_event == (UNOPENED if reasoning else None)


@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_a_closing_tag_in_the_answer_is_text_where_the_reasoning_is_known(wire: WireName) -> None:
    answer = read(
        stream(bodies(["<think>hm</think>", "End it with </think>", " always"])[wire]), wire=wire
    )
    assert (answer.reasoning, answer.text) == ("hm", "End it with </think> always")
    assert answer.attempt.odd_events == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (["End it with </think>", " always"], "End it with </think> always"),
        (["</think>\n\n", "Four"], "\n\nFour"),
        (["<p>", "Four</p>"], "<p>Four</p>"),
    ],
)
def test_next_to_reasoning_content_only_a_leading_tag_is_dropped(
    content: list[str], text: str
) -> None:
    pieces = [event(delta(reasoning_content="hm")), *(event(delta(content=c)) for c in content)]
    answer = read(stream([*pieces, STOP, DONE]))
    assert (answer.reasoning, answer.text) == ("hm", text)
    assert answer.attempt.first_reasoning == SENT + 20_000_000
    assert answer.attempt.first_answer == SENT + (40_000_000 if text[0] == "\n" else 30_000_000)


def test_in_a_whole_answer_and_a_completion() -> None:
    choice = {"message": {"content": "hm\n</think>\n\n7"}, "finish_reason": "stop"}
    counts = usage(5, 9)["usage"]
    answer = read(whole({"choices": [choice], "usage": counts}), streaming=False)
    assert (answer.reasoning, answer.text) == ("hm\n", "\n\n7")
    assert answer.attempt.tokens.reasoning is None  # no count of it is stated
    assert answer.attempt.odd_event == UNOPENED
    stated = [{"choices": [{"text": text}]} for text in ("hm", "</think>", "7")]
    completion = read(stream([*map(event, stated), DONE]))
    assert (completion.reasoning, completion.text) == ("hm", "7")


def test_a_tool_call_after_it_is_the_first_answer() -> None:
    call = delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{}"}}])
    pieces = [event(delta(content="hm")), event(delta(content="</think>\n"))]
    answer = read(stream([*pieces, event(call), STOP, DONE]))
    assert answer.reasoning == "hm"
    assert answer.attempt.first_answer == SENT + 40_000_000


def test_a_text_with_many_tags_in_code_is_read_in_linear_time() -> None:
    text = "`</think>`" * 50_000
    answer = read(stream([event(delta(content=text)), STOP, DONE]))
    assert (answer.reasoning, answer.text) == ("", text)


@pytest.mark.parametrize(
    ("text", "reasoned", "kept"),
    [
        ("hm</think>7", False, "7"),
        ("Split at `</think>`: 7", False, "Split at `</think>`: 7"),
        ("It ends with </think> here: 7", True, "It ends with </think> here: 7"),
        ("</think>7", True, "7"),
        ("7 <think>a</think> then </think> b", False, "7  then </think> b"),
    ],
)
def test_the_scorers_see_the_same_answer(text: str, reasoned: bool, kept: str) -> None:
    assert without_reasoning(text, reasoned=reasoned) == kept


TAGS = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
]


@pytest.mark.parametrize("cut", [False, True], ids=["whole tags", "cut tags"])
@pytest.mark.parametrize("opened", [True, False], ids=["opened", "unopened"])
@pytest.mark.parametrize(("opening", "closing"), TAGS)
@pytest.mark.parametrize("wire", ["openai", "messages", "responses"])
def test_the_tags_of_other_models_are_reasoning_too(
    wire: WireName, opening: str, closing: str, opened: bool, cut: bool
) -> None:
    """vllm-mlx/pull/599, ddalcu/mlx-serve/issues/213, Kimi-Dev/issues/6: served without their parsers."""
    texts = [f"{opening if opened else ''}17 x 23 is", f" 391{closing}", "391"]
    if cut:
        texts = [
            part for text in texts for part in (text[: len(text) // 2], text[len(text) // 2 :])
        ]
    answer = read(stream(bodies([one for one in texts if one])[wire]), wire=wire)
    assert (answer.reasoning, answer.text) == ("17 x 23 is 391", "391")
    assert (answer.attempt.odd_event == UNOPENED) == (not opened)
    assert without_reasoning("".join(texts)) == "391"


@pytest.mark.parametrize(
    "text", ["[think] of a number", "[THINKING] is allowed", "a <|end|> b", "\u25c1 and \u25b7"]
)
def test_what_only_looks_like_a_tag_is_text(text: str) -> None:
    answer = read(stream(bodies([text])["openai"]))
    assert (answer.reasoning, answer.text) == ("", text)
