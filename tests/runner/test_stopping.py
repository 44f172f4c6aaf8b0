"""A wish to stop while something slow is awaited ends in Interrupted, whoever swallowed the first one."""

import os
import signal
from contextlib import suppress

import pytest

from observatory.core.errors import Interrupted
from observatory.runner.stopping import Stop


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_signal_ends_the_wait() -> None:
    with Stop().listening() as stop, pytest.raises(Interrupted), stop.at_once():
        _interrupt()
    assert stop.asked


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
        assert stop.asked
        with pytest.raises(Interrupted), stop.at_once():
            raise AssertionError("never entered")
