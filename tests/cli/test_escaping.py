"""What a server writes neither drives the terminal nor passes for something else."""

import io
import json
from typing import Any

import pytest

from observatory.cli.answers import cell_text, show_table
from observatory.cli.console import EscapingStream, echo, echo_json
from observatory.cli.escaping import escaped, one_line
from observatory.cli.safe_console import SafeConsole

HOSTILE = {
    "\x1b[31mred\x1b[0m": "\\x1b[31mred\\x1b[0m",
    "\x1b]8;;http://x\x07link": "\\x1b]8;;http://x\\x07link",
    "a\rb\x08c\x00": "a\\x0db\\x08c\\x00",
    "\x9b2Jgone\x7f": "\\x9b2Jgone\\x7f",
    "user\u202egnp.exe": "user\\u202egnp.exe",
    "\u2066iso\u2069 \u200fmark": "\\u2066iso\\u2069 \\u200fmark",
    "gpt\u200b-4\u2060\ufeff": "gpt\\u200b-4\\u2060\\ufeff",
    "tag\U000e0041": "tag\\U000e0041",
    "\u2028line": "\\u2028line",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_every_way_to_print_spells_it_out(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = HOSTILE[text]
    assert escaped(text) == shown and cell_text(text) == shown
    echo(f"model {text}")
    assert capsys.readouterr().out == f"model {shown}\n"
    echo(f"model {text}", err=True)
    assert capsys.readouterr().err == f"model {shown}\n"
    show_table([f"col {text}"], [[text]], width=400)
    out = capsys.readouterr().out
    assert shown in out and f"col {shown}" in out and text not in out
    stream = io.StringIO()
    SafeConsole(file=stream, force_terminal=True, width=400, markup=False).print(text, style="red")
    assert text not in stream.getvalue() and shown.split("\\")[0] in stream.getvalue()
    terminal = io.StringIO()
    EscapingStream(terminal).write(text)
    assert terminal.getvalue() == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_json_holds_the_same_value(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    echo_json(json.dumps({"a": text}, ensure_ascii=False))
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": text}
    assert not any(letter in out for letter in text if not letter.isprintable())


def test_a_line_of_a_server_is_no_line_of_ours() -> None:
    text: Any = "429\nverdict   valid\tall is well"
    assert one_line(text) == "429\\nverdict   valid\\tall is well"
    assert escaped(text) == text and cell_text(text) == one_line(text)


@pytest.mark.parametrize(
    "text", ["naïve – 5 µs ± 1 · 日本語 ✓", "a\tb\nc", "שלום", "\x1bnothing"[1:]]
)
def test_other_text_is_printed_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    echo(text)
    assert capsys.readouterr().out == f"{text}\n"
