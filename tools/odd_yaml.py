"""Scenario, target and price files as people mistype them: each must be refused in one line with its line.

    python -m tools.odd_yaml         reads every file as the verbs do (some seconds)
    python -m tools.odd_yaml --cli   runs `observatory scenario check` on every file (some minutes)

Exit code 1 where a file is accepted that must not be, where the message is not one line with a position,
or where anything but a refusal (exit code 2) comes of it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace, open_workspace
from observatory.inputs.price_files import read_price_file
from observatory.inputs.scenario_files import load_scenario
from observatory.inputs.target_files import read_targets
from observatory.workload.planning import make_plan

SCENARIO = """\
name: mine
seed: 7
processes: 1
workload:
  kind: tasks
  tasks: [support-tickets]
  max_tokens: 8
arrivals: {kind: closed}
stages:
  - concurrency: 1
timing: {warmup: 1s, steady: 2s, drain: 3s}
telemetry: {interval: 1s, codecarbon: false}
budget: {usd: 1, requests: 10}
slo: {per_request: {e2e: 10s}, attainment: 0.9}
targets: []
"""
TARGETS = """\
targets:
  - kind: url
    name: mine
    url: http://127.0.0.1:8000/v1
    model: m
    billing: hours
"""
PRICES = """\
prices:
  - provider: acme
    model: m
    input_per_million_usd: 1
    output_per_million_usd: 4
    source: contract
"""
SPOTS = {
    "scenario": (
        "name: mine", "seed: 7", "processes: 1", "kind: tasks", "tasks: [support-tickets]",
        "max_tokens: 8", "arrivals: {kind: closed}", "concurrency: 1", "warmup: 1s", "steady: 2s",
        "interval: 1s", "usd: 1", "requests: 10", "e2e: 10s", "attainment: 0.9", "targets: []",
    ),
    "targets": ("kind: url", "name: mine", "url: http://127.0.0.1:8000/v1", "billing: hours"),
    "prices": ("provider: acme", "input_per_million_usd: 1", "source: contract"),
}  # fmt: skip
"""The keys that get each of VALUES, one at a time."""
VALUES = {
    "a list": "[]", "a mapping": "{a: 1}", "a list of lists": "[[[]]]", "minus one": "-1",
    "400 digits": "9" * 400, "5,000 digits": "9" * 5000, "infinite": ".inf", "no number": ".nan",
    "beyond a double": "1e400", "an unknown alias": "*nope", "a tag": "!!python/object:os.system x",
    "half a pair": '"\\ud800"', "an open bracket": "[1, 2", "an open quote": '"a',
    "a date": "2026-01-01", "Arabic digits": "\u0661\u0662", "a fraction by zero": "1/0s",
    "seconds of 400 digits": "9" * 400 + "s", "a unit of nothing": "5 parsecs",
    "nested 2,000 times": "[" * 2000 + "]" * 2000, "an emoji": "\U0001f600 \U0001f600",
}  # fmt: skip
MAY_HOLD = {
    ("source", "a date"), ("source", "Arabic digits"), ("source", "a fraction by zero"),
    ("source", "seconds of 400 digits"), ("source", "a unit of nothing"), ("source", "an emoji"),
    ("provider", "a date"), ("provider", "Arabic digits"), ("provider", "a fraction by zero"),
    ("provider", "seconds of 400 digits"), ("provider", "a unit of nothing"), ("provider", "an emoji"),
    ("name", "a date"), ("targets", "a list"), ("seed", "minus one"),
}  # fmt: skip
"""Values that a key may have, or whose fault is another's to find."""
WHOLE = {
    "empty": "", "a comment alone": "# nothing\n", "a mark alone": "---\n", "a scalar": "mine\n",
    "a list": "- a\n- b\n", "two documents": SCENARIO + "---\n" + SCENARIO,
    "a tab": SCENARIO.replace("  kind", "\tkind"), "a key twice": SCENARIO + "seed: 8\n",
    "a key twice inside": SCENARIO.replace("usd: 1", "usd: 1, usd: 2"),
    "a merge key": SCENARIO.replace("  kind: tasks", "  <<: {kind: tasks}"),
    "a number as key": SCENARIO + "5: x\n", "a list as key": SCENARIO + "? [a]\n: x\n",
    "null as key": SCENARIO + "~: x\n", "true as key": SCENARIO + "true: x\n",
    "no space after a colon": SCENARIO.replace("seed: 7", "seed:7"),
    "an indentation too deep": SCENARIO.replace("seed: 7", "   seed: 7"),
    "an indentation too flat": SCENARIO.replace("  tasks: [", " tasks: ["),
    "a no-break space": SCENARIO.replace("  kind", "\u00a0\u00a0kind"),
    "a wide colon": SCENARIO.replace("seed:", "seed\uff1a"),
    "a zero byte": SCENARIO.replace("mine", "mi\x00ne"), "a bell": SCENARIO.replace("mine", "mi\x07ne"),
    "an unclosed brace": SCENARIO.replace("{kind: closed}", "{kind: closed"),
    "a brace too many": SCENARIO.replace("{kind: closed}", "{kind: closed}}"),
    "a percent sign first": "%YAML 9.9\n---\n" + SCENARIO, "a directive": "%FOO\n" + SCENARIO,
    "an alias to itself": SCENARIO + "description: &a [*a]\n",
    "a laugh": "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)),
    "5,000 levels": "a: " + "[" * 5000 + "]" * 5000, "5,000 mappings": "{a: " * 5000 + "1" + "}" * 5000,
    "5,000 dashes": "- " * 5000 + "a", "a binary tag": SCENARIO + "description: !!binary aGk=\n",
    "a set": SCENARIO + "description: !!set {a}\n", "a custom tag": SCENARIO + "description: !x y\n",
    "an unknown key": SCENARIO + "temprature: 1\n", "a key in capitals": SCENARIO.replace("seed", "SEED"),
    "a misspelt kind": SCENARIO.replace("kind: tasks", "kind: taks"),
    "a missing workload": re.sub("workload:.*max_tokens: 8\n", "", SCENARIO, flags=re.S),
    "JSON's open brace": '{"name": "mine"', "a Python object": SCENARIO + "x: !!python/none\n",
    "XML": "<?xml version='1.0'?><scenario/>", "TOML": '[scenario]\nname = "mine"\n',
    "a million brackets": "[" * 100_000, "2 MiB": "#" * (2 << 20), "carriage returns": "a: 1\rb: [\r",
    "a line separator": "name: a\u2028b: [\n", "an anchor twice": SCENARIO + "description: &a &b x\n",
    "a long key": "k" * 5000 + ": 1\n", "a question mark": SCENARIO + "? \n",
    "an at sign": SCENARIO + "description: @x\n", "a backtick": SCENARIO + "description: `x`\n",
    "an unknown escape": SCENARIO + 'description: "\\q"\n', "a star": SCENARIO + "description: *\n",
}  # fmt: skip
"""Whole files, read as scenarios."""
BYTES = {
    "UTF-16": SCENARIO.encode("utf-16"), "UTF-16BE": SCENARIO.encode("utf-16-be"),
    "Latin-1": SCENARIO.replace("mine", "m\u00fcne").encode("latin-1"), "zeros": bytes(100),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(20), "a workbook": b"PK\x03\x04xl/workbook.xml",
    "half of a character": SCENARIO.encode() + b"description: \xe2\x82",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class OddFile:
    """One file: which kind it is read as, its bytes, and whether it must be refused."""

    name: str
    kind: str
    data: bytes
    refused: bool = True


def odd_files() -> Iterator[OddFile]:
    """Every file of the set, by the tables above."""
    whole = {"scenario": SCENARIO, "targets": TARGETS, "prices": PRICES}
    for kind, spots in SPOTS.items():
        for spot in spots:
            key = spot.partition(":")[0]
            for name, value in VALUES.items():
                text = whole[kind].replace(spot, f"{key}: {value}", 1)
                must = (key, name) not in MAY_HOLD
                yield OddFile(f"{kind}, {key}: {name}", kind, _encoded(text), must)
    for name, text in WHOLE.items():
        yield OddFile(f"scenario, {name}", "scenario", _encoded(text))
    for kind in whole:
        for name, data in BYTES.items():
            yield OddFile(f"{kind}, {name}", kind, data)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def verdict_in_process(odd: OddFile, folder: Path, workspace: Workspace) -> str | None:
    """What is wrong with how the file is taken; None where it is right."""
    path = written(odd, folder)
    try:
        _readers(workspace)[odd.kind](path)
    except BadInput as error:
        return fault_of(odd, str(error), path)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "accepted" if odd.refused else None


def verdict_by_cli(odd: OddFile, folder: Path) -> str | None:
    """The same through `observatory scenario check`."""
    path = written(odd, folder)
    done = subprocess.run(
        [sys.executable, "-m", "observatory", "scenario", "check", str(path)],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return "accepted" if odd.refused else None
    if done.returncode != 2:
        return f"exit code {done.returncode}: {done.stderr[-200:]}"
    return fault_of(odd, done.stderr.removeprefix("observatory: ").rstrip("\n"), path)


def written(odd: OddFile, folder: Path) -> Path:
    """The file on disk, under the name that its kind is known by."""
    path = folder / (f"{odd.kind}.yaml" if odd.kind != "scenario" else "mine.yaml")
    path.write_bytes(odd.data)
    return path


def fault_of(odd: OddFile, said: str, path: Path) -> str | None:
    """What a refusal lacks: one line, and a position where the file is text."""
    if "\n" in said or len(said) > 1000:
        return f"not one line of a readable length: {said[:200]!r}"
    if not re.search(rf"{re.escape(path.name)}(:\d+)?: ", said):
        return f"it does not name the file: {said[:200]!r}"
    text = odd.name.split(", ")[-1] not in (*BYTES, "2 MiB")
    if text and not re.search(rf"{re.escape(path.name)}:\d+: ", said):
        return f"it names no line: {said[:200]!r}"
    return None


def _readers(workspace: Workspace) -> dict[str, Callable[[Path], object]]:
    def scenario(path: Path) -> object:
        loaded = load_scenario(str(path), workspace)
        return make_plan(loaded.scenario, path.parent)

    return {"scenario": scenario, "targets": read_targets, "prices": read_price_file}


def main() -> int:
    """Try them all; a line for each that is not taken as it must be."""
    by_cli = "--cli" in sys.argv[1:]
    wrong, refused = 0, 0
    with tempfile.TemporaryDirectory(prefix="odd-yaml-") as scratch:
        folder = Path(scratch)
        workspace = open_workspace(folder / "results", root=folder)
        files = list(odd_files())
        for odd in files:
            found = (
                verdict_by_cli(odd, folder)
                if by_cli
                else verdict_in_process(odd, folder, workspace)
            )
            refused += odd.refused
            if found is not None:
                wrong += 1
                print(f"{odd.name}: {found}")
    print(f"{len(files)} files, {refused} of which must be refused: {wrong} were taken wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
