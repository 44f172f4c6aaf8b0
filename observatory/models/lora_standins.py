"""LoRA adapters of random weights in PEFT's format: they cost what a real one costs and have learnt nothing.

Drawn by Python's own generator and written byte by byte, so that a seed is the same file everywhere.
Format: huggingface/safetensors, "Format" (a length, a JSON header, the tensors' bytes).
"""

import array
import json
import random
import struct
import sys
from pathlib import Path

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
RANK = 8
_LAYERS, _HIDDEN = 30, 576
_OUTPUTS = {"q_proj": 576, "v_proj": 192}  # 9 and 3 heads of 64
"""SmolLM2-135M's attention: the llama.* entries of the GGUF's metadata."""
_SPREAD_A, _SPREAD_B = 0.04, 0.02
"""Uniform in +-spread. PEFT starts B at zero, which would answer as the base does."""


def write_standin(folder: Path, seed: int, base: str) -> None:
    """Write two files in `folder`, for the model that is called `base`."""
    config = {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": 2 * RANK,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "r": RANK,
        "target_modules": sorted(_OUTPUTS),
        "task_type": "CAUSAL_LM",
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
    (folder / WEIGHTS).write_bytes(_safetensors(_tensors(seed)))


def _tensors(seed: int) -> dict[str, tuple[tuple[int, int], bytes]]:
    """Return shape and little-endian float32 by name, in the order of drawing."""
    draws = random.Random(seed)
    tensors = {}
    for layer in range(_LAYERS):
        for module, outputs in _OUTPUTS.items():
            name = f"base_model.model.model.layers.{layer}.self_attn.{module}"
            for side, shape, spread in (
                ("A", (RANK, _HIDDEN), _SPREAD_A),
                ("B", (outputs, RANK), _SPREAD_B),
            ):
                values = array.array(
                    "f", (spread * (2 * draws.random() - 1) for _ in range(shape[0] * shape[1]))
                )
                if sys.byteorder == "big":
                    values.byteswap()
                tensors[f"{name}.lora_{side}.weight"] = (shape, values.tobytes())
    return tensors


def _safetensors(tensors: dict[str, tuple[tuple[int, int], bytes]]) -> bytes:
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, (shape, data) in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [place, place + len(data)],
        }
        place += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight
    return b"".join((struct.pack("<Q", len(text)), text, *(data for _, data in tensors.values())))
