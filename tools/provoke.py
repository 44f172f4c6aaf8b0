"""Provokes one code of a run's verdict and no other: `python tools/provoke.py CODE [--results DIR]`.

Every provocation is a scenario of scenarios/verdicts run by the real command; where the service
alone cannot do it, something is done from outside while it runs, to the processes of that run only.
`python tools/provoke.py` lists them; docs/verdicts.md explains the codes.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import psutil

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.journal import decode_entries, encode_entry
from observatory.core.record import JournalEntry, RequestRecord, WorkerEnd, WorkerStart
from observatory.core.sample import Sample
from observatory.core.scenario import Timing
from observatory.core.workspace import shipped
from observatory.emulator.emulator import EMULATED_MODEL
from observatory.inputs.strict_yaml import read_yaml
from observatory.quality.scorers import score

SCENARIOS = shipped("scenarios") / "verdicts"
PATIENCE_S = 120.0
SCORING_SHARE = 0.75
"""Of the worker's core, for client_cpu; sending and decoding come on top."""


@dataclass
class Running:
    """A run that was started, and what is needed to do something to it."""

    child: subprocess.Popen[bytes]
    results: Path
    timing: Timing
    before: set[Path] = field(default_factory=set)
    probe: subprocess.Popen[str] | None = None

    def stage(self) -> Path:
        """The journal folder of its first stage, as soon as it is there."""
        found: list[Path] = []

        def there() -> bool:
            found[:] = [
                path
                for path in (self.results / "runs").glob("*/journal/stage-00")
                if path.parent.parent not in self.before
            ]
            return bool(found)

        self.wait(there, "the first stage")
        return found[0]

    def entries(self, name: str) -> list[JournalEntry]:
        """What one of the stage's journals holds by now."""
        path = self.stage() / name
        return list(decode_entries(path.read_bytes())) if path.exists() else []

    def started(self, workers: int = 1) -> list[WorkerStart]:
        """The first words of the stage's workers; returns when the stage has begun."""
        first: list[WorkerStart] = []

        def there() -> bool:
            stated = [self.entries(f"worker-{number}.ticks") for number in range(workers)]
            first[:] = [entries[0] for entries in stated if entries]  # type: ignore[misc]
            return len(first) == workers

        self.wait(there, "the workers")
        return first

    def process(self, words: str) -> int:
        """The process below the run whose command line holds these words."""
        for process in psutil.Process(self.child.pid).children(recursive=True):
            if words in " ".join(process.cmdline()):
                return process.pid
        raise RuntimeError(f"no process of the run is {words}")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Poll; RuntimeError where it never comes or the run ended before."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end or self.child.poll() is not None:
                raise RuntimeError(f"never came: {what}")
            time.sleep(0.005)


def pulses(stop_s: float, every_s: float) -> Callable[[Running], None]:
    """Stop the load worker for so long, so often, all through the stage."""

    def hurt(run: Running) -> None:
        worker = psutil.Process(run.started()[0].pid)
        end = time.monotonic() + run.timing.warmup + run.timing.steady
        while time.monotonic() < end:
            worker.suspend()
            time.sleep(stop_s)
            worker.resume()
            time.sleep(every_s - stop_s)

    return hurt


def before_others(run: Running) -> None:
    """Give the load worker the processor first, where we may: its own work is to keep it busy."""
    with suppress(psutil.AccessDenied):
        psutil.Process(run.started()[0].pid).nice(-15)


def silence_sensors(run: Running) -> None:
    """Stop the sampler for five seconds of the window."""
    run.started()
    time.sleep(run.timing.warmup + 3)
    sampler = psutil.Process(run.process("observatory.telemetry.sampler"))
    sampler.suspend()
    time.sleep(5)
    sampler.resume()


def kill_the_probe(run: Running) -> None:
    """The host that the probe is on is gone, three seconds into the window."""
    run.started()
    time.sleep(run.timing.warmup + 3)
    assert run.probe is not None
    run.probe.kill()


def between_requests(kill: str) -> Callable[[Running], None]:
    """Kill a process just after an answer, when no request is open."""

    def hurt(run: Running) -> None:
        workers = 2 if kill == "worker" else 1
        last = run.started(workers)[-1]
        journal = run.stage() / f"worker-{workers - 1}.requests"
        time.sleep(1.0 if kill == "worker" else run.timing.warmup + 3)
        seen = journal.stat().st_size if journal.exists() else 0
        run.wait(lambda: journal.exists() and journal.stat().st_size > seen, "an answer")
        os.kill(last.pid if kill == "worker" else run.process("emulator.emulator"), signal.SIGKILL)

    return hurt


def before_the_seal(alter: Callable[[Path], None]) -> Callable[[Running], None]:
    """Hold the run when its load is over, alter its journals, and let it seal them."""

    def hurt(run: Running) -> None:
        run.started()
        time.sleep(run.timing.warmup + run.timing.steady - 1)
        runner = psutil.Process(run.child.pid)
        runner.suspend()
        try:
            run.wait(
                lambda: isinstance(run.entries("worker-0.ticks")[-1], WorkerEnd), "the load's end"
            )
            alter(run.stage())
        finally:
            runner.resume()

    return hurt


def rewrite(change: Callable[[list[RequestRecord]], list[RequestRecord]]) -> Callable[[Path], None]:
    """An alteration of the records of worker 0."""

    def alter(stage: Path) -> None:
        path = stage / "worker-0.requests"
        records = [e for e in decode_entries(path.read_bytes()) if isinstance(e, RequestRecord)]
        path.write_bytes(b"".join(map(encode_entry, change(records))))

    return alter


def tear(stage: Path) -> None:
    """Half a frame at a journal's end, as a death in the middle of a write leaves it."""
    path = stage / "worker-0.ticks"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:11])


def stepped(records: list[RequestRecord]) -> list[RequestRecord]:
    """The mark that a worker puts on a request when realtime stepped while it was open."""
    middle = len(records) // 2
    marked = msgspec.structs.replace(records[middle], clock_step=True)
    return [*records[:middle], marked, *records[middle + 1 :]]


Reading = Callable[[float], float | None]
"""Seconds since the stage began -> a sensor's value then; None: no reading."""


def plant(sensor: str, readings: dict[tuple[str, str], Reading]) -> Callable[[Path], None]:
    """Readings of a sensor that this machine need not have, once a second of the whole stage.

    By device and metric; ENGINE is replaced by the target's process.
    """

    def alter(stage: Path) -> None:
        (start,) = (
            entry.stage_started
            for entry in decode_entries((stage / "worker-0.ticks").read_bytes())
            if isinstance(entry, WorkerStart)
        )
        assert start is not None
        run = stage.parent.parent
        name = json.loads((run / "manifest.json").read_text())["target"]["name"]
        planted = [
            Sample(
                start + second * 1_000_000_000,
                "process" if metric == "cpu_s" else sensor,
                "target" if device == ENGINE else "shared_host",
                device.replace(ENGINE, f"engine:{name}"),
                metric,
                value,
            )
            for second in range(25)
            for (device, metric), reading in readings.items()
            if (value := reading(second)) is not None
        ]
        (journal,) = (run.parent.parent / "campaigns").glob("*/samples.journal")
        with journal.open("ab") as end:
            end.write(b"".join(map(encode_entry, planted)))

    return alter


ENGINE = "ENGINE"


def gpu(power_w: float, counted_w: float, limit_w: float) -> Callable[[Path], None]:
    """A GPU of the target's, by its power, its counter and its limit."""
    return plant(
        "nvml",
        {
            ("gpu0", "gpu_power_w"): lambda _: power_w,
            ("gpu0", "gpu_energy_j"): lambda second: counted_w * second,
            ("gpu0", "gpu_power_limit_w"): lambda _: limit_w,
            (ENGINE, "gpu0_memory_used_bytes"): lambda _: 1e9,
        },
    )


def counter_with_a_gap(stage: Path) -> None:
    """Processors' joules that codecarbon did not read for five seconds of the window."""
    plant(
        "codecarbon",
        {
            ("cpu/cpu_load", "energy_j"): lambda s: None if 4 < s < 9 else 20.0 * s,
            (ENGINE, "cpu_s"): lambda s: 0.5 * s,
        },
    )(stage)


def interrupt(after_warmup_s: float) -> Callable[[Running], None]:
    """Stop the run so many seconds after the warm-up (before its end where negative).

    SIGTERM and not Ctrl-C, which a run in the background rightly does not hear.
    """

    def hurt(run: Running) -> None:
        run.started()
        time.sleep(run.timing.warmup + after_warmup_s)
        run.child.terminate()

    return hurt


stop_in_the_window = interrupt(5)


def intrude(run: Running) -> None:
    """Send requests to the run's own service, one after the other, through the whole stage."""
    run.started()
    service = psutil.Process(run.process("emulator.emulator"))
    [port] = {
        address.laddr.port for address in service.net_connections() if address.status == "LISTEN"
    }
    body = {"model": EMULATED_MODEL, "messages": [{"role": "user", "content": "Who else is here?"}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    end = time.monotonic() + run.timing.warmup + run.timing.steady
    while time.monotonic() < end:
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


def busy_scoring(folder: Path) -> Path:
    """client_cpu with the longest references that are scored, and as many users as fill the core."""
    shutil.copytree(SCENARIOS, folder, dirs_exist_ok=True)
    shutil.copy(SCENARIOS.parent / "scenario.schema.json", folder.parent)
    text = " ".join(f"w\u00f6rd{number}" for number in range(6000))
    began = time.process_time()
    for _ in range(20):
        score("token_f1", text, "word", finish_reason="stop", labels=None)
    one_s = (time.process_time() - began) / 20
    rows = [{"id": f"item-{n}", "prompt": f"Say word {n}.", "expected": text} for n in range(4)]
    path = folder / "client_cpu.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scenario = folder / "client_cpu.yaml"
    users = round(SCORING_SHARE / one_s * 5.0)  # an answer takes five seconds
    scenario.write_text(scenario.read_text().replace("concurrency: 60", f"concurrency: {users}"))
    return scenario


@dataclass(frozen=True)
class Provocation:
    """A scenario, what is added to its command, and what is done to the run (None: nothing).

    alter changes the journals of the stage before they are sealed, and nothing else of the run.
    prepare makes a changed copy of the scenario; served: on a service of its own on this host, with the
    fault of that name (tools/small_service.py); busy: which itself computes on all cores; neighbour: other
    work does.
    probed: the command of a probe that the run reads, as if it were on another host.
    """

    scenario: str
    arguments: tuple[str, ...] = ()
    hurt: Callable[[Running], None] | None = None
    alter: Callable[[Path], None] | None = None
    prepare: Callable[[Path], Path] | None = None
    served: bool = False
    busy: bool = False
    fault: str = ""
    neighbour: bool = False
    probed: tuple[str, ...] = ()

    def command(self, code: str) -> str:
        """The one command: the tool's own where nothing needs to be done from outside."""
        if self.hurt or self.alter or self.prepare or self.served or self.probed:
            return f"python tools/provoke.py {code}"
        return " ".join(
            ["observatory run", f"scenarios/verdicts/{self.scenario}.yaml", *self.arguments]
        )


PROVOCATIONS: dict[str, Provocation] = {
    "lost_records": Provocation("clean", alter=rewrite(lambda found: found[:-1])),
    "lost_worker": Provocation("sparse", ("--processes", "2"), between_requests("worker")),
    "torn_journal": Provocation("clean", alter=tear),
    "duplicate_records": Provocation("clean", alter=rewrite(lambda found: [*found, found[0]])),
    "refused_alike": Provocation("refused_alike"),
    "no_requests": Provocation("clean", hurt=interrupt(-1)),
    "client_cpu": Provocation("client_cpu", hurt=before_others, prepare=busy_scoring),
    "client_delay": Provocation("client_delay", hurt=pulses(0.040, 1.0)),
    "shared_stamps": Provocation("shared_stamps", hurt=pulses(0.020, 0.2)),
    "offered_rate": Provocation("offered_rate"),
    "drift": Provocation("drift"),
    "token_mismatch": Provocation("token_mismatch"),
    "telemetry_gap": Provocation("clean", hurt=silence_sensors),
    "energy_disagrees": Provocation("clean", alter=gpu(150, 100, 300), served=True),
    "energy_power": Provocation("clean", alter=gpu(500, 500, 300), served=True),
    "sensor_down": Provocation(
        "clean", hurt=kill_the_probe, probed=("-m", "observatory", "probe", "--port", "0")
    ),
    "sensor_lies": Provocation("clean", probed=(str(Path(__file__).with_name("lying_probe.py")),)),
    "server_cap": Provocation("server_cap"),
    "server_tokens": Provocation("server_tokens"),
    "foreign_load": Provocation("clean", hurt=intrude),
    "model_changed": Provocation("model_changed"),
    "clock_step": Provocation("clean", alter=rewrite(stepped)),
    "errors": Provocation("errors"),
    "throttled": Provocation("throttled"),
    "stale_connections": Provocation("stale_connections"),
    "empty_answers": Provocation("clean", served=True, fault="empty"),
    "short_answers": Provocation("short_answers", served=True),
    "long_answers": Provocation("long_answers"),
    "not_streamed": Provocation("clean", served=True, fault="whole"),
    "burst_streams": Provocation("clean", served=True, fault="burst"),
    "model_substituted": Provocation("model_substituted"),
    "cache_state": Provocation("cache_state"),
    "foreign_cpu": Provocation("clean", served=True, busy=True, neighbour=True),
    "shared_cores": Provocation("clean", served=True, busy=True),
    "crashed": Provocation("sparse", hurt=between_requests("service")),
    "interrupted": Provocation("clean", hurt=stop_in_the_window),
    "budget_reached": Provocation("clean", ("--budget-requests", "200")),
    "cap_exceeded": Provocation("cap_exceeded"),
    "window_cut": Provocation("clean", hurt=stop_in_the_window),
    "energy_window": Provocation("clean", alter=gpu(200, 200, 300), served=True),
    "energy_gap": Provocation("clean", alter=counter_with_a_gap, served=True),
    "pace_not_kept": Provocation("pace_not_kept"),
    "fingerprint_changed": Provocation("fingerprint_changed"),
    "odd_events": Provocation("clean", served=True, fault="odd"),
    "left_out": Provocation("clean", hurt=stop_in_the_window),
    "percentile_floor": Provocation("percentile_floor"),
    "sampler_cpu": Provocation("sampler_cpu"),
    "emulated": Provocation("clean"),
}
"""Every code of analysis.checks.thresholds, in its order."""


def table() -> str:
    """The codes with their limits and the command that provokes each, as a Markdown table."""
    lines = ["| code | degraded | invalid | of | provoked by |", "|---|---|---|---|---|"]
    for code, provocation in PROVOCATIONS.items():
        row = THRESHOLDS[code]
        found = f"as found: {row.as_found}" if row.as_found else "-"
        degraded = found if row.degraded is None else f"> {row.degraded:g}"
        invalid = "-" if row.invalid is None else f"> {row.invalid:g}"
        lines.append(
            f"| [`{code}`](#{code}) | {degraded} | {invalid} | {row.unit} "
            f"| `{provocation.command(code)}` |"
        )
    return "\n".join(lines)


def filled(page: str) -> str:
    """The page with the table between its markers."""
    opening, closing = "<!-- begin verdicts -->", "<!-- end verdicts -->"
    before, _, rest = page.partition(opening)
    return f"{before}{opening}\n{table()}\n{closing}{rest.partition(closing)[2]}"


def provoke(code: str, results: Path) -> dict[str, Any]:
    """Run it; answers the run's manifest. RuntimeError where the run never came to be."""
    chosen = PROVOCATIONS[code]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="provoke-")))
        path = SCENARIOS / f"{chosen.scenario}.yaml"
        if chosen.prepare is not None:
            path = chosen.prepare(folder / "verdicts")
        arguments = list(chosen.arguments)
        if chosen.served:
            arguments += serve(stack, chosen.fault, busy=chosen.busy, neighbour=chosen.neighbour)
        probe = None
        if chosen.probed:
            path, probe = read_a_probe(path, folder, chosen.probed, stack)
        hurt = before_the_seal(chosen.alter) if chosen.alter is not None else chosen.hurt
        return _run(path, arguments, hurt, results, probe)


def _run(
    path: Path,
    arguments: list[str],
    hurt: Callable[[Running], None] | None,
    results: Path,
    probe: subprocess.Popen[str] | None,
) -> dict[str, Any]:
    before = set((results / "runs").glob("*"))
    command = [sys.executable, "-m", "observatory", "run", str(path), *arguments]
    child = subprocess.Popen([*command, "--results", str(results)])
    try:
        timing = Timing.model_validate(read_yaml(path).value["timing"])
        if hurt is not None:
            hurt(Running(child, results, timing, before, probe))
        child.wait(PATIENCE_S)
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    new = sorted(set((results / "runs").glob("*")) - before)
    if not new:
        raise RuntimeError(f"no run came of it (exit code {child.returncode})")
    manifest: dict[str, Any] = json.loads((new[-1] / "manifest.json").read_text())
    return manifest


def read_a_probe(
    scenario: Path, folder: Path, command: tuple[str, ...], stack: ExitStack
) -> tuple[Path, subprocess.Popen[str]]:
    """Start the probe; a copy of the scenario that reads it."""
    probe = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    stack.callback(probe.wait)
    stack.callback(probe.kill)
    assert probe.stdout is not None
    url = probe.stdout.readline().split()[2]
    text = scenario.read_text(encoding="utf-8")
    probes = f'telemetry: {{probes: [{{name: lab, url: "{url}"}}], '
    assert "telemetry: {" in text
    path = folder / scenario.name
    path.write_text(text.replace("telemetry: {", probes), encoding="utf-8")
    return path, probe


def serve(stack: ExitStack, fault: str = "", *, busy: bool, neighbour: bool) -> list[str]:
    """A service on this host; it, or other work, computes on all cores, at the lowest priority."""
    loops = os.cpu_count() or 1
    idle = ["nice", "-n", "19", sys.executable, "-c", "while True: pass"]
    commands = [idle] * loops if neighbour else []
    service = [sys.executable, str(Path(__file__).with_name("small_service.py"))]
    commands.append([*service, str(loops if busy else 0), fault])
    for command in commands:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        stack.callback(child.wait)
        stack.callback(child.kill)
    assert child.stdout is not None
    return ["--url", child.stdout.readline().strip(), "--model", "small"]


def main() -> None:
    """List the codes, or provoke one and print the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", nargs="?", choices=list(PROVOCATIONS))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--page", type=Path, help="write the table into this page and end")
    given = parser.parse_args()
    if given.page is not None:
        given.page.write_text(filled(given.page.read_text(encoding="utf-8")), encoding="utf-8")
        return
    if given.code is None:
        for code, provocation in PROVOCATIONS.items():
            print(f"{code:18} {provocation.command(code)}")
        return
    manifest = provoke(given.code, given.results.resolve())
    for finding in manifest["findings"]:
        print(f"{finding['severity']}: {finding['message']} ({finding['code']})")
    print(manifest["verdict"]["sentence"])


if __name__ == "__main__":
    main()
