"""Read what a safetensors file's header states of its tensors.

Source: the format's description (huggingface/safetensors, README): eight bytes of length, little endian,
then that many bytes of JSON. No tensor is read.
"""

import math
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import msgspec

from observatory.core.errors import BadInput

_LONGEST_HEADER = 100_000_000
"""The format's own limit."""
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "fp8",
    "F8_E5M2": "fp8",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


class _Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]


@dataclass(frozen=True, slots=True)
class Tensors:
    """elements: values by their type, in the names that people use."""

    elements: Counter[str]

    @property
    def main_type(self) -> str | None:
        """Return the type that most values have; None where there is none."""
        return self.elements.most_common(1)[0][0] if self.elements else None

    @property
    def parameters(self) -> int | None:
        """Return the number of parameters; None where integers pack several into one (AWQ, GPTQ, 4-bit)."""
        packed = sum(count for name, count in self.elements.items() if name in ("int32", "uint8"))
        total = self.elements.total()
        return None if not total or packed * 100 > total else total


def read_tensors(path: Path) -> Tensors:
    """Read the tensors; BadInput where the file cannot be read, is damaged, or holds no such header."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= _LONGEST_HEADER:
                raise BadInput("this is not a safetensors file", where=str(path))
            text = file.read(length)
    except OSError as error:
        raise BadInput(f"the weights cannot be read: {error.strerror}", where=str(path)) from error
    elements: Counter[str] = Counter()
    try:
        for name, tensor in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items():
            if name != "__metadata__":
                found = msgspec.json.decode(tensor, type=_Tensor)
                elements[DTYPES.get(found.dtype, found.dtype)] += math.prod(found.shape)
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"the weights' header is damaged: {error}", where=str(path), fix="fetch the file again"
        ) from error
    return Tensors(elements)


def together(found: list[Tensors]) -> Tensors:
    """Combine the tensors of a model in several files."""
    elements: Counter[str] = Counter()
    for tensors in found:
        elements.update(tensors.elements)
    return Tensors(elements)
