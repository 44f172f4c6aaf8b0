"""A llama.cpp target as a person writes it."""

from typing import Literal

from pydantic import Field

from observatory.core.machine_money import MachineRate
from observatory.core.targets.identity import TargetIdentity
from observatory.core.units import PositiveDuration


class LlamaCppTarget(TargetIdentity):
    """llama.cpp through xllamacpp, started and stopped by the observatory on loopback."""

    kind: Literal["llamacpp"]
    model: str = Field(
        default="smollm2-135m-instruct-q4_1",
        description="a name of `observatory model list`, or the path of a GGUF file",
    )
    parallel: int = Field(default=4, ge=1, le=256, description="slots served at once (n_parallel)")
    context: int = Field(default=2048, ge=128, description="tokens of context in each slot")
    threads: int | None = Field(
        default=None,
        ge=1,
        description="compute threads; default: all cores but one, which the load generator needs",
    )
    gpu_layers: int = Field(default=0, ge=-1, description="layers put on a GPU; -1 is all")
    port: int = Field(default=0, ge=0, le=65535, description="on 127.0.0.1; 0 takes a free one")
    start_timeout: PositiveDuration = 120.0
    hosting: Literal["self"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours"] = "hours"
    rate: MachineRate | None = None
