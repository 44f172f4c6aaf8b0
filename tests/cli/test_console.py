"""What is printed may be lost or spelt otherwise; the verb and its exit code are the same."""

import ast
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from observatory.cli.console import ConsoleStream, json_for, someone_there

CLI = Path(__file__).parents[2] / "observatory" / "cli"
STRANGE = "25–30 °C … ü 模 \udcff × │"


def _stream(descriptor: int, encoding: str = "utf-8", *, patient: bool = True) -> ConsoleStream:
    return ConsoleStream(descriptor, encoding, patient=patient)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "25–30 °C … ü 模 \\xff × │\n"),
        ("ascii", "25-30 ?C ... ? ? \\xff x |\n"),
        ("latin-1", "25-30 °C ... ü ? \\xff × |\n"),
        ("cp1252", "25–30 °C … ü ? \\xff × |\n"),
        ("shift_jis", "25-30 °C … ? 模 \\xff × │\n"),
    ],
)
def test_a_character_that_an_encoding_lacks_is_replaced(encoding: str, expected: str) -> None:
    reader, writer = os.pipe()
    stream = _stream(writer, encoding)
    stream.write(f"{STRANGE}\n")
    stream.flush()
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read().decode(encoding) == expected


def _broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _closed() -> int:
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.close(descriptor)
    return descriptor


def _hung_up() -> int:
    ours, theirs = pty.openpty()
    os.close(ours)
    return theirs


@pytest.mark.parametrize(
    "descriptor",
    [
        _broken_pipe,
        _hung_up,
        _closed,
        lambda: os.open("/dev/full", os.O_WRONLY),
        lambda: os.open(os.devnull, os.O_RDONLY),
    ],
    ids=["pipe closed", "terminal gone", "closed", "full", "read-only"],
)
@pytest.mark.parametrize("patient", [True, False])
def test_a_stream_that_cannot_be_written_goes_quiet(descriptor: object, patient: bool) -> None:
    assert callable(descriptor)
    stream = _stream(descriptor(), patient=patient)
    for _ in range(3):
        assert stream.write("a line\n") == 7
        stream.flush()
    assert isinstance(stream.lost, OSError)
    assert not stream.isatty()


def test_progress_does_not_wait_for_a_reader_that_holds_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("observatory.cli.console.PATIENCE_S", 0.01)
    reader, writer = os.pipe()
    stream = _stream(writer, patient=False)
    for _ in range(3000):  # more than a pipe holds without a reader
        stream.write("x" * 99 + "\n")
    assert stream.lost is None
    os.read(reader, 1_000_000)
    stream.write("last\n")
    assert os.read(reader, 1_000_000).endswith(b"last\n")


def test_what_was_asked_for_waits_for_its_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)  # as a shell or another program may leave a shared pipe
    stream = _stream(writer)
    read = bytearray()

    def drain() -> None:
        while piece := os.read(reader, 1000):
            read.extend(piece)

    thread = threading.Thread(target=drain)
    thread.start()
    stream.write("x" * 300_000)
    stream.flush()
    os.close(writer)
    thread.join()
    assert len(read) == 300_000


def test_json_keeps_its_values_in_every_encoding() -> None:
    import json

    text = json.dumps({"a": "ü 模 😀 –"}, ensure_ascii=False)
    assert json_for(text, "utf-8") == text
    for encoding in ("ascii", "latin-1", "cp1252"):
        escaped = json_for(text, encoding)
        assert escaped.isascii()
        assert json.loads(escaped) == json.loads(text)


def test_nobody_can_be_asked_without_a_terminal() -> None:
    assert not someone_there()


def test_every_verb_prints_through_the_console() -> None:
    """print, typer.echo and Console(...) of their own would bypass what this file tests."""
    others = []
    for path in CLI.rglob("*.py"):
        if path.name == "console.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print", "typer.echo", "typer.secho", "Console", "sys.stdout.write",
            ):  # fmt: skip
                others.append(f"{path.name}:{node.lineno}")
    assert not others


OBSERVATORY = [sys.executable, "-m", "observatory"]


def _shell(command: str, cwd: Path, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", f'observatory() {{ "{sys.executable}" -m observatory "$@"; }}; {command}'],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("observatory schema >&- 2>&- <&-", 0),
        ("observatory schema | true; exit ${PIPESTATUS[0]}", 0),
        ("observatory schema >/dev/full", 4),
        ("observatory run no-such-thing 2>/dev/full", 2),
    ],
)
def test_a_verbs_exit_code_does_not_depend_on_who_reads(
    command: str, code: int, tmp_path: Path
) -> None:
    got, printed = _shell(command, tmp_path)
    assert got == code, printed
    assert "Traceback" not in printed
    assert "Exception ignored" not in printed


@pytest.mark.parametrize(
    "encoding",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_a_verb_prints_in_any_encoding(encoding: dict[str, str], tmp_path: Path) -> None:
    got, printed = _shell("observatory scenario check ümlaut–😀.yaml", tmp_path, **encoding)
    assert got == 2, printed
    assert "Traceback" not in printed
    assert "mlaut" in printed
