"""Which tests run when, and how they are spread over processes (docs/development.md)."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import forked
from tests.slowest import Slowest, add_options

# A busy machine is no fault of the code under test, so no property has a deadline.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usual")

SLOW = {
    "load": "throttled sdk worker_modules stages proxy ended_streams decoding transport workers plain "
    "wire_faults_live stale_connection clock_step refusals child held_stage bounded_answers "
    "hostile_server",
    "site": "build money limits_found service_terms latency_breakdown matrix cli latest energy charts engines hardware "
    "not_as_sealed",
    "store": "migrations warehouse docs money_views database energy_view price_sql price_snapshots "
    "library_paths seals broken_folders export housekeeping earlier_runs torn_journals query views "
    "matrix_views throttle_view",
    "endpoints": "emulator_load emulator_openai emulator_server supervised_child vllm models wire_cuts",
    "endpoints/engines": "install",
    "cli": "engine console sql_verbs money prices main faults wheel change_notes",
    "inputs": "odd_yaml shipped_scenarios",
    "analysis": "limit_finding blocks coverage",
    "benchmarks": "answer_path",
    "telemetry": "nvml carbon",
}
"""Modules that need no engine and together take longer than all others: they build sites, make databases or
start load generators. `make test-fast` leaves them out, as it does single tests that are marked slow."""
MADE_ONCE = {"whole"}
"""Fixtures of a folder that one process makes for all of its tests; the others each process makes for itself."""
ALONE = "pytest.mark.alone"
SOAK_TIMES = 10
"""`--soak` multiplies the examples of each property by this."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)
    parser.addoption(
        "--soak",
        action="store_true",
        help="run the repeats, and ten times the examples of a property",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Note what tests take; give each parallel process a folder of its own for temporary files."""
    config.pluginmanager.register(Slowest())
    # A shell starts a command that it does not wait for with SIGINT ignored, and tests send it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return
    if config.getoption("dist", "no") == "loadgroup" or getattr(config.option, "loadgroup", False):
        config.pluginmanager.register(GroupNames())
    folder = Path(tempfile.mkdtemp(prefix=f"{worker}-"))
    folder.chmod(0o711)  # a test becomes another user below it
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None

    def remove() -> None:
        with contextlib.suppress(OSError):  # what a test left there stays
            folder.rmdir()

    config.add_cleanup(remove)


def pytest_unconfigure() -> None:
    """End what forks were made of."""
    forked.stop()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module without a test that runs alone where only these run: it takes longer than some of them."""
    if config.getoption("markexpr") != "alone" or collection_path.suffix != ".py":
        return None
    return True if ALONE not in collection_path.read_text(encoding="utf-8") else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the soak out, start the live tests first, and keep users of a shared fixture together."""
    if config.getoption("--soak"):
        for item in items:
            _more_examples(item)
    else:
        left = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    here = Path(__file__).parent
    slow = {
        here / room / f"test_{name}.py" for room, names in SLOW.items() for name in names.split()
    }
    for item in items:
        grouped = item.get_closest_marker("xdist_group")
        if (
            not grouped
            and isinstance(item, pytest.Function)
            and (sharers := _shares_a_fixture(item))
        ):
            item.add_marker(pytest.mark.xdist_group(sharers))
        if item.path in slow:
            item.add_marker(pytest.mark.slow)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    """Live tests first, and of those the ones that go one after another in one process."""
    live, shared = item.get_closest_marker("live"), item.get_closest_marker("xdist_group")
    return live is None, shared is None


class GroupNames:
    """pytest-xdist 3.8 puts the group into a private field that pytest 9.2 does not read any more."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            group = item.get_closest_marker("xdist_group")
            if group is not None and not item.nodeid.endswith(f"@{group.args[0]}"):
                item._id = type(item.id).parse(f"{item.nodeid}@{group.args[0]}")


def _shares_a_fixture(item: pytest.Function) -> str | None:
    """The test's module or folder, where it uses a fixture that this makes once for several tests."""
    module = item.nodeid.partition("::")[0]
    fixtures = item._fixtureinfo.name2fixturedefs
    for name in MADE_ONCE & fixtures.keys():
        return fixtures[name][-1].baseid
    for definitions in fixtures.values():
        fixture = definitions[-1]
        if fixture.baseid == module and fixture.scope != "function":
            return module
    return None


def _more_examples(item: pytest.Item) -> None:
    test = getattr(item, "obj", None)
    usual: settings | None = getattr(test, "_hypothesis_internal_use_settings", None)
    if usual is not None:
        more = settings(usual, max_examples=usual.max_examples * SOAK_TIMES)
        test._hypothesis_internal_use_settings = more
