"""The set of mistyped YAML files (tools/odd_yaml.py), read as the verbs read them."""

from collections import Counter
from pathlib import Path

import pytest

from observatory.core.errors import BadInput
from observatory.core.units import parse_duration, parse_rate
from observatory.core.workspace import open_workspace
from tools.odd_yaml import OddFile, odd_files, verdict_by_cli, verdict_in_process

FILES = list(odd_files())


def test_the_set_is_large_and_names_each_file_once() -> None:
    refused = Counter(odd.kind for odd in FILES if odd.refused)
    assert refused["scenario"] > 300
    assert refused["targets"] > 60
    assert refused["prices"] > 40
    assert len({odd.name for odd in FILES}) == len(FILES)


@pytest.mark.parametrize("kind", ["scenario", "targets", "prices"])
def test_each_is_refused_in_one_line_with_its_position(kind: str, tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "results", root=tmp_path)
    found = {
        odd.name: fault
        for odd in FILES
        if odd.kind == kind and (fault := verdict_in_process(odd, tmp_path, workspace)) is not None
    }
    assert found == {}


def test_the_check_can_fail(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "results", root=tmp_path)
    fine = OddFile("scenario, fine", "targets", b"targets: []\n")
    assert verdict_in_process(fine, tmp_path, workspace) == "accepted"
    several = OddFile("scenario, several", "scenario", b"name: mine\n")
    assert "not one line" in (verdict_in_process(several, tmp_path, workspace) or "")


def test_one_of_them_by_the_command(tmp_path: Path) -> None:
    name = "scenario, seed: 400 digits"
    assert verdict_by_cli(next(odd for odd in FILES if odd.name == name), tmp_path) is None


@pytest.mark.parametrize(
    "text", ["9" * 400 + "s", "1" + "0" * 309 + "h", "9000000000h", "\u0661\u0662s"]
)
def test_a_duration_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert len(str(caught.value)) < 200
    with pytest.raises(ValueError):
        parse_rate(text[:-1] + "/s" if len(text) > 100 else "\u0661/s")


def test_numbers_that_fit_nowhere_are_named_with_their_option() -> None:
    from observatory.cli.options import check_size

    for value in (10**400, -(10**400), float("inf"), float("nan")):
        with pytest.raises(BadInput, match="--budget-usd: "):
            check_size("--budget-usd", value)
    for fine in (0, 2**63 - 1, 1e308, None, "9" * 400, True):
        check_size("--budget-usd", fine)
