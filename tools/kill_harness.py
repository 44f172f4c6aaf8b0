"""Kill processes of runs at random instants, and check that nothing is sent, loaded twice or lost after it.

    python -m tools.kill_harness --kills 300 --at-start 40

Every run loads one emulated service, whose own log has each request's arrival. After the series each request
of that log must be a row of a run, or be one of those that the killed run counts as lost; none may have
arrived after the death of its runner; and each next run must have started.
"""

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from observatory.load.command import CHILD_MODULE
from observatory.store.frames import read_frames
from tools.kill_report import Kill, Report, together
from tools.warm_command import WarmCommand

PROFILE = """
ttft_median: 20ms
ttft_p95: 60ms
inter_token_median: 2ms
inter_token_p95: 4ms
output_tokens_median: 8
output_tokens_p95: 12
"""
SCENARIO = """
name: killed
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 4}}]
timing: {{warmup: 200ms, steady: {steady}s, drain: 1s}}
processes: {processes}
telemetry: {{interval: 500ms, codecarbon: false, idle: 0s}}
targets:
  - {{kind: url, name: victim, url: "{url}", model: emulated-model}}
"""
VICTIMS = ("runner", "load", "worker", "sampler")
"""load: the Locust process that the runner started, which is the master where there are workers."""
LATE_NS = 1_000_000_000
"""What was written to a socket before its process died may be read so much later by a service that waits for a
processor. A load generator that outlives its runner sends for longer."""
LONGEST_NS = 5_000_000_000
LOOK_S = 0.02
RUN_LIMIT_S = 120.0
START_LIMIT_S = 60.0
GONE_WITHIN_S = 20.0
PROGRESS_EVERY = 10


class Series:
    """Kills one after another, against one service."""

    def __init__(self, root: Path, seed: int, steady_s: float) -> None:
        self.root = root
        self.report = Report()
        self._families: list[list[psutil.Process]] = []
        self._draw = random.Random(seed)
        self._steady_s = steady_s
        self._truth = root / "truth.jsonl"
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")
        }
        (root / "scenarios").mkdir()
        (root / "profile.yaml").write_text(PROFILE, encoding="utf-8")
        self._service = self._start(
            "emulate", "./profile.yaml", "--port", "0", "--truth-log", "truth.jsonl"
        )
        self._url = self._address()

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "observatory", *arguments],
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _address(self) -> str:
        assert self._service.stdout is not None
        text = ""
        while "Ctrl-C" not in text:
            line = self._service.stdout.readline()
            if not line:
                raise RuntimeError(f"the service did not start: {text}")
            text += line
        found = re.search(r"http://[\d.]+:\d+/v1", text)
        assert found is not None
        return found[0]

    def kill_one(self, victim: str, *, at_start: bool) -> bool:
        """Start a run, kill the victim at a random instant, and wait for the run's end.

        False where the victim had ended before that instant: such a run is checked and is no kill.
        """
        processes = 2 if victim == "worker" else self._draw.choice((1, 2))
        scenario = SCENARIO.format(url=self._url, processes=processes, steady=self._steady_s)
        (self.root / "scenarios" / "killed.yaml").write_text(scenario, encoding="utf-8")
        before = set(self._runs())
        began = time.time_ns()
        printed = self.root / f"printed-{len(self.report.kills):03d}"
        run = WarmCommand(["run", "killed"], self.root, printed)
        family, died = self._aim(run, victim, at_start=at_start)
        killed = time.time_ns()
        try:
            code = run.wait(RUN_LIMIT_S)
        except subprocess.TimeoutExpired:
            run.kill()
            code = -signal.SIGKILL
            self.report.faults.append(
                f"a run did not end after {victim} was killed: {run.output[-300:]}"
            )
        new = sorted(set(self._runs()) - before)
        kill = Kill(victim, at_start, processes, began, killed, new[-1] if new else None,
                    code, run.output)  # fmt: skip
        if victim == "runner":
            died = code == -signal.SIGKILL  # it may have ended between the look and the kill
        if died:
            self.report.kills.append(kill)
        else:
            self.report.spared += 1
        self._check_end(kill, died=died)
        # Only now: the next run began at once, while the last of the killed one may still have been there.
        self._check_gone()
        self._families.append(family)
        return died

    def _runs(self) -> list[str]:
        return [path.name for path in (self.root / "results" / "runs").glob("*")]

    def _aim(
        self, run: WarmCommand, victim: str, *, at_start: bool
    ) -> tuple[list[psutil.Process], bool]:
        """Kill it; the family as it was just before, and whether it was alive to be killed."""
        chosen = self._find(run, "load" if victim == "runner" else victim, wait=True)
        length_s = 0.5 if at_start else 1.5 + self._steady_s
        until = time.monotonic() + self._draw.uniform(0.0, length_s)
        while time.monotonic() < until and run.poll() is None:
            time.sleep(0.005)
        family = [psutil.Process(run.pid), *_below(run.pid)] if run.poll() is None else []
        if victim == "worker":
            chosen = self._find(run, victim, wait=False) or chosen
        if victim == "runner":
            chosen = family[0] if family else None
        died = False
        with suppress(psutil.NoSuchProcess):
            if chosen is not None and chosen.status() != psutil.STATUS_ZOMBIE:
                chosen.kill()
                died = True
        return family, died

    def _find(self, run: WarmCommand, victim: str, *, wait: bool) -> psutil.Process | None:
        """The process of the run that the victim's name means, as soon as it is there."""
        until = time.monotonic() + START_LIMIT_S
        while run.poll() is None and time.monotonic() < until:
            for process in _below(run.pid):
                if _is(process, victim, run.pid):
                    return process
            if not wait:
                return None
            time.sleep(LOOK_S)
        return None

    def _check_end(self, kill: Kill, *, died: bool) -> None:
        """What can be seen at once: exit code, words, processes."""
        what = f"{kill.victim} killed ({kill.run})"
        hurt = -signal.SIGKILL if kill.victim == "runner" else 4
        if kill.code not in (0, 3, *((hurt,) if died else ())):
            self.report.faults.append(f"{what}: exit code {kill.code}: {kill.output[-300:]}")
        if "Traceback" in kill.output:
            self.report.faults.append(f"{what}: a trace: {kill.output[-600:]}")
        if "is being measured by" in kill.output or "still runs on target" in kill.output:
            self.report.faults.append(f"{what}: the run could not start: {kill.output[-300:]}")

    def _check_gone(self) -> None:
        """Whether all processes of the runs before are gone."""
        for family in self._families:
            if left := _left(family):
                self.report.faults.append(f"left behind: {', '.join(left)}")
        self._families.clear()

    def close(self) -> Report:
        """Recover what is left, end the service, and compare its log with the rows."""
        self._check_gone()
        done = self._start("rebuild")
        output, _ = done.communicate(timeout=300)
        if done.returncode != 0:
            self.report.faults.append(f"rebuild: exit code {done.returncode}: {output[-300:]}")
        self._service.send_signal(signal.SIGINT)
        self._service.communicate(timeout=60)
        self._compare()
        return self.report

    def end(self) -> None:
        """End the service in every case."""
        if self._service.poll() is None:
            self._service.kill()
            self._service.wait()

    def _compare(self) -> None:
        arrived = self._arrived()
        deaths = {kill.run: kill.killed_ns for kill in self.report.kills if kill.victim == "runner"}
        self.report.requests = len(arrived)
        for name in sorted(self._runs()):
            folder = self.root / "results" / "runs" / name
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            ids = read_frames(folder).attempts.get_column("provider_request_id").drop_nulls()
            reads = [arrived.pop(identity) for identity in ids.to_list() if identity in arrived]
            self.report.rows += len(reads)
            if name in deaths and reads:
                late_s = (max(reads) - deaths[name]) / 1e9
                known_s = self.report.latest_s
                self.report.latest_s = late_s if known_s is None else max(late_s, known_s)
                if late_s > LATE_NS / 1e9:
                    self.report.faults.append(
                        f"{name}: a request {late_s:.2f} s after its runner's death"
                    )
            self._account(name, manifest)
        self._check_rest(list(arrived.values()))

    def _account(self, name: str, manifest: dict[str, Any]) -> None:
        """Issued against recorded, as the run itself counts them; what is lost must be in its verdict."""
        for stage in manifest["stages"]:
            lost = stage["issued"] - stage["recorded"]
            self.report.lost += max(0, lost)
            if lost < 0:
                self.report.faults.append(f"{name}: {-lost} requests recorded above those issued")
            codes = [finding["code"] for finding in manifest["findings"]]
            if lost > 0 and "lost_records" not in codes:
                self.report.faults.append(f"{name}: {lost} requests lost without a finding")

    def _check_rest(self, reads: Sequence[int]) -> None:
        """What is no row: it was open when its load generator was killed, and is counted as lost.

        An open request that was recorded as cut off has no id of the service yet: it is a row too.
        """
        for read_ns in reads:
            open_at = [
                kill
                for kill in self.report.kills
                if kill.began_ns <= read_ns and -LATE_NS <= kill.killed_ns - read_ns <= LONGEST_NS
            ]
            if not open_at:
                self.report.faults.append("a request that is no row and was not open at any kill")
        unnamed = self._rows_without_id()
        if len(reads) > self.report.lost + unnamed:
            self.report.faults.append(
                f"{len(reads)} requests are no rows, and {self.report.lost} are counted as lost"
            )

    def _rows_without_id(self) -> int:
        total = 0
        for name in self._runs():
            attempts = read_frames(self.root / "results" / "runs" / name).attempts
            sent = attempts.filter(attempts.get_column("sent_ns").is_not_null())
            total += sent.get_column("provider_request_id").null_count()
        return total

    def _arrived(self) -> dict[str, int]:
        """What the service read of requests: its own id, and when."""
        lines = [json.loads(line) for line in self._truth.read_text(encoding="utf-8").splitlines()]
        return {
            line["id"]: line["read_ns"]
            for line in lines
            if line.get("path") == "/v1/chat/completions"
        }


def _below(process: int) -> list[psutil.Process]:
    """All that came of a process: by the kernel's own list, because reading all of /proc takes as long as a kill."""
    found = []
    with suppress(OSError, psutil.NoSuchProcess):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            found += [psutil.Process(int(child)), *_below(int(child))]
    return found


def _is(process: psutil.Process, victim: str, runner: int) -> bool:
    try:
        words, parent = " ".join(process.cmdline()), process.ppid()
    except psutil.Error:
        return False
    if victim == "sampler":
        return "observatory.telemetry.sampler" in words
    return f"-m {CHILD_MODULE}" in words and (parent == runner) == (victim == "load")


def _left(family: list[psutil.Process]) -> list[str]:
    """Those that are still alive some time later."""
    until = time.monotonic() + GONE_WITHIN_S
    while time.monotonic() < until:
        alive = [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        if not alive:
            return []
        time.sleep(0.05)
    return [f"{one.pid} {' '.join(one.cmdline())[:80]}" for one in alive if one.is_running()]


def run_series(
    root: Path, kills: int, at_start: int, seed: int, steady_s: float, limit_s: float
) -> Report:
    """So many kills, the given number of them within 0.5 s of a child's start; fewer where time is up."""
    draw = random.Random(seed)
    plan = [(draw.choice(VICTIMS), False) for _ in range(kills - at_start)]
    plan += [(draw.choice(("runner", "runner", *VICTIMS[1:])), True) for _ in range(at_start)]
    draw.shuffle(plan)
    series = Series(root, seed, steady_s)
    until = time.monotonic() + limit_s
    try:
        for number, (victim, early) in enumerate(plan, 1):
            if time.monotonic() > until:
                break
            while not series.kill_one(victim, at_start=early) and time.monotonic() < until:
                pass
            if number % PROGRESS_EVERY == 0:
                print(
                    f"seed {seed}: {number} of {len(plan)} kills, "
                    f"{len(series.report.faults)} faults so far",
                    file=sys.stderr,
                    flush=True,
                )
        return series.close()
    finally:
        series.end()


def several_series(
    kills: int, at_start: int, seed: int, steady_s: float, limit_s: float, at_once: int
) -> Report:
    """The kills in so many series side by side, each with a service, a workspace and a seed of its own."""
    parts = []
    for place in range(at_once):
        share, early = (whole // at_once + (place < whole % at_once) for whole in (kills, at_start))
        command = [sys.executable, "-m", "tools.kill_harness", "--json", "--kills", str(share)]
        command += [
            "--at-start",
            str(early),
            "--seed",
            str(seed + place),
            "--steady",
            str(steady_s),
        ]
        command += ["--minutes", str(limit_s / 60)]
        parts.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    reports = []
    for part in parts:
        stated, _ = part.communicate()
        reports.append(Report.read(stated))
    return together(reports)


def main() -> int:
    """Print what came of the series; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.kill_harness")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--at-start", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steady", type=float, default=1.0, help="seconds of each run's window")
    parser.add_argument(
        "--minutes", type=float, default=240.0, help="end the series after this long"
    )
    parser.add_argument(
        "--at-once", type=int, default=1, help="series side by side; the kills are shared out"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    chosen = parser.parse_args()
    kills, early = chosen.kills, min(chosen.at_start, chosen.kills)
    numbers = kills, early, chosen.seed, chosen.steady, chosen.minutes * 60
    if chosen.at_once > 1:
        report = several_series(*numbers, chosen.at_once)
    else:
        with tempfile.TemporaryDirectory(prefix="kills-") as folder:
            report = run_series(Path(folder), *numbers)
    print(report.text() if chosen.json else "\n".join(report.lines()))
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
