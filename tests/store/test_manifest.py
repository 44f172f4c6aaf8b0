"""manifest.json: read with care for its number, written whole or not at all."""

import errno
import json
from pathlib import Path

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, ExitCode
from observatory.core.run import MANIFEST_FORMAT
from observatory.store.folder.manifest import read_manifest, write_manifest
from tests.store.made_runs import manifest


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    made = manifest()
    write_manifest(tmp_path, made)
    assert read_manifest(tmp_path) == made
    assert (tmp_path / "manifest.json").read_text().startswith('{\n  "format": 1,')


def _with_format(folder: Path, number: object) -> None:
    write_manifest(folder, manifest())
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": number}))


def test_too_new_and_too_old_give_different_messages(tmp_path: Path) -> None:
    _with_format(tmp_path, MANIFEST_FORMAT + 1)
    with pytest.raises(BadInput, match=r"manifest.json: manifest format 2 is too new.*update"):
        read_manifest(tmp_path)
    _with_format(tmp_path, 0)
    with pytest.raises(BadInput, match="format 0 is too old: this version reads from 1"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"format": "one"}', '{"format": 1}', "\xff"])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(EnvironmentFailed, match="the manifest is damaged") as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.json") in str(caught.value)
    assert caught.value.exit_code == ExitCode.TARGET_OR_ENVIRONMENT_FAILED


def test_another_folder_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not a run folder"):
        read_manifest(tmp_path)


def test_fields_of_a_later_minor_version_are_ignored(tmp_path: Path) -> None:
    write_manifest(tmp_path, manifest())
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "unknown_to_us": 1}))
    assert read_manifest(tmp_path) == manifest()


def test_a_full_disk_leaves_the_old_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, manifest())

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentFailed, match="No space left on device — free some space"):
        write_manifest(tmp_path, manifest(status="crashed"))
    assert read_manifest(tmp_path).status == "complete"
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
