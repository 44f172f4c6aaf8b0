"""A GGUF file as a folder of bfloat16 safetensors with its tokenizer and chat template.

Runs in an installed engine's environment, which has torch, transformers, gguf and accelerate, and is
never imported in ours: to_safetensors.py GGUF FOLDER.
"""

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    AutoModelForCausalLM,
    AutoTokenizer,
)


def convert(gguf: Path, folder: Path) -> None:
    """Dequantise and round to bfloat16; vLLM and tokenizers read the folder offline."""
    where = str(gguf.parent)
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=gguf.name, dtype=torch.bfloat16)
    # It is no longer quantised: with these two it could not be saved as what it is.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
