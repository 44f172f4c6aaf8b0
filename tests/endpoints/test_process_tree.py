"""Which processes come of an engine: known trees, and numbers that were given again."""

import os
import signal
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from observatory.processes.process_tree import Lineage, Process, belonging, read_process, send

ENGINE = (100, 50)


def process(pid: int, parent: int, session: int, started: int, dead: bool = False) -> Process:
    return Process(pid, parent, session, started, dead)


def pids(
    processes: list[Process], lineage: Lineage, marked: tuple[int, ...] = (), **kw: int
) -> set[int]:
    found = belonging(
        {one.pid: one for one in processes},
        lineage,
        lambda pid: "m" if pid in marked else None,
        **kw,
    )
    return {one.pid for one in found}


TREE = [
    process(1, 0, 1, 0),
    process(100, 90, 100, 50),  # the engine
    process(101, 100, 100, 60),  # its child, in its session
    process(102, 101, 102, 70),  # a grandchild that left the session
    process(103, 1, 100, 80),  # an orphan in its session
    process(104, 90, 104, 85),  # an orphan of another session, adopted
    process(105, 1, 105, 90),  # one with the marker
    process(106, 1, 106, 95),  # one that was seen under it before
    process(107, 101, 100, 96, dead=True),
    process(200, 1, 200, 40),  # a stranger
    process(201, 200, 200, 99),
]


def test_a_tree_with_all_that_left_it() -> None:
    lineage = Lineage("m", ENGINE, frozenset({(106, 95)}))
    assert pids(TREE, lineage, (105,), adopter=90) == {100, 101, 102, 103, 104, 105, 106}
    assert pids(TREE, lineage, (105,)) == {100, 101, 102, 103, 105, 106}
    assert pids(TREE, Lineage("m"), (101,)) == {101, 102}
    assert pids(TREE, Lineage("m")) == set()


def test_numbers_that_were_given_again_are_not_taken_for_it() -> None:
    lineage = Lineage("m", ENGINE, frozenset({(106, 95)}))
    later = [process(100, 1, 100, 500), process(101, 100, 100, 510), process(106, 1, 106, 600)]
    assert pids(later, lineage) == set()
    before = [process(103, 1, 100, 20)]  # in a session of that number, older than the engine
    assert pids(before, lineage) == set()


def test_it_is_never_among_them_itself() -> None:
    own = process(os.getpid(), 100, 100, 60)
    assert pids([*TREE[:2], own], Lineage("m", ENGINE), (own.pid,)) == {100}


@given(
    st.lists(
        st.tuples(st.integers(2, 30), st.integers(1, 30), st.integers(1, 30), st.integers(0, 9)),
        max_size=25,
        unique_by=lambda row: row[0],
    )
)
def test_whatever_the_tree_a_child_of_what_belongs_belongs(
    rows: list[tuple[int, int, int, int]],
) -> None:
    tree = [process(*row) for row in rows]
    found = pids(tree, Lineage("m", (5, 3)), (7,))
    assert all(one.pid in found for one in tree if one.parent in found)


def test_a_signal_goes_to_the_very_process_alone() -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(argv) as child:
        here = read_process(child.pid)
        assert here is not None
        send(Process(here.pid, here.parent, here.session, here.started - 1, False), signal.SIGKILL)
        assert child.poll() is None
        send(here, signal.SIGKILL)
        assert child.wait(10) == -signal.SIGKILL
    send(here, signal.SIGKILL)  # gone: nothing happens
    assert read_process(child.pid) is None
