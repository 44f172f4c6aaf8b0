"""The head of a GGUF file: known bytes, and files that end too soon."""

import struct
from pathlib import Path

import pytest

from observatory.core.errors import BadInput
from observatory.models.gguf import read_metadata, tokenizer_name


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(*entries: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries)) + b"".join(entries)


HEAD = gguf(
    text("general.name") + struct.pack("<I", 8) + text("Tiny"),
    text("tiny.context_length") + struct.pack("<II", 4, 8192),
    text("tiny.eps") + struct.pack("<If", 6, 0.5),
    text("tiny.flag") + struct.pack("<I?", 7, True),
    text("general.tags") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
    text("tiny.nested") + struct.pack("<IIQIQ", 9, 9, 1, 4, 2) + struct.pack("<II", 1, 2),
    text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"),
    text("tokenizer.ggml.pre") + struct.pack("<I", 8) + text("tiny"),
    text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1_000_000),
)


def write(folder: Path, data: bytes) -> Path:
    path = folder / "m.gguf"
    path.write_bytes(data)
    return path


def test_scalars_and_strings_are_read_and_arrays_are_not(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path, HEAD))
    assert found == {
        "general.name": "Tiny",
        "tiny.context_length": 8192,
        "tiny.eps": 0.5,
        "tiny.flag": True,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "tiny",
    }
    assert tokenizer_name(found) == "gpt2/tiny"
    assert tokenizer_name({}) is None


def test_every_cut_of_the_head_is_said_to_be_damaged(tmp_path: Path) -> None:
    for length in range(len(HEAD) - len(text("tokenizer.ggml.tokens")) - 16):
        with pytest.raises(BadInput, match=r"m\.gguf: .*(not a GGUF|damaged)"):
            read_metadata(write(tmp_path, HEAD[:length]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"MZ" * 50, "not a GGUF file"),
        (gguf(version=1), "version 1 cannot be read"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60), "cannot be read"),
        (gguf(text("a") + struct.pack("<I", 77)), "unknown type 77"),
        (gguf(struct.pack("<Q", 2**50)), "impossible length"),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_metadata(write(tmp_path, data))


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        read_metadata(tmp_path)
