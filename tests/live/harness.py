"""A workspace, the real command, and what is needed to watch and hurt it from outside."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from observatory.cli.answers import write_json
from observatory.core import workspace as places
from observatory.store.queries.query import open_for_query, run_query
from tests.empty_database import stock_with_prices
from tests.forked import COMMANDS, Command, start

MEASURED = (0, 3)
"""A run that was measured to its end: how noisy the machine was decides between the two."""

PATIENCE_S = 400
"""A limit against hanging, for tests on machines that are busy with other work."""

EMULATED = """
name: {name}
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages:
{stages}
timing: {{warmup: 500ms, steady: {steady}, drain: 30s}}
telemetry: {{interval: 500ms, codecarbon: false}}
targets:
  - kind: emulated
    name: emulated-a
    profile: {{ttft_median: 20ms, ttft_p95: 30ms, inter_token_median: 2ms, inter_token_p95: 3ms}}
    price:
      input_per_million_usd: 1
      output_per_million_usd: 2
      source: round example
      basis: example
"""


Child = Command | subprocess.Popen[str]


@dataclass
class Workspace:
    """A folder to run the command in; every child started is ended with the test, by its id."""

    root: Path
    environment: dict[str, str]
    started: list[Child] = field(default_factory=list)
    copied: bool = False
    """Whether commands run a copy of the package, which no fork has loaded."""

    @property
    def results(self) -> Path:
        return self.root / "results"

    def write(self, name: str, text: str) -> Path:
        path = self.root / "scenarios" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def emulated(
        self, name: str = "short", steady: str = "3s", users: tuple[int, ...] = (2,)
    ) -> str:
        stages = "\n".join(f"  - concurrency: {count}" for count in users)
        self.write(name, EMULATED.format(name=name, steady=steady, stages=stages))
        return name

    def start(self, *arguments: str, fresh: bool = False, **variables: str) -> Child:
        """Start the command: as a fork that has its modules loaded, or with a fresh interpreter."""
        environment = {**self.environment, **variables}
        child: Child
        if not fresh and not self.copied:
            child = start(COMMANDS, ["observatory", *arguments], self.root, environment)
        else:
            child = subprocess.Popen(
                [sys.executable, "-m", "observatory", *arguments],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        self.started.append(child)
        return child

    def run(self, *arguments: str, code: int | tuple[int, ...] = 0, **variables: str) -> str:
        """Run a verb to its end, check its exit code, answer what it printed (0: stdout alone)."""
        codes = code if isinstance(code, tuple) else (code,)
        child = self.start(*arguments, **variables)
        out, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode in codes, f"exit {child.returncode}, not {codes}\n{out}\n{err}"
        return out if 0 in codes else out + err

    def measure(self, *arguments: str, **variables: str) -> str:
        """`observatory run` of something that is to be measured to its end."""
        return self.run("run", *arguments, code=MEASURED, **variables)

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Return what `observatory sql --format json` prints, without a process for each query."""
        place = places.Workspace(self.root, self.results)
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with open_for_query(place) as connection:
            answer = run_query(connection, query)
            write_json(answer.columns, answer.rows, stream)
        stream.seek(0)
        rows: list[dict[str, Any]] = json.load(stream)
        return rows

    def starved(self) -> bool:
        """Whether a run found that it, or its target, got too little of this machine's processors."""
        codes = {row["code"] for row in self.sql("select distinct code from findings")}
        return bool(codes & {"client_delay", "client_cpu", "foreign_cpu", "shared_cores"})

    def run_folders(self) -> list[Path]:
        return sorted((self.results / "runs").glob("*"))

    def manifest(self) -> dict[str, Any]:
        (folder,) = self.run_folders()
        facts: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        return facts


@contextmanager
def open_workspace(root: Path, stocked: bool = True) -> Iterator[Workspace]:
    """Yield a workspace, whose empty database is there already if it is stocked."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OBSERVATORY_RESULTS", "LOCUST_", "OPENAI_"))
    }
    space = Workspace(root, environment)
    if stocked:
        stock_with_prices(places.Workspace(space.root, space.results))
    try:
        yield space
    finally:
        for child in space.started:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def wait_until(
    condition: Callable[[], bool],
    what: str,
    timeout_s: float = PATIENCE_S,
    child: "Child | None" = None,
) -> None:
    """Wait for a condition; fail the test with its name at the time limit, or when `child` ends before."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        if child is not None and child.poll() is not None and not condition():
            raise AssertionError(f"ended ({child.returncode}) before {what}: {child.communicate()}")
        time.sleep(0.05)


def descendants(process: int) -> list[psutil.Process]:
    try:
        return psutil.Process(process).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def child_running(process: int, words: str) -> psutil.Process | None:
    """The descendant whose command line holds `words`, once it is there."""
    for child in descendants(process):
        try:
            if words in " ".join(child.cmdline()):
                return child
        except psutil.Error:
            continue
    return None


def gone(processes: list[psutil.Process]) -> bool:
    return all(
        not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        for process in processes
    )


def records_written(space: Workspace) -> bool:
    return any(path.stat().st_size > 2000 for path in space.results.rglob("worker-*.requests"))
