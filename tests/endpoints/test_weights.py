"""The facts in a model's files: known headers, front matter, snapshots of a hub id."""

import hashlib
import json
from pathlib import Path

import pytest

from observatory.core.errors import BadInput
from observatory.models import weights
from observatory.models.safetensors import read_tensors, together


def quiet(text: str) -> None:
    raise AssertionError(f"nothing is to be said, not {text!r}")


def tensors(path: Path, **kinds: tuple[str, list[int]]) -> Path:
    header = json.dumps({name: {"dtype": d, "shape": s} for name, (d, s) in kinds.items()}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path


def test_parameters_are_the_sum_of_shapes(tiny_model: Path) -> None:
    found = read_tensors(tiny_model / "model.safetensors")
    assert (found.parameters, found.main_type) == (4 * 8 + 3, "bfloat16")


def test_a_model_in_several_files(tmp_path: Path) -> None:
    one = read_tensors(tensors(tmp_path / "1", a=("F16", [10, 10]), scalar=("F32", [])))
    two = read_tensors(tensors(tmp_path / "2", b=("F8_E4M3", [10])))
    assert together([one, two]).elements == {"float16": 100, "float32": 1, "fp8": 10}
    assert together([]).parameters is None and together([]).main_type is None


def test_packed_integers_have_no_count(tmp_path: Path) -> None:
    packed = tensors(tmp_path / "q", qweight=("I32", [64, 64]), scales=("F16", [64]))
    assert read_tensors(packed).parameters is None


@pytest.mark.parametrize("data", [b"", b"\x05", b"\x05" + bytes(7) + b"{", bytes(8) + b"{}"])
def test_files_that_are_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "w"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=r"w: .*(not a safetensors file|header is damaged)"):
        read_tensors(path)


def test_facts_of_a_folder(tiny_model: Path) -> None:
    facts = weights.facts_of_folder(tiny_model, quiet)
    names = ["config.json", "model.safetensors"]
    digests = [hashlib.sha256((tiny_model / name).read_bytes()).hexdigest() for name in names]
    listing = "".join(f"{d}  {n}\n" for d, n in zip(digests, names, strict=True))
    assert facts.sha256 == hashlib.sha256(listing.encode()).hexdigest()
    assert (facts.parameters, facts.weight_format) == (35, "bfloat16 safetensors")
    assert (facts.license, facts.revision, facts.quantization) == ("apache-2.0", None, None)
    assert facts.size_bytes == (tiny_model / "model.safetensors").stat().st_size


def test_a_quantised_folder_says_how(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"quantization_config": {"quant_method": "awq"}, "license": "mit"}'
    )
    tensors(tmp_path / "m.safetensors", qweight=("I32", [8, 8]))
    facts = weights.facts_of_folder(tmp_path, quiet)
    assert (facts.quantization, facts.weight_format, facts.license) == (
        "awq",
        "awq safetensors",
        "mit",
    )
    assert facts.parameters is None


def test_a_folder_without_weights_or_words_is_all_null(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[]")
    (tmp_path / "README.md").write_text("# no front matter\nlicense: mit\n")
    facts = weights.facts_of_folder(tmp_path, quiet)
    assert (facts.parameters, facts.weight_format, facts.license) == (None, None, None)


def test_the_snapshot_of_a_hub_id_is_its_commit(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HUGGINGFACE_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    commit = "a" * 40
    repository = tmp_path / "hub" / "models--org--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    (repository / "snapshots" / commit).symlink_to(tiny_model)
    found = weights.snapshot_of("org/tiny")
    assert found is not None
    assert weights.snapshot_of("org/tiny", commit) == found
    assert weights.snapshot_of("org/tiny", "v2") is None
    assert weights.snapshot_of("org/other") is None
    facts = weights.facts_of_snapshot(found)
    assert (facts.revision, facts.sha256, facts.parameters) == (commit, None, 35)


def test_a_large_files_hash_is_kept_while_the_file_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_KEPT_BYTES", 10)
    monkeypatch.setattr(weights, "_LOUD_BYTES", 20)
    path = tmp_path / "w.gguf"
    path.write_bytes(b"x" * 30)
    lines: list[str] = []
    first = weights.hash_file(path, lines.append)
    assert first == hashlib.sha256(b"x" * 30).hexdigest()
    assert weights.hash_file(path, lines.append) == first
    assert lines == ["hashing w.gguf (0.0 GiB)"]
    path.write_bytes(b"y" * 30)
    assert weights.hash_file(path, lines.append) == hashlib.sha256(b"y" * 30).hexdigest()


def test_a_hash_that_cannot_be_kept_is_told_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_KEPT_BYTES", 10)
    path = tmp_path / "w.gguf"
    path.write_bytes(b"x" * 30)
    monkeypatch.setenv(
        "OBSERVATORY_CACHE", str(path)
    )  # a file, so that no folder can be made there
    assert weights.hash_file(path, quiet) == hashlib.sha256(b"x" * 30).hexdigest()


def test_a_link_that_leads_nowhere_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"123")
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "blob-that-was-removed")
    assert weights.size_of(tmp_path) == 3
