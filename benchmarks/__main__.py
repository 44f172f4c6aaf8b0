"""`python -m benchmarks NAME...`: measures, prints, and writes one JSON file a measure to benchmarks/out.

See docs/performance.md for what each measure is.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import coverage
from benchmarks.bench import Bench
from benchmarks.catalogue import MEASURES
from benchmarks.machine import QUIET_BUSY, busy_share, choose_cores, facts
from benchmarks.render import render
from benchmarks.results import Measurement, save
from observatory.core.errors import ObservatoryError


def main(words: list[str] | None = None) -> int:
    """Exit code: 0 all measured (reached or not), 2 unknown name, 4 this machine cannot, or is busy."""
    given = sys.argv[1:] if words is None else words
    if given[:1] == ["coverage"]:  # simulations: no engine, nothing to measure
        return coverage.main(given[1:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="+", help=f"all, render, coverage, or of: {', '.join(MEASURES)}"
    )
    parser.add_argument("--quick", action="store_true", help="shorter windows, for a first look")
    parser.add_argument("--refuse-busy", action="store_true", help="exit 4 on a busy machine")
    arguments = parser.parse_args(words)
    if arguments.names == ["render"]:
        return _guarded(render)
    # So that a server or client that was started ends with us, by the blocks that started it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = list(MEASURES) if arguments.names == ["all"] else arguments.names
    unknown = sorted(set(names) - set(MEASURES))
    if unknown:
        parser.error(f"no such measure: {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return _guarded(lambda: _measure(names, arguments.quick, arguments.refuse_busy))


def _guarded(work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except ObservatoryError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return int(error.exit_code)


def _measure(names: list[str], quick: bool, refuse_busy: bool) -> int:
    machine = {**facts(), "load_average_before": os.getloadavg()[0]}
    code = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        bench = Bench(choose_cores(), Path(scratch), quick)
        for name in names:
            busy = busy_share()
            if busy > QUIET_BUSY:
                print(
                    f"WARNING: {name}: the machine is {busy:.0%} busy before the start; "
                    "these figures are not to be trusted",
                    file=sys.stderr,
                )
                if refuse_busy:
                    return 4
            try:
                measurement = MEASURES[name](bench)
            except ObservatoryError as error:
                print(f"benchmarks: {name}: {error}", file=sys.stderr)
                code = int(error.exit_code)
                continue
            measurement.machine, measurement.quick = machine, quick
            measurement.quiet = {"busy_share_before": busy, "busy": busy > QUIET_BUSY}
            save(measurement)
            _show(measurement)
    return code


def _show(measurement: Measurement) -> None:
    print(f"== {measurement.name}")
    for row in [measurement.values, *measurement.rows]:
        print("  ", ", ".join(f"{name} {_plain(value)}" for name, value in row.items()))
    for check in measurement.checks:
        word = {True: "reached", False: "NOT REACHED", None: "not measured"}[check.reached]
        measured = "–" if check.measured is None else f"{check.measured:.4g} {check.unit}"
        print(
            f"   {word:12} {check.what}: {measured} (to reach: {check.target})",
            check.note,
            flush=True,
        )


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_plain(item)}" for name, item in value.items()) + ")"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
