"""observatory model: the models, their paths, and the error for an unknown name."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from observatory.cli.setup.model import app
from observatory.core.errors import BadInput
from observatory.models import models

NAME = "smollm2-135m-instruct-q4_1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    return tmp_path


def listed(name: str) -> dict[str, Any]:
    rows = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    found: dict[str, Any] = next(row for row in rows if row["name"] == name)
    return found


def test_models_are_listed_with_size_and_place(cache: Path) -> None:
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert f"98 MB, Apache-2.0, not here: observatory model pull {NAME}" in shown
    row = listed(NAME)
    assert row["path"] == str(cache / "models" / f"{NAME}.gguf")
    assert (row["here"], row["bytes"], row["needs_engine"]) == (False, 98_362_432, False)
    (cache / "models").mkdir()
    Path(row["path"]).touch()
    assert listed(NAME)["here"]


def test_what_is_made_says_from_what_and_that_it_is_not_the_published_weights(cache: Path) -> None:
    row = listed("smollm2-135m-instruct-bf16-dequantised")
    assert row["weight_format"] == "bfloat16 safetensors, dequantised from Q4_1"
    assert (row["made_from"], row["needs_engine"], row["download_bytes"]) == (NAME, True, None)
    shown = CliRunner().invoke(app, ["list"]).stdout
    assert "its answers are no evidence about the published weights" in shown
    assert "a stand-in that has learnt nothing" in shown
    assert "smollm2-lora-standins  (all of: smollm2-lora-standin-1, " in shown


def test_without_an_engine_the_command_that_installs_one_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "pull", partial(pull_without_fetching, models.pull))
    done = CliRunner().invoke(app, ["pull", "smollm2-135m-instruct-bf16-dequantised"])
    assert isinstance(done.exception, BadInput)
    assert done.exception.fix == "observatory engine install vllm==0.32.0"


def pull_without_fetching(
    real: Callable[[str, Callable[[str], None]], Path], name: str, report: Callable[[str], None]
) -> Path:
    return Path("source.gguf") if name == NAME else real(name, report)


def test_a_group_is_all_of_its_models_and_they_are_the_same_everywhere(cache: Path) -> None:
    done = CliRunner().invoke(app, ["pull", "smollm2-lora-standins"])
    assert done.exit_code == 0, done.exception
    folders = [Path(line) for line in done.stdout.splitlines()]
    assert [folder.name for folder in folders] == [f"smollm2-lora-standin-{n}" for n in range(1, 5)]
    assert all(listed(folder.name)["here"] for folder in folders)


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
