"""How progress looks: a live panel on a terminal, a line now and then without one (cron, CI)."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from observatory.cli.console import echo, open_console
from observatory.core.counted_nouns import count_of
from observatory.core.units import human_number, human_seconds
from observatory.runner.progress import Observer, StageProgress

LINE_EVERY_S = 10.0


@contextmanager
def open_display() -> Iterator[Observer]:
    """Open a display on standard error that fits where it is shown."""
    if sys.stderr.isatty():
        with _live() as display:
            yield display
    else:
        yield Lines()


class Lines:
    """Plain lines: every step, and the state of a stage every LINE_EVERY_S."""

    def __init__(self) -> None:
        self._last = 0.0
        self._stage: tuple[str, str, int, str] | None = None

    def report(self, text: str) -> None:
        """Print one line."""
        echo(text, err=True)

    def stage_execution(self, progress: StageProgress) -> None:
        """Print one line when the part of a stage changes, and every LINE_EVERY_S within it."""
        now = time.monotonic()
        stage = (progress.place, progress.target, progress.stage, progress.part)
        if stage != self._stage or now - self._last >= LINE_EVERY_S:
            self._stage, self._last = stage, now
            self.report(one_line(progress))


def label(progress: StageProgress) -> str:
    """Return the target's name, marked where it is emulated."""
    mark = " (emulated)" if progress.emulated else ""
    return f"{progress.target}{mark}"


def one_line(progress: StageProgress) -> str:
    """Return all of it in a line that fits 120 columns."""
    tokens = human_number(progress.tokens_per_s) if progress.tokens_per_s is not None else "–"
    place = f"{progress.place}: " if progress.place else ""
    return (
        f"{place}{label(progress)}  stage {progress.stage + 1}/{progress.stages}, {progress.level}, "
        f"{progress.part} {progress.elapsed_s:.0f}/{progress.length_s:.0f} s  "
        f"{progress.done} done, {progress.in_flight} open, {count_of(progress.errors, 'error')}  "
        f"TTFT {human_seconds(progress.ttft_s)}  {tokens} tok/s  "
        f"about {progress.campaign_left_s:.0f} s left"
    )


@contextmanager
def _live() -> Iterator[Observer]:
    from rich.console import Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    console = open_console(err=True)

    class Panel:
        def report(self, text: str) -> None:
            console.print(text, style="dim", highlight=False)

        def stage_execution(self, progress: StageProgress) -> None:
            if not live.is_started:  # not before: until then a question may be on the terminal
                live.start()
            done = min(progress.elapsed_s, progress.length_s)
            bar = Table.grid(padding=(0, 1), expand=False)
            bar.add_row(
                Text(progress.part, style="cyan"),
                ProgressBar(total=progress.length_s or 1.0, completed=done, width=32),
                Text(f"{progress.elapsed_s:.0f} of {progress.length_s:.0f} s"),
                Text(f"about {progress.campaign_left_s:.0f} s left in all", style="dim"),
            )
            facts = Text.assemble(
                (f"{progress.done}", "bold"), " done   ",
                f"{progress.in_flight} open   ",
                (count_of(progress.errors, "error"), "red" if progress.errors else "dim"), "   TTFT ",
                (human_seconds(progress.ttft_s), "bold"), "   ",
                (human_number(progress.tokens_per_s), "bold"), " tokens/s",
            )  # fmt: skip
            head = Text.assemble(
                (f"{progress.place}  " if progress.place else "", "cyan"),
                (label(progress), "bold"),
                f"  stage {progress.stage + 1} of {progress.stages}, {progress.level}",
            )
            live.update(Group(head, bar, facts))

    live = Live(console=console, refresh_per_second=4, transient=True)
    try:
        yield Panel()
    finally:
        live.stop()
