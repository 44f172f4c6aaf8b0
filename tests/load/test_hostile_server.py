"""The load generator against the hostile server: one mode of each kind here, all of them in a soak."""

from collections import Counter

import pytest

from tools.hostile_modes import FEW, MODES
from tools.hostile_server import LISTS, MOST_MEMORY, try_all


def test_there_is_a_mode_of_each_kind_for_every_run() -> None:
    names = Counter(mode.name for mode in MODES)
    assert len(names) == len(MODES) and len(MODES) + len(LISTS) >= 80
    assert set(names) >= FEW


def test_every_kind_of_hostile_server_has_its_outcome() -> None:
    rows, memory = try_all(FEW.__contains__, ["kernel"])
    assert [row for row in rows if not row.fine] == []
    assert len(rows) == len(FEW)
    assert memory < MOST_MEMORY


@pytest.mark.soak
@pytest.mark.parametrize("transport", ["kernel", "polled", "sdk"])
def test_every_mode_of_the_hostile_server_has_its_outcome(transport: str) -> None:
    rows, memory = try_all(lambda name: True, [transport])
    assert [row for row in rows if not row.fine] == []
    assert memory < MOST_MEMORY
