"""The command's standard input, output and error: every line that a person sees goes through here.

Printing never decides about a measurement. A stream that is closed, full, broken or held back loses
what is printed to it and the work goes on; a character that a stream's encoding lacks is replaced.
`main` installs the streams, and the verbs write with `echo`, `echo_json` and `open_console`.
"""

import codecs
import errno
import io
import os
import re
import select
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import msgspec

from observatory.cli.escaping import UNSEEN, escaped

if TYPE_CHECKING:
    from rich.console import Console

REPLACING = "observatory.console"
"""The codec error handler of every stream of ours."""
PIECE_BYTES = 4096
"""Linux' PIPE_BUF: a pipe that is ready takes so much without blocking (pipe(7))."""
PATIENCE_S = 1.0
"""How long a line of progress waits for a reader that holds the stream back (Ctrl-S, a pager)."""
_BUFFERED_BYTES = 65_536
_GONE = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ENODEV, errno.ECONNRESET}
"""The reader has gone. Any other error means that printed text was lost."""
_SPELT = {
    "–": "-", "—": "-", "…": "...", "×": "x", "±": "+/-", "·": "*", "→": "->", "≥": ">=", "≤": "<=",
    "≈": "~", "∞": "inf", "µ": "u", "μ": "u", "“": '"', "”": '"', "‘": "'", "’": "'", "─": "-",
    "━": "-", "╸": "-", "╺": "-", "│": "|", "┃": "|", "²": "2", "₂": "2", "\u00a0": " ",
}  # fmt: skip


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is printed for characters that an encoding lacks: the same length or readable."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    spelt = "".join(_in_ascii(character) for character in text)
    return spelt, error.end


def _in_ascii(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    if 0x2500 <= code <= 0x257F:  # lines and corners of tables
        return _SPELT.get(character, "+")
    return _SPELT.get(character, "?")


codecs.register_error(REPLACING, _replaced)


class ConsoleStream(io.TextIOBase):
    """A text stream on a file descriptor that never raises because of its reader or its encoding.

    patient: wait for a slow reader without limit, for results (tables, CSV, JSON). Otherwise output
    (progress) is dropped after PATIENCE_S, so that a pager or a stopped terminal never holds up a
    run. `lost` is the error that made it quiet, None while it works.

    It has no `buffer`: typer would write its own bytes there, in an encoding of its own.
    """

    def __init__(self, descriptor: int, encoding: str, *, patient: bool) -> None:
        super().__init__()
        self.lost: OSError | None = None
        self._descriptor = descriptor
        self._encoding = encoding
        self._encoder = codecs.getincrementalencoder(encoding)(REPLACING)
        self._patient = patient
        self._held_back = False
        self._waiting = bytearray()
        self._lock = threading.RLock()
        self._by_line = not patient or os.isatty(descriptor)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The name of the encoding, as Python gave it to the stream before."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        """The error handler: characters are replaced."""
        return REPLACING

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether a terminal is there now; one that was closed is none."""
        return self.lost is None and os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True, always: what cannot be written is dropped."""
        return True

    def write(self, text: str) -> int:
        """Take the text; lines are written at once where a person watches."""
        with self._lock:
            if self.lost is None:
                self._waiting += self._encoder.encode(text)
                full = len(self._waiting) >= _BUFFERED_BYTES
                if full or (self._by_line and ("\n" in text or "\r" in text)):
                    self._write_out()
        return len(text)

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            self._write_out()

    def _write_out(self) -> None:
        waiting, self._waiting = bytes(self._waiting), bytearray()
        place = 0
        while place < len(waiting) and self.lost is None:
            if not self._ready():
                return
            try:
                place += os.write(self._descriptor, waiting[place : place + PIECE_BYTES])
            except BlockingIOError:
                continue
            except OSError as error:
                self.lost = error

    def _ready(self) -> bool:
        """Return whether a piece can be written without blocking, after waiting for it as long as is due."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if self._patient:
            poll.poll()
            return True
        self._held_back = not poll.poll(0 if self._held_back else PATIENCE_S * 1000)
        return not self._held_back


class EscapingStream(io.TextIOBase):
    """Writes to another stream what `escaped` makes of each text: data that goes to a terminal after all."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The other stream's."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Pass it on."""
        return self._stream.write(escaped(text))


def install_streams() -> None:
    """Put streams of ours in the place of Python's.

    Descriptors 0 to 2 that were closed are opened on the null device first: a database or a socket
    that got number 1 would be written into by the next print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        before: TextIO | None = getattr(sys, name)
        encoding = (before.encoding if before is not None else None) or "utf-8"
        if before is not None:
            before.flush()
        setattr(sys, name, ConsoleStream(descriptor, encoding, patient=name == "stdout"))


def lost_output() -> str | None:
    """Return why standard output is incomplete, None where it is whole or its reader closed it."""
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    if lost is None or lost.errno in _GONE:
        return None
    return str(lost.strerror or lost)


def someone_there(shown_on: TextIO | None = None) -> bool:
    """Return whether a question can be put to a person: a terminal at both ends, with this process in the foreground.

    shown_on: where the question is printed (None: standard error).
    """
    try:
        if not (sys.stdin.isatty() and (shown_on or sys.stderr).isatty()):
            return False
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False


def echo(text: object = "", *, err: bool = False, end: str = "\n") -> None:
    """Print a line on standard output, or on standard error."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{escaped(str(text))}{end}")
    stream.flush()


def echo_json(encoded: bytes | str) -> None:
    """Print JSON on standard output; where the stream's encoding is not Unicode it is escaped."""
    text = encoded.decode() if isinstance(encoded, bytes) else encoded
    echo(json_for(text, getattr(sys.stdout, "encoding", None) or "utf-8"))


def print_json(value: object) -> None:
    """Print a value as indented JSON on standard output."""
    echo_json(msgspec.json.format(msgspec.json.encode(value), indent=2))


def json_for(text: str, encoding: str) -> str:
    """Return JSON text that an encoding can hold: other characters as \\u escapes, which change no value.

    So are those that could deceive a reader; below U+0020 JSON itself escapes them.
    """
    text = UNSEEN.sub(_escaped, text)
    if codecs.lookup(encoding).name.startswith("utf"):
        return text
    return re.sub(r"[^\x00-\x7f]", _escaped, text)


def _escaped(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def open_console(*, err: bool = False, width: int | None = None) -> "Console":
    """Return a rich console for tables; what is printed is never read as markup or as an emoji's name."""
    from observatory.cli.safe_console import SafeConsole

    return SafeConsole(stderr=err, width=width, highlight=False, markup=False, emoji=False)
