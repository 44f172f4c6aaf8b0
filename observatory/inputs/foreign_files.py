"""Files that are not text in UTF-8, known by their first bytes: what they are, and how to convert them."""

import shlex
from pathlib import Path

from observatory.core.errors import BadInput

PEEK_BYTES = 8192
_POLARS = "import polars as pl; pl.{reader}({path!r}).write_ndjson({to!r})"
_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_PACKED = (
    (b"\x1f\x8b", "gzip", "gunzip -k {path}"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d {path}"),
    (b"BZh", "bzip2", "bunzip2 -k {path}"),
    (b"\xfd7zXZ\x00", "xz", "unxz -k {path}"),
)
_KINDS = (
    (b"PAR1", "Parquet", "read_parquet"),
    (b"ARROW1", "an Arrow file", "read_ipc"),
    (b"\xff\xff\xff\xff", "an Arrow stream, as Hugging Face datasets saves it", "read_ipc_stream"),
    (b"Obj\x01", "Avro", "read_avro"),
)
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "save it there as CSV UTF-8"),
    (b"SQLite format 3\x00", "an SQLite database", "export a table from it as CSV"),
    (b"\x93NUMPY", "a NumPy array", "write its rows as JSON lines"),
    (b"%PDF", "a PDF document", "give the text as JSON lines or CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "fetch it: git lfs pull"),
    (b"<!doctype html", "a web page, not the file", "download the file itself (its raw form)"),
    (b"<html", "a web page, not the file", "download the file itself (its raw form)"),
)


def refuse_foreign_bytes(name: str, path: Path, start: bytes) -> None:
    """Raise BadInput, naming what it is, where a file that begins with `start` is not UTF-8 text."""
    for mark, what, command in _PACKED:
        if start.startswith(mark):
            packed = command.format(path=shlex.quote(str(path)))
            raise BadInput(f"is compressed with {what}", where=name, fix=f"unpack it: {packed}")
    for mark, what, reader in _KINDS:
        if start.startswith(mark):
            made = f"{path.stem}.jsonl"
            program = shlex.quote(_POLARS.format(reader=reader, path=str(path), to=made))
            fix = f"convert it: python -c {program}"
            raise BadInput(f"is {what}, not text", where=name, fix=fix)
    if start.startswith(b"PK\x03\x04"):
        excel = b"xl/" in start or path.suffix.lower() in (".xlsx", ".xlsm")
        what = "an Excel workbook" if excel else "a zip archive"
        fix = (
            "save it there as CSV UTF-8" if excel else f"unpack it: unzip {shlex.quote(str(path))}"
        )
        raise BadInput(f"is {what}, not text", where=name, fix=fix)
    for mark, what, fix in _OTHERS:
        if start[: len(mark)].lower() == mark.lower():
            raise BadInput(f"is {what}", where=name, fix=fix)
    encoding = _wide_encoding(start)
    if encoding is not None:
        raise BadInput(f"is {encoding}, not UTF-8", where=name, fix=reencode(path, encoding))


def reencode(path: Path, encoding: str) -> str:
    """Return the command that converts a file of another encoding to UTF-8."""
    made = f"{path.stem}-utf8{path.suffix}"
    files = f"{shlex.quote(str(path))} > {shlex.quote(made)}"
    return f"save it as UTF-8, for example: iconv -f {encoding} -t UTF-8 {files}"


def _wide_encoding(start: bytes) -> str | None:
    """Return UTF-16 or UTF-32 by its mark, or by the zero bytes that Latin letters have in it."""
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return encoding
    some = start[:400]
    if len(some) < 4 or len(some) % 2:
        some = some[: len(some) // 2 * 2]
    halves = {"UTF-16LE": some[1::2], "UTF-16BE": some[0::2]}
    for encoding, half in halves.items():
        if len(half) > 1 and half.count(0) > 0.6 * len(half):
            return encoding
    return None
