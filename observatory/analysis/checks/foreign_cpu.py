"""CPU time that other work took from the run: other processes, the hypervisor, a control group's quota.

Other processes: what the host's cores did less what the run's own processes did (runner, load generator,
engines, sampler, and all below them). Of a target on another machine, the load generator's machine alone.
"""

from dataclasses import dataclass

import polars as pl

from observatory.core.counted_nouns import count_of
from observatory.core.run import Manifest

LEAST_READINGS = 2


@dataclass(frozen=True, slots=True)
class ForeignCpu:
    """Means over a window, in cores. machine: how many the host has. own: of the run's processes.

    others: of all other processes; stolen: by the hypervisor; withheld: by a quota. engine: of the
    target's process, where it is one of this host's. waited: how many cores its threads waited for on
    average, ready to run; None where the kernel does not keep that.
    """

    machine: int
    own: float
    others: float
    stolen: float = 0.0
    withheld: float = 0.0
    engine: float | None = None
    waited: float | None = None

    @property
    def foreign(self) -> float:
        """Cores that the run could not have."""
        return self.others + self.stolen + self.withheld

    @property
    def fraction(self) -> float:
        """The same as a share of the machine; at most 1."""
        return min(1.0, self.foreign / self.machine)

    @property
    def own_fraction(self) -> float:
        """Of the machine's cores, what the run's own processes used."""
        return min(1.0, self.own / self.machine)

    @property
    def slowed(self) -> float | None:
        """The share of the core time that the engine wanted and did not get, because of others; at most the
        share of the window for which one thread waited, which is what an engine that hardly computes loses.

        Of the time that its threads waited for a core, others are charged with their part of what ran
        meanwhile. None where waits are not known.
        """
        if self.engine is None or self.waited is None:
            return None
        rest = max(0.0, self.own - self.engine)
        by_others = self.others / (self.others + rest) if self.others > 0 else 0.0
        share = self.engine / self.own if self.own > 0 else 0.0
        lost = self.waited * by_others + (self.stolen + self.withheld) * min(1.0, share)
        return min(lost / (self.engine + lost), lost) if lost > 0 else 0.0

    @property
    def words(self) -> str:
        """Who took how much, the most first."""
        cores = count_of(self.machine, "core")
        parts = (
            (self.others, f"other processes kept {self.others:.2g} of {cores} busy"),
            (self.stolen, f"the hypervisor took {self.stolen:.2g} of {cores}"),
            (self.withheld, f"a CPU quota withheld {self.withheld:.2g} of {cores}"),
        )
        least = 0.01 * self.machine
        named = [words for taken, words in sorted(parts, reverse=True) if taken >= least]
        return " and ".join(named) or parts[0][1]


def foreign_cpu_of(
    manifest: Manifest, samples: pl.DataFrame, start_ns: int, end_ns: int
) -> ForeignCpu | str:
    """Return the means over a window, or the reason (a code of the figures' reasons) why they are not known."""
    machine = manifest.cores_logical or manifest.cores_usable
    rows = samples.filter(pl.col("at_ns").is_between(start_ns, end_ns))
    busy = _growth(rows, "host", "cpu_busy_s")
    if not isinstance(machine, int) or machine < 1 or busy is None:
        return "no_sensor"
    own = _own(manifest, rows)
    if isinstance(own, str):
        return own
    engine, waited = (_of_target(manifest, rows, metric) for metric in ("cpu_s", "cpu_wait_s"))
    return ForeignCpu(
        machine=machine,
        own=own,
        others=max(0.0, busy - own),
        stolen=_growth(rows, "host", "cpu_steal_s") or 0.0,
        withheld=_growth(rows, "cgroup", "cpu_throttled_s") or 0.0,
        engine=engine,
        waited=waited,
    )


def _of_target(manifest: Manifest, rows: pl.DataFrame, metric: str) -> float | None:
    own = _growth(rows, "process", metric, f"engine:{manifest.target.name}")
    return (
        own if own is not None else _growth(rows, "own", metric, f"server:{manifest.target.name}")
    )


def _own(manifest: Manifest, rows: pl.DataFrame) -> float | str:
    """Return the cores of the run's own processes; by their roles in runs that have no count of them all."""
    totals = rows.filter(sensor="own", device="", metric="cpu_s")
    if totals.height:
        if totals.get_column("value").null_count() == totals.height:
            return "server_unknown"
        grown = _growth(rows, "own", "cpu_s")
        return "no_sensor" if grown is None else grown
    target = manifest.target
    here = ~pl.col("device").str.contains(":", literal=True)  # another host's are PROBE:...
    ours = here | pl.col("device").str.starts_with("engine:")
    roles = set(rows.filter(ours, sensor="process", metric="cpu_s").get_column("device"))
    if "client" not in roles:
        return "no_sensor"
    if target.on_this_host and f"engine:{target.name}" not in roles:
        return "server_unknown"
    return sum(_growth(rows, "process", "cpu_s", role) or 0.0 for role in sorted(roles))


def _growth(rows: pl.DataFrame, sensor: str, metric: str, device: str = "") -> float | None:
    """Return what a counter grew by a second, from the first reading to the last; None below two readings."""
    read = rows.filter(sensor=sensor, metric=metric, device=device)
    read = read.drop_nulls("value").sort("at_ns")
    if read.height < LEAST_READINGS:
        return None
    seconds = (read.item(-1, "at_ns") - read.item(0, "at_ns")) / 1e9
    if seconds <= 0:
        return None
    return float(max(0.0, read.item(-1, "value") - read.item(0, "value")) / seconds)
