"""A disk, a permission or memory at fault is one line with exit code 4; Ctrl-C is one with 130."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from observatory.cli import main as command
from observatory.cli.faults import LEAST_BYTES, check_address_space, environment_fault
from observatory.core.errors import EnvironmentFailed, ExitCode, Interrupted


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "/x/y"), "/x/y: No space left on device — free"),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied — check who owns"),
        (OSError(30, "Read-only file system", "/x"), "choose another folder with --results"),
        (FileNotFoundError(2, "No such file or directory", "/x"), "/x: No such file"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (MemoryError(), "there is not enough memory — give it more"),
        (ImportError("libx.so: failed to map segment from shared object"), "not enough memory"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (duckdb.IOException("IO Error: No space left on\ndevice"), "IO Error: No space left on device"),
        (duckdb.OutOfMemoryException("Out of Memory Error: failed"), "there is not enough memory"),
        (pl.exceptions.ComputeError("No space left on device (os error 28)"), "os error 28"),
    ],
)  # fmt: skip
def test_what_this_machine_lacks_is_one_line(error: BaseException, message: str) -> None:
    fault = environment_fault(error)
    assert fault is not None
    assert message in str(fault)
    assert "\n" not in str(fault)
    assert fault.exit_code == ExitCode.TARGET_OR_ENVIRONMENT_FAILED


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), RuntimeError("x"), duckdb.BinderException("x"),
              pl.exceptions.ComputeError("schema"), ZeroDivisionError()],
)  # fmt: skip
def test_a_bug_stays_a_bug(error: BaseException) -> None:
    assert environment_fault(error) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "wrapped", [None, RuntimeError("Query interrupted"), Interrupted("x"), SystemExit(130)]
)
def test_a_signal_is_one_line_whatever_a_library_makes_of_it(
    number: signal.Signals,
    wrapped: BaseException | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interruption = command.Interruption()

    def app() -> None:
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            if wrapped is None:
                raise
            raise wrapped from None

    before = {each: signal.getsignal(each) for each in (2, 1, 15)}
    monkeypatch.setattr(command, "app", app)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup had it ignored, and then it stays so
    try:
        interruption.listen()
        assert command._run(interruption) == ExitCode.INTERRUPTED
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    how = "Ctrl-C" if number == signal.SIGINT else number.name
    assert capsys.readouterr().err == f"observatory: stopped ({how})\n"


def test_a_results_folder_that_is_a_file_or_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = ("file", "file/below", "/proc/nowhere")
    tried = [(["rebuild"], place) for place in places]
    tried += [(["runs", "list"], place) for place in places[:2]]
    for verb, place in tried:
        done = subprocess.run(
            [sys.executable, "-m", "observatory", *verb, "--results", place],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("observatory: ")


def test_an_address_space_that_is_too_small_is_named_before_a_library_aborts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda which: (400 << 20, -1))
    with pytest.raises(EnvironmentFailed, match="limited to 400 MiB"):
        check_address_space("rebuild")
    check_address_space("scenario")
    check_address_space(None)
    for enough in (-1, LEAST_BYTES):
        monkeypatch.setattr("resource.getrlimit", lambda which, limit=enough: (limit, -1))
        check_address_space("rebuild")
