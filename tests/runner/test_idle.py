"""When the idle baseline begins, whom it is of, and when there is none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from observatory.core.clock import new_anchor
from observatory.core.journal import encode_entry
from observatory.core.run import Manifest
from observatory.core.sample import Sample
from observatory.core.sensor_config import Telemetry
from observatory.core.targets.catalogue import kind_traits
from observatory.runner import idle
from observatory.runner.idle import counters_settled, energy_readings, rest
from observatory.store.folder.manifest import read_manifest
from observatory.telemetry.sensors.probe import NOT_READ_YET
from tests.store.made_runs import facts, manifest

STARTING = Sample(1, "codecarbon", "shared_host", "", "up", 0.0, "starting")
READ = Sample(2, "codecarbon", "shared_host", "cpu/cpu_load", "energy_j", 0.5)
GPU = Sample(1, "nvml", "shared_host", "gpu0", "gpu_power_w", 60.0)


def test_codecarbon_is_waited_for_until_it_reads_or_gives_up() -> None:
    assert counters_settled([], codecarbon=False)
    assert not counters_settled([], codecarbon=True)
    assert not counters_settled([STARTING, GPU], codecarbon=True)
    assert counters_settled([STARTING, READ], codecarbon=True)
    broken = Sample(3, "codecarbon", "shared_host", "", "up", 0.0, "ImportError('x')")
    assert counters_settled([STARTING, broken], codecarbon=True)


def test_a_probe_is_waited_for_until_it_tells_of_energy_or_gives_up() -> None:
    def says(device: str, sensor: str, value: float, reason: str | None = None) -> Sample:
        return Sample(1, sensor, "shared_host", device, "up", value, reason)

    not_yet, answers = says("lab", "probe", 0.0, NOT_READ_YET), says("lab", "probe", 1.0)
    host = says("lab", "host", 1.0)
    gpu = Sample(1, "nvml", "target", "lab:gpu0", "gpu_power_w", 60.0)
    assert not counters_settled([], codecarbon=False, probes=["lab"])
    assert not counters_settled([not_yet, answers, host], codecarbon=False, probes=["lab"])
    assert not counters_settled([GPU], codecarbon=False, probes=["lab"]), "a GPU of this host"
    assert counters_settled([answers, gpu], codecarbon=False, probes=["lab"])
    assert counters_settled([not_yet, says("lab", "probe", 0.0, "refused")], False, ["lab"])
    assert not counters_settled([gpu], codecarbon=False, probes=["lab", "other"])


def test_a_reading_without_a_value_is_none() -> None:
    lost = Sample(1, "nvml", "shared_host", "gpu0", "gpu_power_w", None, "NotSupported")
    host = Sample(1, "host", "shared_host", "", "cpu_busy_s", 3.0)
    assert energy_readings([lost, host, GPU]) == [GPU]


class Sampler:
    """A sampler that has written these samples."""

    def __init__(self, folder: Path, samples: list[Sample]) -> None:
        self.journal = folder / "samples.journal"
        self.journal.write_bytes(b"".join(map(encode_entry, samples)))

    def wait_until_ready(self, seconds: float) -> None:
        """It is."""

    def alive(self) -> str | None:
        return None


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited; no time passes."""
    found: list[float] = []

    def wait(seconds: float, over: Any) -> None:
        if not over():
            found.append(seconds)

    monkeypatch.setattr(idle, "_wait", wait)
    return found


def member(folder: Path, *, kind: str = "llamacpp", dead: str | None = None, **target: Any) -> Any:
    place = folder / f"run-{kind}-{dead}-{len(target)}"
    place.mkdir()
    given = {"on_this_host": True, **target}
    return SimpleNamespace(
        target=SimpleNamespace(kind=kind, name=kind, energy=kind_traits(kind).energy),
        opened=SimpleNamespace(alive=lambda: dead),
        folder=place,
        manifest=manifest(target=facts(**given)),
    )


def execution(members: list[Any], sampler: Any, **telemetry: Any) -> Any:
    request = SimpleNamespace(scenario=SimpleNamespace(telemetry=Telemetry(**telemetry)))
    lines: list[str] = []
    observer = SimpleNamespace(report=lines.append, said=lines)
    campaign = SimpleNamespace(request=request, observer=observer)
    return SimpleNamespace(campaign=campaign, anchor=new_anchor(), members=members, sampler=sampler)


def test_the_window_is_written_into_the_manifest_of_each(
    tmp_path: Path, waits: list[float]
) -> None:
    engine, dead = member(tmp_path), member(tmp_path, dead="killed")
    emulated = member(tmp_path, kind="emulated")
    here = execution(
        [engine, dead, emulated], Sampler(tmp_path, [GPU]), codecarbon=False, idle="7s"
    )
    rest(here)
    assert waits == [7]
    window = engine.manifest.idle
    assert window is not None
    assert 0 <= window.started <= window.ended
    stored: Manifest = read_manifest(engine.folder)
    assert stored.idle == window
    assert (dead.manifest.idle, emulated.manifest.idle) == (None, None)
    (line,) = here.campaign.observer.said
    assert line == "llamacpp, llamacpp: at rest for 7 s, the idle baseline"


@pytest.mark.parametrize(
    ("kind", "target", "samples", "telemetry"),
    [
        ("llamacpp", {}, [GPU], {"idle": "0s"}),
        ("llamacpp", {}, [], {}),
        ("emulated", {}, [GPU], {}),
        ("api", {}, [GPU], {}),
        ("url", {"on_this_host": False}, [GPU], {}),
    ],
)
def test_nothing_is_waited_for_where_nothing_could_be_read(
    kind: str,
    target: dict[str, Any],
    samples: list[Sample],
    telemetry: dict[str, Any],
    tmp_path: Path,
    waits: list[float],
) -> None:
    one = member(tmp_path, kind=kind, **target)
    rest(execution([one], Sampler(tmp_path, samples), codecarbon=False, **telemetry))
    assert waits == []
    assert one.manifest.idle is None


def test_a_distant_target_rests_where_a_probe_reads_it(tmp_path: Path, waits: list[float]) -> None:
    far = Sample(1, "nvml", "target", "far:gpu0", "gpu_power_w", 60.0)
    one = member(tmp_path, kind="url", on_this_host=False)
    rest(execution([one], Sampler(tmp_path, [far]), codecarbon=False))
    assert waits == [10]
    assert one.manifest.idle is not None


def test_a_wait_ends_early_where_it_is_over() -> None:
    idle._wait(60, lambda: True)
