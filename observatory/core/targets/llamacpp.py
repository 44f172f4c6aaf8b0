"""A llama.cpp target as a person writes it."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from observatory.core.money.machine_money import MachineRate
from observatory.core.run import TargetFacts
from observatory.core.targets.identity import TargetIdentity
from observatory.core.units import PositiveDuration


class LlamaCppTarget(TargetIdentity):
    """llama.cpp through xllamacpp, started and stopped by the observatory on loopback."""

    opened_by: ClassVar[str] = "observatory.endpoints.llamacpp"
    engine_title: ClassVar[str | None] = "llama.cpp"
    bundled: ClassVar[bool] = True

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

    def local_files(self, folder: Path) -> dict[str, Any]:
        """Return the model's path where it is a GGUF file."""
        if not self.model.endswith(".gguf"):
            return {}
        return {"model": str(folder / Path(self.model).expanduser())}

    @staticmethod
    def computes_on_gpu(facts: TargetFacts) -> bool:
        """Return whether layers were put on one; llama.cpp does not start with layers for none."""
        return facts.layers_on_gpu != 0
