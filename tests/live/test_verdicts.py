"""Each code of the verdict, provoked by its one command and by nothing else; and a clean control.

A command that alters a finished stage's journals is proved on copies of two runs; the others run. On a busy
machine a run has the codes of a busy machine too, and rightly.
"""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.run import Manifest
from observatory.core.workspace import Workspace
from observatory.runner.finish import finish_run
from observatory.store.folder.manifest import read_manifest
from tests import forked
from tests.empty_database import stock_with_prices
from tests.live.harness import PATIENCE_S

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[2]
OF_A_BUSY_MACHINE = {
    "client_cpu",
    "client_delay",
    "shared_stamps",
    "offered_rate",
    "telemetry_gap",
    "sensor_down",
    "drift",
    "foreign_cpu",
    "shared_cores",
}
NEEDS_PROCESSOR = OF_A_BUSY_MACHINE | {"sampler_cpu", "foreign_load", "server_tokens", "server_cap"}
"""What is not found where the sampler or the load did not get the processor in time."""
STARVED = {"client_delay", "foreign_cpu", "shared_cores", "telemetry_gap"}
"""One of these is in the verdict of a run that had too little of the processors to show its own code."""
BESIDE = {"cap_exceeded": {"long_answers"}}
"""What cannot be without another code: only answers beyond their limit pass a cap."""
MOSTLY_TAKEN = 0.6
"""Of the machine, by other processes, as the run reports: what is to be provoked may get no processor."""
BUSY_SHARE = 0.3
"""Of all cores, by others, while nothing of ours runs."""
TRIES = 2


def _provoke() -> ModuleType:
    spec = importlib.util.spec_from_file_location("provoke", ROOT / "tools" / "provoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["provoke"] = module
    spec.loader.exec_module(module)
    return module


PROVOKE = _provoke()
PROVOCATIONS: dict[str, Any] = PROVOKE.PROVOCATIONS
COMMANDS = {code: given.command(code) for code, given in PROVOCATIONS.items()}
NOTES = {code for code, row in THRESHOLDS.items() if row.as_found == "note"}
ALTERED = [code for code, given in PROVOCATIONS.items() if given.alter is not None]
CONTROL = PROVOKE.Provocation("clean")


def _alike() -> dict[str, list[str]]:
    """The codes whose commands do the same, by a name of them all; the control's is apart."""
    groups: dict[Any, list[str]] = {}
    for code, given in PROVOCATIONS.items():
        if given.alter is None and given != CONTROL:
            groups.setdefault(given, []).append(code)
    return {"-".join(codes): codes for codes in groups.values()}


ALIKE = _alike()


def start(words: list[str], results: Path) -> Manifest:
    """Run a module, or (a path) a program as it is documented, but for where results go; return the manifest."""
    stock_with_prices(Workspace(results.parent, results))
    given = [*words, "--results", str(results)]
    if given[0].endswith(".py"):
        done = subprocess.run(
            [sys.executable, *given],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        output = done.stdout + done.stderr
    else:
        child = forked.start(forked.COMMANDS, given, ROOT, os.environ)
        output = "".join(child.communicate(PATIENCE_S))
    return judged(results, output)


def judged(results: Path, message: str) -> Manifest:
    """Return the manifest of the last run."""
    folders = sorted((results / "runs").glob("*"))
    assert folders, message
    manifest = read_manifest(folders[-1])
    assert manifest.verdict is not None, message
    return manifest


def give(command: str, results: Path) -> Manifest:
    """Run the documented command."""
    program, *arguments = shlex.split(command)
    return start(arguments if program == "python" else [program, *arguments], results)


def forked_run(command: list[str], log: Path) -> forked.Command:
    """Start `python -m observatory ...` as a fork, its output in a file."""
    with log.open("wb") as file:
        return forked.start(forked.COMMANDS, command[2:], ROOT, os.environ, file)


def provoke(code: str, results: Path) -> Manifest:
    """Do what the documented command does, without an interpreter for it and one for its run."""
    command = COMMANDS[code]
    if command.startswith("observatory "):
        return give(command, results)
    stock_with_prices(Workspace(results.parent, results))
    log = results.parent / "log"

    def begin(words: list[str], **settings: Any) -> Any:
        if words[1:4] == ["-m", "observatory", "run"]:
            return forked_run(words, log)
        return subprocess.Popen(words, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PROVOKE, "subprocess", SimpleNamespace(Popen=begin, PIPE=subprocess.PIPE))
        PROVOKE.provoke(code, results)
    return judged(results, log.read_text(encoding="utf-8"))


def give_until_found(codes: list[str], folder: Path) -> Manifest:
    """Give the command of these codes; again where readings came too late to find one of them."""
    for number in range(TRIES):
        manifest = provoke(codes[0], folder / str(number) / "results")
        if set(codes) <= found(manifest) or not set(codes) & NEEDS_PROCESSOR:
            break
    return manifest


def codes_of(manifest: Manifest) -> set[str]:
    """The grave codes."""
    assert manifest.verdict is not None
    return set(manifest.verdict.codes)


def found(manifest: Manifest) -> set[str]:
    return {finding.code for finding in manifest.findings}


def shown_as_such(manifest: Manifest, code: str) -> None:
    """The finding has its threshold, and the verdict's sentence names it."""
    finding = next(finding for finding in manifest.findings if finding.code == code)
    threshold = THRESHOLDS[code]
    if threshold.as_found is not None:
        assert finding.severity == threshold.as_found
    else:
        assert finding.value is not None and finding.threshold is not None
        assert finding.value > finding.threshold == threshold.limit(finding.severity)
    assert manifest.verdict is not None
    assert code in NOTES or code in manifest.verdict.sentence


def provoked(manifest: Manifest, wanted: set[str]) -> None:
    """These codes and no others, but for those of a busy machine."""
    graves = wanted - NOTES
    others = codes_of(manifest) - graves - {one for code in wanted for one in BESIDE.get(code, ())}
    assert others <= OF_A_BUSY_MACHINE, manifest.findings
    # A grave code that another one softened to a note was not found as such.
    seen = {one.code for one in manifest.findings if one.code in NOTES or one.severity != "note"}
    for code in wanted & seen:
        shown_as_such(manifest, code)
    missing = wanted - seen
    taken = max(
        (one.value or 0 for one in manifest.findings if one.code == "foreign_cpu"), default=0
    )
    starved = bool(codes_of(manifest) & STARVED) or taken >= MOSTLY_TAKEN
    assert not missing or (missing <= NEEDS_PROCESSOR and starved), manifest.findings


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, tuple[Path, Manifest]]:
    """By `served`: the results of a run of `clean` as they were before its seal, and its manifest."""

    folders = [tmp_path_factory.mktemp("base") for _ in range(2)]  # not safe in threads

    def run(served: bool) -> tuple[Path, Manifest]:
        folder = folders[served]
        words = ["tests.live.keep_unsealed"]
        words += [str(folder / "kept"), "run", str(PROVOKE.SCENARIOS / "clean.yaml")]
        with PROVOKE.ExitStack() as stack:
            if served:
                words += PROVOKE.serve(stack, busy=False, neighbour=False)
            return folder / "kept", start(words, folder / "results")

    with ThreadPoolExecutor() as threads:
        return dict(zip((False, True), threads.map(run, (False, True)), strict=True))


def test_the_control_has_no_grave_code(bases: dict[bool, tuple[Path, Manifest]]) -> None:
    _, manifest = bases[False]
    assert codes_of(manifest) <= OF_A_BUSY_MACHINE, manifest.findings
    assert found(manifest) - OF_A_BUSY_MACHINE == {"emulated"}
    assert manifest.verdict is not None
    assert (manifest.verdict.level == "valid") == (not codes_of(manifest))
    assert [row.code for row in manifest.thresholds] == list(THRESHOLDS)


@pytest.mark.parametrize("code", ALTERED)
def test_altered_journals_of_a_clean_run_provoke_their_code_alone(
    code: str, bases: dict[bool, tuple[Path, Manifest]], tmp_path: Path
) -> None:
    given = PROVOCATIONS[code]
    assert given == PROVOKE.Provocation("clean", alter=given.alter, served=given.served)
    kept, base = bases[given.served]
    results = shutil.copytree(kept, tmp_path / "results")
    [run] = (results / "runs").iterdir()
    [samples] = results.glob("campaigns/*/samples.journal")
    given.alter(run / "journal" / "stage-00")
    done = finish_run(Workspace(tmp_path, results), run, read_manifest(run), samples)
    assert codes_of(done.manifest) - codes_of(base) == {code} - NOTES
    assert codes_of(base) <= codes_of(done.manifest)
    assert code in found(done.manifest) - codes_of(base)
    shown_as_such(done.manifest, code)


@pytest.mark.parametrize("code", ["lost_records", "energy_disagrees"])
def test_a_run_is_held_before_its_seal(code: str, tmp_path: Path) -> None:
    """The documented commands of ALTERED differ in what they alter; here is all the rest of them.

    They are run as they are typed; the others as forks.
    """
    provoked(give(COMMANDS[code], tmp_path / "results"), {code})


@pytest.mark.parametrize("codes", ALIKE.values(), ids=ALIKE)
def test_codes_are_provoked_by_their_command(codes: list[str], tmp_path: Path) -> None:
    provoked(give_until_found(codes, tmp_path), set(codes))


@pytest.mark.parametrize(
    ("scenario", "wanted", "words"),
    [
        ("held_back", {"errors", "offered_rate"}, "held back by a limit"),
        ("warm_cache", set(), "the cache was primed and no prompt token came from it"),
    ],
)
def test_other_scenarios_of_the_folder(
    scenario: str, wanted: set[str], words: str, tmp_path: Path
) -> None:
    manifest = give(f"observatory run scenarios/verdicts/{scenario}.yaml", tmp_path / "results")
    provoked(manifest, wanted)
    assert any(words in finding.message for finding in manifest.findings)


@pytest.mark.soak
@pytest.mark.alone
@pytest.mark.parametrize("code", COMMANDS)
def test_on_a_quiet_machine_a_command_provokes_its_code_and_nothing_else(
    code: str, tmp_path: Path
) -> None:
    """A command is given again where the machine was busy; where it stays so, the test skips."""
    wanted = {code} - NOTES
    for number in range(TRIES):
        manifest = give(COMMANDS[code], tmp_path / f"try-{number}")
        codes = codes_of(manifest)
        if codes == wanted or not (codes ^ wanted) & OF_A_BUSY_MACHINE:
            break
    else:
        others = psutil.cpu_percent(2) / 100
        if others > BUSY_SHARE:
            pytest.skip(f"others keep {others:.0%} of the cores busy: {sorted(codes)}")
    assert codes == wanted, manifest.findings
    shown_as_such(manifest, code)
