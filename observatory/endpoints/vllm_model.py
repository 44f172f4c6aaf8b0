"""Find the model of a vLLM target, its path, and its facts.

A local folder is read before the start; a hub id's snapshot only after it, when vLLM has fetched it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from observatory.core.errors import BadInput
from observatory.core.targets.vllm import VllmTarget
from observatory.models import model_catalogue, models, weights
from observatory.models.weights import WeightFacts


@dataclass(frozen=True, slots=True)
class ServedModel:
    """argument: what vLLM loads. name: what requests call it. folder: null for a hub id.

    size_bytes: of its weights, null where they are not here yet.
    """

    argument: str
    name: str
    folder: Path | None
    size_bytes: int | None


def check_model(target: VllmTarget) -> None:
    """BadInput where the target's model cannot be served from here."""
    folder = _own_folder(target)
    if folder is not None:
        weights.check_folder(folder, f"target {target.name}: model")
        if target.revision is not None:
            raise BadInput(
                "revision is for a hub id; a folder has none",
                where=f"target {target.name}",
                fix="remove it",
            )
    elif target.model in model_catalogue.MODELS:
        _check_catalogued(target)


def find_model(target: VllmTarget, report: Callable[[str], None]) -> ServedModel:
    """Return the model as passed to vLLM; raise BadInput as check_model."""
    check_model(target)
    assert target.model is not None
    folder = _own_folder(target)
    if folder is None and target.model in model_catalogue.MODELS:
        folder = models.pull(target.model, report)
    if folder is not None:
        name = target.served_model_name or folder.name
        return ServedModel(str(folder), name, folder, weights.size_of(folder))
    snapshot = weights.snapshot_of(target.model, target.revision)
    size = weights.size_of(snapshot) if snapshot is not None else None
    return ServedModel(target.model, target.served_model_name or target.model, None, size)


def facts_of_model(
    target: VllmTarget, model: ServedModel, report: Callable[[str], None]
) -> WeightFacts:
    """Return the facts of the served model; all null where its files are not found."""
    if model.folder is not None:
        facts = weights.facts_of_folder(model.folder, report)
        known = models.catalogued(model.folder)
        if known is None:
            return facts
        return replace(facts, weight_format=known.weight_format, license=known.license)
    snapshot = weights.snapshot_of(model.argument, target.revision)
    return weights.facts_of_snapshot(snapshot) if snapshot is not None else WeightFacts()


def _own_folder(target: VllmTarget) -> Path | None:
    """Return the model's folder where it names one; None for a hub id or a name of the catalogue."""
    assert target.model is not None
    path = Path(target.model).expanduser()
    if target.model.startswith((".", "/", "~")) or path.is_dir():
        return path.resolve()
    return None


def _check_catalogued(target: VllmTarget) -> None:
    known = model_catalogue.MODELS[str(target.model)]
    if known.format != "safetensors":
        fitting = model_catalogue.names_of_format("safetensors")
        what = "a GGUF file" if known.format == "gguf" else "an adapter"
        raise BadInput(
            f"{target.model} is {what}, and vLLM is given safetensors",
            where=f"target {target.name}: model",
            fix=f"{' or '.join(fitting)}, a folder with config.json and *.safetensors, or a hub id",
        )
