"""Which endpoint a name belongs to: equal addresses in any spelling are one, and none can be read back."""

from pathlib import Path

import pytest

from observatory.core.workspace import Workspace
from observatory.store.folder.target_addresses import (
    KEY_NAME,
    address_hash,
    elsewhere,
    name_for,
    normalised,
    uses_of_names,
)
from observatory.store.queries.export import NAMES
from tests.store.made_runs import facts, manifest, sealed_run, workspace_in

ONE, TWO = "http://gpu-1:8000/v1", "http://gpu-2:8000/v1"


@pytest.mark.parametrize(
    "same",
    [
        ("http://Host.example/v1", "HTTP://host.example:80/v1/", "http://host.example./v1"),
        ("https://h/v1", "https://h:443/v1"),
        ("http://localhost:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000/v1", "http://[0:0:0:0:0:0:0:1]:8000/v1"),
        ("http://h/a%7Eb/v1", "http://h/a~b/v1"),
        ("http://h", "http://h/"),
    ],
    ids=str,
)
def test_spellings_of_an_address_are_one(same: tuple[str, ...]) -> None:
    assert len({normalised(url) for url in same}) == 1


def test_other_ports_paths_schemes_and_hosts_are_others() -> None:
    urls = ["http://h/v1", "https://h/v1", "http://h:81/v1", "http://h/v2", "http://h/V1", "http://g/v1"]  # fmt: skip
    assert len({normalised(url) for url in urls}) == len(urls)


def test_the_key_is_the_workspaces_own_and_is_not_exported(tmp_path: Path) -> None:
    here, there = workspace_in(tmp_path / "a"), workspace_in(tmp_path / "b")
    assert address_hash(here, ONE) == address_hash(here, ONE) != address_hash(here, TWO)
    assert address_hash(here, ONE) != address_hash(there, ONE)
    key = here.results / KEY_NAME
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32
    assert list(here.results.iterdir()) == [key]
    assert not any("key" in name for name in NAMES)


def run_at(space: Workspace, name: str, run_id: str, url: str | None, at: int, **told: str) -> None:
    """A run of a target; without a hash, as versions before this one wrote them, unless one is given."""
    own = facts(name, kind="url", emulated=False, endpoint=url, **told)
    sealed_run(space, manifest(run_id, target=own, created_utc=f"2026-11-2{at}T10:00:00Z"))


def test_a_second_address_gets_four_digits_and_keeps_them(tmp_path: Path) -> None:
    space = workspace_in(tmp_path)
    assert name_for(space, "m", ONE) == "m"
    run_at(space, "m", "r1", ONE, 0)
    second = f"m-{address_hash(space, TWO)[:4]}"
    assert name_for(space, "m", ONE) == "m" and name_for(space, "m", f"{ONE}/") == "m"
    assert name_for(space, "m", TWO) == second
    run_at(space, second, "r2", TWO, 1, address_hash=address_hash(space, TWO))
    assert name_for(space, "m", TWO) == second and name_for(space, "m", ONE) == "m"
    assert elsewhere(space, "m", address_hash(space, ONE)) is None


def test_a_name_at_two_addresses_is_told_with_the_latest_run(tmp_path: Path) -> None:
    space = workspace_in(tmp_path)
    run_at(space, "m", "r1", ONE, 0)
    run_at(space, "m", "r2", ONE, 1, address_hash=address_hash(space, ONE))
    run_at(space, "m", "r3", TWO, 2)
    run_at(space, "m", "r4", None, 3)  # it never opened, and its version wrote no address
    assert elsewhere(space, "m", address_hash(space, TWO)) == "r2"
    assert elsewhere(space, "m", address_hash(space, ONE)) == "r3"
    assert [use.run_id for use in uses_of_names(space)["m"]] == ["r1", "r2", "r3"]
    assert name_for(space, "m", ONE) == name_for(space, "m", TWO) == "m"


def test_the_name_of_a_target_that_is_started_here_is_taken(tmp_path: Path) -> None:
    space = workspace_in(tmp_path)
    sealed_run(space, manifest("r1", target=facts("m")))
    assert name_for(space, "m", ONE) == f"m-{address_hash(space, ONE)[:4]}"
    assert elsewhere(space, "m", address_hash(space, ONE)) is None
    (space.runs / "broken").mkdir()
    (space.runs / "broken" / "manifest.json").write_text("[" * 6000)
    assert set(uses_of_names(space)) == {"m"}
