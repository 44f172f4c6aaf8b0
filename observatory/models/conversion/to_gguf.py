"""A GGUF file's weights in another format, through bfloat16: the very values that vLLM is given.

Runs in an installed engine's environment, which has numpy and gguf, and is never imported in ours:
to_gguf.py GGUF FORMAT NEW_GGUF, where FORMAT is BF16, F16, Q8_0, Q4_0...
"""

import sys
from pathlib import Path

import gguf  # type: ignore[import-not-found]
from gguf.quants import dequantize, quantize  # type: ignore[import-not-found]

_KEPT = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture")
"""What the writer itself writes."""


def convert(source: Path, kind: str, result: Path) -> None:
    """Convert every matrix to `kind`; vectors stay F32, with values that bfloat16 has."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(result, architecture)
    wanted = gguf.GGMLQuantizationType[kind]
    for field in reader.fields.values():
        if field.name in _KEPT:
            continue
        value = field.contents()
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType[f"MOSTLY_{kind}"])
        array = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(
            field.name, value, field.types[0], sub_type=field.types[-1] if array else None
        )
    rounded_to = gguf.GGMLQuantizationType.BF16
    for tensor in reader.tensors:
        exact = dequantize(tensor.data, tensor.tensor_type)
        weights = dequantize(quantize(exact, rounded_to), rounded_to)
        if len(tensor.shape) > 1:
            writer.add_tensor(tensor.name, quantize(weights, wanted), raw_dtype=wanted)
        else:
            writer.add_tensor(tensor.name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    convert(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
