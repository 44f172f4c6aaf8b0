"""observatory model: what there is, where it lies, and what an unknown name is told."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from observatory.cli.model import app
from observatory.core.errors import BadInput

NAME = "smollm2-135m-instruct-q4_1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    return tmp_path


def test_models_are_listed_with_size_and_place(cache: Path) -> None:
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert f"98 MB, Apache-2.0, not fetched: observatory model pull {NAME}" in shown
    (row,) = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert row["path"] == str(cache / "models" / f"{NAME}.gguf")
    assert (row["fetched"], row["bytes"]) == (False, 98_362_432)
    (cache / "models").mkdir()
    Path(row["path"]).touch()
    assert "Apache-2.0, fetched" in CliRunner().invoke(app, ["list"]).stdout


def test_an_unknown_model_is_answered_with_the_known(cache: Path) -> None:
    done = CliRunner().invoke(app, ["pull", "nothing"])
    assert isinstance(done.exception, BadInput)
    assert NAME in str(done.exception)


@pytest.mark.live
def test_the_built_in_model_is_pulled() -> None:
    done = CliRunner().invoke(app, ["pull", NAME])
    assert done.exit_code == 0, done.exception
    path = Path(done.stdout.strip())
    assert path.name == f"{NAME}.gguf"
    assert path.stat().st_size == 98_362_432
