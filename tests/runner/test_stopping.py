"""A wish to stop while something slow is awaited ends in Interrupted, also where the first signal was swallowed."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from observatory.core.errors import Interrupted
from observatory.runner.stopping import Stop


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_signal_ends_the_wait() -> None:
    with Stop().listening() as stop, pytest.raises(Interrupted), stop.at_once():
        _interrupt()
    assert stop.requested


def test_a_library_that_makes_an_error_of_its_own_of_it_changes_nothing() -> None:
    with Stop().listening() as stop, pytest.raises(Interrupted), stop.at_once():
        try:
            _interrupt()
        except Interrupted:
            raise RuntimeError("Query interrupted") from None


def test_nor_does_one_that_swallows_it() -> None:
    with Stop().listening() as stop, pytest.raises(Interrupted), stop.at_once():
        with suppress(Exception):
            _interrupt()
        reached = True
    assert reached


def test_an_error_of_its_own_is_kept() -> None:
    with Stop().listening() as stop, pytest.raises(RuntimeError, match="broken"), stop.at_once():
        raise RuntimeError("broken")


def test_outside_the_wait_it_is_only_remembered() -> None:
    with Stop().listening() as stop:
        _interrupt()
        assert stop.requested
        with pytest.raises(Interrupted), stop.at_once():
            raise AssertionError("never entered")


def test_a_module_that_is_being_imported_is_imported_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error inside an import leaves half a module behind, and what seals the run may need it."""
    (tmp_path / "slow_outer.py").write_text("import slow_inner\nvalue = slow_inner.value\n")
    (tmp_path / "slow_inner.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nvalue = 7\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with Stop().listening() as stop, pytest.raises(Interrupted), stop.at_once():
        import slow_outer  # type: ignore[import-not-found]

        while True:
            time.sleep(0.01)
    assert sys.modules["slow_outer"].value == slow_outer.value == 7
