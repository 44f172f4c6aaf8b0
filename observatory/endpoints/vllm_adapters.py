"""Find the LoRA adapters that a vLLM target serves in addition to its model, and their facts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observatory.core.errors import BadInput
from observatory.core.targets.vllm import LoraAdapter, VllmTarget
from observatory.engines.vllm_command import ServedAdapter
from observatory.models import model_catalogue, models, weights

_CONFIG = "adapter_config.json"
"""Where PEFT keeps an adapter's rank (r) and what it was trained on."""


@dataclass(frozen=True, slots=True)
class FoundAdapter:
    """sha256: of a folder's files as of a model's; revision: a hub id's commit. Null where unknown."""

    served: ServedAdapter
    sha256: str | None
    revision: str | None
    base_model: str | None
    parameters: int | None

    def facts(self) -> dict[str, Any]:
        """Return the facts for the records."""
        return {
            "name": self.served.name,
            "rank": self.served.rank,
            "sha256": self.sha256,
            "revision": self.revision,
            "base_model": self.base_model,
            "parameters": self.parameters,
        }


def check_adapters(target: VllmTarget) -> None:
    """BadInput where an adapter's folder is not there or holds none."""
    for adapter in target.adapters:
        _folder(target, adapter)


def find_adapters(target: VllmTarget, report: Callable[[str], None]) -> list[FoundAdapter]:
    """Return all of the target's adapters; raise BadInput as check_adapters."""
    return [_found(target, adapter, report) for adapter in target.adapters]


def _found(target: VllmTarget, adapter: LoraAdapter, report: Callable[[str], None]) -> FoundAdapter:
    own = _folder(target, adapter)
    if own is None and adapter.path in model_catalogue.MODELS:
        own = models.pull(adapter.path, report)
    folder = own or weights.snapshot_of(adapter.path)
    config = weights.json_file(folder / _CONFIG) if folder is not None else {}
    rank, base = config.get("r"), config.get("base_model_name_or_path")
    facts = weights.facts_of_folder(own, report) if own is not None else weights.WeightFacts()
    if own is None and folder is not None:
        facts = weights.facts_of_snapshot(folder)
    return FoundAdapter(
        ServedAdapter(
            adapter.name,
            str(own) if own is not None else adapter.path,
            rank if isinstance(rank, int) else None,
        ),
        sha256=facts.sha256,
        revision=facts.revision,
        base_model=base if isinstance(base, str) else None,
        parameters=facts.parameters,
    )


def _folder(target: VllmTarget, adapter: LoraAdapter) -> Path | None:
    """Return the adapter's folder; None for a hub id or a name of the catalogue."""
    known = model_catalogue.MODELS.get(adapter.path)
    if known is not None and known.format != "lora":
        raise BadInput(
            f"adapter {adapter.name}: {adapter.path} is a model, no LoRA adapter",
            where=f"target {target.name}",
        )
    path = Path(adapter.path).expanduser()
    if not adapter.path.startswith((".", "/", "~")) and not path.is_dir():
        return None
    if not (path / _CONFIG).is_file():
        raise BadInput(
            f"adapter {adapter.name}: there is no {_CONFIG} in {path}",
            where=f"target {target.name}",
            fix="give a folder in PEFT's format, or a hub id such as org/name",
        )
    return path.resolve()
