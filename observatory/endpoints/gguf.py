"""What a GGUF file says of itself: the scalar metadata at its head.

Source: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3. Tensors are not read.
"""

import struct
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


def read_metadata(path: Path) -> dict[str, Any]:
    """Scalars and strings by their keys, up to the first array (a vocabulary follows from there on).

    BadInput where the file cannot be read, is no GGUF, or ends within its head.
    """
    found: dict[str, Any] = {}
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise BadInput("this is not a GGUF file", where=str(path))
            version, _, entries = _unpack(file, "<IQQ")
            if version not in (2, 3) or entries > _MOST_ENTRIES:
                raise BadInput(f"GGUF version {version} cannot be read", where=str(path))
            for _ in range(entries):
                key = _string(file)
                (kind,) = _unpack(file, "<I")
                if kind == _ARRAY:
                    if key.startswith("tokenizer.ggml."):
                        break
                    _skip_array(file)
                else:
                    found[key] = _string(file) if kind == _STRING else _scalar(file, kind)
    except OSError as error:
        raise BadInput(
            f"the model's file cannot be read: {error.strerror}", where=str(path)
        ) from error
    except (EOFError, ValueError) as error:
        raise BadInput(
            f"the model's file is damaged: {error}", where=str(path), fix="fetch it again"
        ) from error
    return found


def tokenizer_name(metadata: dict[str, Any]) -> str | None:
    """The tokenizer as GGUF names it, kind and pre-tokenizer such as "gpt2/smollm"."""
    names = [metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")]
    return "/".join(str(name) for name in names if name) or None


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    size = struct.calcsize(form)
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it ends within its head")
    return struct.unpack(form, data)


def _scalar(file: BinaryIO, kind: int) -> Any:
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


def _skip_array(file: BinaryIO) -> None:
    kind, count = _unpack(file, "<IQ")
    for _ in range(count):
        if kind == _STRING:
            _string(file)
        elif kind == _ARRAY:
            _skip_array(file)
        else:
            _scalar(file, kind)
