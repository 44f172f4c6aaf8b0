"""A second address under one name is an error within a campaign, however either was given and spelt."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from observatory.cli.main import app
from observatory.core.errors import BadInput
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.url import UrlTarget
from observatory.core.workspace import Workspace, open_workspace
from observatory.runner.campaign_execution import RunRequest
from observatory.runner.checks.target_names import address_notes, check_names
from observatory.store.folder.target_addresses import address_hash
from tests.store.made_runs import facts, manifest, sealed_run

SCENARIO = """name: two
seed: 1
workload: {{kind: tasks, tasks: [support-tickets]}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 1}}]
timing: {{warmup: 1s, steady: 5s, drain: 1s}}
telemetry: {{codecarbon: false}}
targets: [{targets}]
"""


def at(url: str, name: str = "m") -> UrlTarget:
    return UrlTarget(kind="url", name=name, url=url, model="m", billing="hours")


def request(folder: Path, *targets: Target) -> RunRequest:
    scenario = Scenario.model_validate(
        {
            "name": "s",
            "workload": {"kind": "tasks", "tasks": ["support-tickets"]},
            "arrivals": {"kind": "closed"},
            "stages": [{"concurrency": 1}],
        }
    )
    return RunRequest(scenario, folder, list(targets))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://h:8000/v1", "http://h:8001/v1"),
        ("http://h/v1", "https://h/v1"),
        ("http://h/v1", "http://h/v2"),
        ("http://[::1]:8000/v1", "http://[::2]:8000/v1"),
        ("http://127.0.0.1/v1", "http://[::1]/v1"),
    ],
)
def test_two_addresses_of_one_name_are_refused(first: str, second: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at different addresses are called m") as refused:
        check_names(request(tmp_path, at(first), at(second)))
    assert "--name" in str(refused.value)
    check_names(request(tmp_path, at(first), at(second, "n")))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("http://h/v1", "http://H:80/v1/"),
        ("https://h/v1", "https://H.:443/v1"),
        ("http://[::1]:8000/v1", "http://[0:0:0:0:0:0:0:1]:8000/v1/"),
        ("http://localhost:8000/v1", "http://127.0.0.1:8000/v1"),
    ],
)
def test_one_address_in_two_spellings_is_the_same_target_twice(
    first: str, second: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="m is named twice"):
        check_names(request(tmp_path, at(first), at(second)))


def test_a_target_that_is_started_here_has_its_name_alone(tmp_path: Path) -> None:
    started = EmulatedTarget(kind="emulated", name="emulated-m")
    with pytest.raises(BadInput, match="are called emulated-m"):
        check_names(request(tmp_path, started, at("http://h/v1", "emulated-m")))
    assert check_names(request(tmp_path, started)) == {"emulated-m": None}


def written(folder: Path, *targets: str) -> tuple[Workspace, str]:
    path = folder / "two.yaml"
    path.write_text(SCENARIO.format(targets=", ".join(targets)), encoding="utf-8")
    return open_workspace(folder / "results", root=folder), str(path)


ONE = "{kind: url, name: m, url: 'http://h-1:8000/v1', model: m, billing: hours}"


@pytest.mark.parametrize(
    "typed",
    [
        ("--url", "http://h-2:8000/v1", "--name", "m"),  # a name that was typed
        ("--url", "http://h-2:8000/v1", "--model", "org/M"),  # the model's name
        ("--target", "m"),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_typed_next_to_a_target_of_the_file_is_refused_before_anything_is_sent(
    typed: tuple[str, ...], dry: bool, tmp_path: Path
) -> None:
    space, path = written(tmp_path, ONE)
    words = ["run", path, "--target", "m", *typed, "--model", "m", "--results", str(space.results)]
    if "--model" in typed or "--url" not in typed:
        words = ["run", path, "--target", "m", *typed, "--results", str(space.results)]
    found = CliRunner().invoke(app, words + ["--dry-run"] * dry)
    assert isinstance(found.exception, BadInput), found.output
    assert "m is named twice" in str(found.exception) or "are called m" in str(found.exception)
    assert not space.runs.exists()


def test_a_files_own_targets_of_one_name_are_refused(tmp_path: Path) -> None:
    space, path = written(tmp_path, ONE, ONE.replace("h-1", "h-2"))
    found = CliRunner().invoke(app, ["run", path, "--dry-run", "--results", str(space.results)])
    assert isinstance(found.exception, BadInput), found.output
    assert "named twice: m" in str(found.exception)


def test_another_address_in_an_earlier_campaign_is_a_notice(tmp_path: Path) -> None:
    space = open_workspace(tmp_path / "results", root=tmp_path)
    before = facts("m", kind="url", emulated=False, address_hash=address_hash(space, "http://a/v1"))
    sealed_run(space, manifest("r1", target=before))
    assert address_notes(space, request(tmp_path, at("http://A:80/v1/"))) == []
    (line,) = address_notes(space, request(tmp_path, at("http://b/v1")))
    assert line.startswith("note: m was at another address in r1")
