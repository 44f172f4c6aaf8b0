"""Read a GGUF file's header: its scalar metadata, and how many weights it holds.

Source: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3. Tensors' values are not read.
"""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from observatory.core.errors import BadInput

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_LONGEST_STRING = 16 * 2**20
_MOST_ENTRIES = 100_000
_MOST_DIMENSIONS = 8
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""general.file_type: enum llama_ftype of llama.cpp's include/llama.h."""


def read_metadata(path: Path) -> dict[str, Any]:
    """Return scalars and strings by their keys, up to the first array (a vocabulary follows from there on).

    BadInput where the file cannot be read, is no GGUF, or ends within its head.
    """
    found: dict[str, Any] = {}
    with _reading(path) as file:
        _, entries = _opening(file, path)
        for _ in range(entries):
            key = _string(file)
            (kind,) = _unpack(file, "<I")
            if kind == _ARRAY and key.startswith("tokenizer.ggml."):
                break
            value = _value(file, kind)
            if kind != _ARRAY:
                found[key] = value
    return found


def read_parameters(path: Path) -> int:
    """Return how many weights its tensors hold; raise BadInput as read_metadata."""
    with _reading(path) as file:
        tensors, entries = _opening(file, path)
        for _ in range(entries):
            _string(file)
            _value(file, *_unpack(file, "<I"))
        total = 0
        for _ in range(tensors):
            _string(file)
            (dimensions,) = _unpack(file, "<I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError("it holds a tensor of impossible shape")
            total += math.prod(_unpack(file, f"<{dimensions}Q"))
            _unpack(file, "<IQ")
    return total


def weight_format(metadata: dict[str, Any]) -> str:
    """Return e.g. "GGUF Q4_1"; "GGUF" where the metadata has no type of most tensors."""
    name = _FILE_TYPES.get(metadata.get("general.file_type", -1))
    return f"GGUF {name}" if name else "GGUF"


def tokenizer_name(metadata: dict[str, Any]) -> str | None:
    """Return the tokenizer as GGUF names it, kind and pre-tokenizer such as "gpt2/smollm"."""
    names = [metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")]
    return "/".join(str(name) for name in names if name) or None


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open the file; raise BadInput for every fault in it."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise BadInput(
            f"the model's file cannot be read: {error.strerror}", where=str(path)
        ) from error
    except (EOFError, ValueError) as error:
        raise BadInput(
            f"the model's file is damaged: {error}", where=str(path), fix="fetch it again"
        ) from error


def _opening(file: BinaryIO, path: Path) -> tuple[int, int]:
    """Return how many tensors and entries follow."""
    if file.read(4) != b"GGUF":
        raise BadInput("this is not a GGUF file", where=str(path))
    version, tensors, entries = _unpack(file, "<IQQ")
    if version not in (2, 3) or entries > _MOST_ENTRIES or tensors > _MOST_ENTRIES:
        raise BadInput(f"GGUF version {version} cannot be read", where=str(path))
    return tensors, entries


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    size = struct.calcsize(form)
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it ends within its head")
    return struct.unpack(form, data)


def _value(file: BinaryIO, kind: int) -> Any:
    """Return a value of that type; an array is passed over, and its value is None."""
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        inner, count = _unpack(file, "<IQ")
        for _ in range(count):
            _value(file, inner)
        return None
    if kind not in _SCALARS:
        raise ValueError(f"it holds a value of unknown type {kind}")
    return _unpack(file, _SCALARS[kind])[0]


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "<Q")
    if length > _LONGEST_STRING:
        raise ValueError("it holds a string of impossible length")
    data = file.read(length)
    if len(data) < length:
        raise EOFError("it ends within its head")
    return data.decode("utf-8", "replace")
