"""Damage sealed run folders in many ways and show what the verbs that read them do.

`python -m tools.damage_folders [--only NAME ...] [--json FILE]`. Each way damages a copy of one measured run
next to an intact one, then runs `rebuild`, `runs list` and `site build`. A verb is at fault where it
hangs, ends with a trace, or loses the intact run; whether its messages name the damaged folder is shown.
docs/reliability.md has the table. Exit code: 0 no verb is at fault, 1 one is.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.warm_command import WarmCommand

SCENARIO = """
name: damaged
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 2}]
timing: {warmup: 500ms, steady: 2s, drain: 3s}
telemetry: {interval: 500ms, codecarbon: false}
targets:
  - kind: emulated
    name: emulated-a
    profile: {ttft_median: 20ms, ttft_p95: 30ms, inter_token_median: 2ms, inter_token_p95: 3ms}
"""
VERBS = (("rebuild",), ("runs", "list"), ("site", "build"))
PATIENCE_S = 90.0
LATER = "20990101T000000Z-damaged"
"""What the names of copied and renamed folders begin with."""


def _cut(name: str, share: float) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: round(len(whole) * share)])

    return damage


def _without_last_byte(run: Path) -> None:
    (run / "samples.parquet").write_bytes((run / "samples.parquet").read_bytes()[:-1])


def _changed_byte(run: Path) -> None:
    path = run / "requests.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _wrong_hash(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["sealed"] = dict.fromkeys(manifest["sealed"], "0" * 64)
    (run / "manifest.json").write_text(json.dumps(manifest))


def _edited(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["verdict"] = {"level": "valid", "codes": [], "sentence": "valid: edited by hand"}
    (run / "manifest.json").write_text(json.dumps(manifest, indent=2))


def _nested(run: Path) -> None:
    (run / "manifest.json").write_text('{"scenario": ' + "[" * 5000 + "]" * 5000 + "}")


def _swapped(run: Path) -> None:
    one, other, aside = run / "requests.parquet", run / "attempts.parquet", run / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def _another_id(run: Path) -> None:
    shutil.copytree(run, run.with_name(f"{LATER}-copy-0000"))


def _renamed(run: Path) -> None:
    run.rename(run.with_name(f"{LATER}-renamed-0000"))


def _folder_for_file(run: Path) -> None:
    (run / "samples.parquet").unlink()
    (run / "samples.parquet").mkdir()


def _fifo(name: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return damage


def _text(name: str, text: str) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_text(text)

    return damage


def _dead_link(run: Path) -> None:
    (run / "ticks.parquet").unlink()
    (run / "ticks.parquet").symlink_to(run / "nowhere")


WAYS: dict[str, Callable[[Path], None]] = {
    "requests.parquet cut in half": _cut("requests.parquet", 0.5),
    "attempts.parquet empty": _cut("attempts.parquet", 0.0),
    "samples.parquet without its last byte": _without_last_byte,
    "attempts.parquet missing": lambda run: (run / "attempts.parquet").unlink(),
    "one byte of requests.parquet changed": _changed_byte,
    "requests.parquet and attempts.parquet swapped": _swapped,
    "ticks.parquet a link to nothing": _dead_link,
    "samples.parquet a folder": _folder_for_file,
    "samples.parquet a pipe": _fifo("samples.parquet"),
    "samples.parquet unreadable (mode 000)": lambda run: (run / "samples.parquet").chmod(0),
    "a file too many": _text("notes.txt", "mine"),
    "manifest missing": lambda run: (run / "manifest.json").unlink(),
    "manifest empty": _cut("manifest.json", 0.0),
    "manifest cut in half": _cut("manifest.json", 0.5),
    "manifest not JSON": _text("manifest.json", "\x00\x01 not JSON"),
    "manifest a list": _text("manifest.json", "[]"),
    "manifest 5,000 levels deep": _nested,
    "manifest of a later format": _text("manifest.json", '{"format": 99}'),
    "manifest a pipe": _fifo("manifest.json"),
    "manifest with wrong hashes": _wrong_hash,
    "manifest edited (its verdict)": _edited,
    "folder unreadable (mode 000)": lambda run: run.chmod(0),
    "folder copied under another name": _another_id,
    "folder renamed": _renamed,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb did. named: its words name the damaged folder. fault: why it is one; None: it is none."""

    way: str
    verb: str
    exit_code: int | None
    named: bool
    words: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    output: str
    errors: str


def main() -> int:
    """Measure two runs, damage a copy of one in each way, and print a line a verb."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ["COLUMNS"] = "250"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="damage-") as folder:
        sound = Path(folder) / "sound"
        victim, intact = _measured(sound)
        for way in given.only:
            place = Path(folder) / "copy"
            shutil.copytree(sound, place, symlinks=True)
            WAYS[way](place / "results" / "runs" / victim)
            for verb in VERBS:
                outcome = _give(way, verb, place, victim, intact)
                outcomes.append(outcome)
                state = outcome.fault or ("named" if outcome.named else "not named")
                print(
                    f"{way} | {outcome.verb} | exit {outcome.exit_code} | {state} | {outcome.words}"
                )
            _remove(place)
    if given.json is not None:
        given.json.write_text(
            json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n"
        )
    faults = [outcome for outcome in outcomes if outcome.fault]
    print(
        f"{len(outcomes)} verbs given after {len(given.only)} ways of damage, {len(faults)} at fault"
    )
    return 1 if faults else 0


def _measured(place: Path) -> tuple[str, str]:
    """A workspace with two sealed runs; their ids."""
    (place / "scenarios").mkdir(parents=True)
    (place / "scenarios" / "damaged.yaml").write_text(SCENARIO)
    for _ in range(2):
        done = _observatory(place, "run", "damaged")
        if done is None or done.code not in (0, 3):
            raise RuntimeError(
                "the runs to damage could not be measured" + (done.errors if done else "")
            )
    first, second = sorted(path.name for path in (place / "results" / "runs").iterdir())
    return first, second


def _give(way: str, verb: tuple[str, ...], place: Path, victim: str, intact: str) -> Outcome:
    if verb == ("rebuild",):  # the old database would hide a rebuild that stopped
        (place / "results" / "observatory.duckdb").unlink()
    done = _observatory(place, *verb)
    name = " ".join(verb)
    if done is None:
        return Outcome(way, name, None, False, "", f"hung for {PATIENCE_S:g} s")
    stated = done.errors.strip().splitlines()
    lines = (done.output + done.errors).splitlines()
    telling = [line.strip() for line in lines if victim in line or LATER in line]
    words = telling[-1] if telling else stated[-1] if stated else ""
    fault = None
    if "Traceback" in done.output + done.errors:
        fault = "a trace"
    elif done.code < 0:
        fault = f"signal {-done.code}"
    elif verb == ("rebuild",) and not _knows(place, intact):
        fault = "the intact run is gone"
    return Outcome(way, name, done.code, bool(telling), words[:200], fault)


def _knows(place: Path, run_id: str) -> bool:
    """Whether the database still has the intact run's requests."""
    query = f"select count(*) as n from requests where run_id = '{run_id}'"
    done = _observatory(place, "sql", query, "--format", "json")
    if done is None or done.code != 0:
        return False
    return bool(json.loads(done.output)[0]["n"])


def _observatory(place: Path, *arguments: str) -> Done | None:
    """The command, run in a workspace; None where it hangs."""
    with tempfile.TemporaryDirectory(prefix="printed-") as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        command = WarmCommand(list(arguments), place, output, errors)
        try:
            return Done(command.wait(PATIENCE_S), command.output, command.errors)
        except subprocess.TimeoutExpired:
            command.kill()
            return None


def _remove(place: Path) -> None:
    for path in [*place.rglob("*"), *(place / "results" / "runs").iterdir()]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(place)


if __name__ == "__main__":
    sys.exit(main())
