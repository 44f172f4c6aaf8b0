"""A run's energy rows from its sealed facts: which readings, whose machine, which model.

What is known of the target decides between sensors, a model of a closed API, and a null with its
reason; the arithmetic is economics'.
"""

from collections.abc import Iterator, Sequence

from observatory.analysis.frames import request_frame
from observatory.analysis.windows import loaded_stages, window_of
from observatory.core.run import Manifest
from observatory.core.sample import EnergyRow, Sample
from observatory.core.sensor_config import GridIntensity
from observatory.core.targets.catalogue import kind_traits
from observatory.economics.energy import ELSEWHERE, Site, energy_rows
from observatory.economics.modelled import Answered, BilledAnswer, modelled_rows
from observatory.economics.sensed import Grid
from observatory.store.frames import RunFrames

MANAGED = "hosting managed: the machines are not ours to read, and no probe tells of them"
BY_MODEL = "no sensor can see it: it is modelled from its answers"


def energy_ledger(
    manifest: Manifest, frames: RunFrames, samples: Sequence[Sample]
) -> list[EnergyRow]:
    """Return the rows of the idle window and of every stage that was loaded; samples are the frames'."""
    site = site_of(manifest)
    rows = energy_rows(samples, loaded_stages(manifest), site, manifest.idle)
    if kind_traits(manifest.target.kind).energy != "modelled":
        return rows
    sensed = [row for row in rows if row.subject != "target"]
    target = manifest.target
    models = [name for name in (target.model, target.model_reported) if name]
    modelled = modelled_rows(target.engine or "", models, list(_answered(manifest, frames)))
    return sorted([*sensed, *modelled], key=lambda row: -1 if row.stage is None else row.stage)


def site_of(manifest: Manifest) -> Site:
    """Return where the target ran and what the scenario states of its electricity."""
    target, telemetry = manifest.target, manifest.stored.telemetry
    no_energy = grid = None
    if telemetry.grid:
        stated = GridIntensity.model_validate(telemetry.grid)
        grid = Grid(stated.zone or "stated", stated.kgco2e_per_kwh, stated.source)
    if target.emulated:
        no_energy = "emulated"
    elif kind_traits(target.kind).energy == "modelled":
        no_energy = BY_MODEL
    return Site(
        target_role=f"engine:{target.name}",
        on_this_host=target.on_this_host,
        no_energy=no_energy,
        gpus=target.gpu_devices,
        needs_gpu=kind_traits(target.kind).computes_on_gpu(target),
        pue=telemetry.pue,
        grid=grid,
        elsewhere=MANAGED if target.hosting == "managed" else ELSEWHERE,
    )


def _answered(manifest: Manifest, frames: RunFrames) -> Iterator[Answered]:
    """Yield each window's successes that ended in it, as j_per_request counts them."""
    requests = request_frame(frames)
    for stage in loaded_stages(manifest):
        window = window_of(manifest, stage)
        if window is not None:
            ended = requests.filter(window.holds("a_ended_ns"), stage=window.stage, outcome="ok")
            rows = ended.select("a_output_tokens", "e2e_s").iter_rows()
            answers = [BilledAnswer(*row) for row in rows]
            yield Answered(stage.index, window.start_ns, window.end_ns, answers)
