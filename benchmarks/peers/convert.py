"""The GGUF file of `observatory model pull` as a folder of safetensors with its tokenizer.

vLLM and the peers' tokenizers read that offline. Runs in the environment of the peer vllm, which has
transformers, gguf and accelerate: convert.py GGUF FOLDER.
"""

import sys
from pathlib import Path

import torch  # type: ignore[import-not-found]
from transformers import (  # type: ignore[import-not-found]
    AutoModelForCausalLM,
    AutoTokenizer,
)


def convert(gguf: Path, folder: Path) -> None:
    """Dequantize to bfloat16 and write model, tokenizer and chat template into `folder`."""
    where = str(gguf.parent)
    model = AutoModelForCausalLM.from_pretrained(where, gguf_file=gguf.name, dtype=torch.bfloat16)
    # It is no longer quantized: with these two it could not be saved as what it is.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(where, gguf_file=gguf.name).save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
