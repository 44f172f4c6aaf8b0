"""Make the models that are in no wheel: conversions in an engine's environment, and drawn adapters.

A provenance file next to each model names its source and the tools; the weights must have the catalogue's hash.
"""

import datetime as dt
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.system.cache_files import need_space, sha256_of
from observatory.engines.installed import InstalledEngine, installed_engines
from observatory.models import lora_standins
from observatory.models.model_catalogue import MadeModel
from observatory.processes.pip_process import Failed, run

PROVENANCE = "provenance.json"
WEIGHTS = {"safetensors": "model.safetensors", "lora": lora_standins.WEIGHTS}
_BASE = "smollm2-135m-instruct-bf16-dequantised"
_CONVERSION = Path(__file__).parent / "conversion"
_PREFERRED = "0.32.0"
"""The engine's version in whose environment the catalogue's hashes were found; 0.31.0 gives the same."""


class MadeFile(msgspec.Struct, frozen=True):
    """A file of the model; its name is relative to the model's folder."""

    file: str
    bytes: int
    sha256: str


class Provenance(msgspec.Struct, frozen=True):
    """What a made model is, from what (name and SHA-256 of the source), with which engine's libraries."""

    name: str
    title: str
    weight_format: str
    note: str
    source: str | None
    source_sha256: str | None
    engine: str | None
    engine_sha256: str | None
    seed: int | None
    files: tuple[MadeFile, ...]
    made_at: str


def provenance_path(path: Path) -> Path:
    """Return the file's path next to the model, not in its folder: a model's hash covers what decides its answers."""
    return path.with_name(f"{path.name}.{PROVENANCE}")


def read_provenance(path: Path) -> Provenance | None:
    """Return the record; None where the model is missing or incomplete."""
    try:
        return msgspec.json.decode(provenance_path(path).read_bytes(), type=Provenance)
    except (OSError, msgspec.MsgspecError):
        return None


def check_made(path: Path, name: str) -> bool:
    """Return whether the model is there and whole; raise EnvironmentFailed where a file is not as it was made."""
    made = read_provenance(path)
    if made is None:
        return False
    folder = path.parent if path.suffix == ".gguf" else path
    for each in made.files:
        file = folder / each.file
        if not file.is_file() or sha256_of(file) != each.sha256:
            provenance_path(path).unlink()
            raise EnvironmentFailed(
                f"{each.file} is not as it was made; the model is not used any more",
                where=str(folder),
                fix=f"observatory model pull {name} makes it again",
            )
    return True


def make(
    name: str, model: MadeModel, path: Path, source: Path | None, report: Callable[[str], None]
) -> None:
    """Make the model at `path`, whole or not at all.

    source: the file of the model that it is made from. BadInput: no engine is installed in which to
    convert. EnvironmentFailed: no space, a conversion that failed, or other weights than the catalogue's.
    """
    engine = _engine(name, model) if source is not None else None
    need_space(path.parent, model.size_bytes + model.size_bytes // 8, name)
    report(f"{name}: {f'converting in {engine.name}' if engine else 'drawing'} ({model.note})")
    with tempfile.TemporaryDirectory(prefix="make-", dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        if engine is not None and source is not None:
            _convert(engine, model, source, made, Path(scratch) / "log")
        else:
            made.mkdir()
            lora_standins.write_standin(made, model.seed or 0, _BASE)
        weights = made if made.is_file() else made / WEIGHTS[model.format]
        found = sha256_of(weights)
        if found != model.sha256:
            raise EnvironmentFailed(
                f"the weights have another SHA-256 ({found[:12]}...) than expected "
                f"({model.sha256[:12]}...); {engine.title() if engine else 'they'} made them",
                where=name,
                fix=f"observatory engine install vllm=={_PREFERRED}, then pull it again",
            )
        record = _provenance(name, model, made, source, engine)
        _put(made, path, record)
    report(f"{name}: ready, {path}")


def _engine(name: str, model: MadeModel) -> InstalledEngine:
    engines = installed_engines("vllm")
    if not engines:
        raise BadInput(
            f"{name} is made from {model.source} in an engine's environment, and none is installed",
            fix=f"observatory engine install vllm=={_PREFERRED}",
        )
    return next((each for each in engines if each.record.version == _PREFERRED), engines[-1])


def _convert(
    engine: InstalledEngine, model: MadeModel, source: Path, made: Path, log: Path
) -> None:
    command = [str(engine.python)]
    if model.format == "gguf":
        command += [str(_CONVERSION / "to_gguf.py"), str(source), str(model.kind), str(made)]
    else:
        command += [str(_CONVERSION / "to_safetensors.py"), str(source), str(made)]
    # Our own package must not be found there, and no hub be contacted.
    variables = {"PYTHONPATH": "", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        run(command, log, variables=variables)
    except Failed as failed:
        raise EnvironmentFailed(
            f"the conversion failed: {failed.why}", where=engine.name
        ) from failed


def _provenance(
    name: str, model: MadeModel, made: Path, source: Path | None, engine: InstalledEngine | None
) -> Provenance:
    files = [made] if made.is_file() else sorted(made.iterdir())
    return Provenance(
        name=name,
        title=model.title,
        weight_format=model.weight_format,
        note=model.note,
        source=model.source,
        source_sha256=sha256_of(source) if source is not None else None,
        engine=engine.title() if engine else None,
        engine_sha256=engine.record.sha256 if engine else None,
        seed=model.seed,
        files=tuple(MadeFile(each.name, each.stat().st_size, sha256_of(each)) for each in files),
        made_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    )


def _put(made: Path, path: Path, record: Provenance) -> None:
    """Move the model to its place: remove the old record first and write the new one last."""
    provenance_path(path).unlink(missing_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    made.rename(path)
    text = msgspec.json.format(msgspec.json.encode(record)) + b"\n"
    provenance_path(path).write_bytes(text)
