"""The result of a run, without what judging needs: commands name it before the load, scipy comes after."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from observatory.core.run import Manifest
from observatory.presentation.figures import Figure, StageFigures

if TYPE_CHECKING:
    import polars as pl

    from observatory.store.ingest.warehouse import IngestResult


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A sealed and judged run with its stage metrics (columns of STAGE_METRICS, without run_id).

    cost_usd: of all its requests whose cost is known, warm-up and priming included; None where
    none is known, 0 where nothing was sent.
    without_cost: answers, whole or broken off, whose cost is not known and so is not in it.
    """

    folder: Path
    manifest: Manifest
    metrics: "pl.DataFrame"
    ingested: "IngestResult"
    cost_usd: float | None = None
    without_cost: int = 0

    def figures(self, stage: int) -> StageFigures:
        """Return the figures of one stage."""
        names = [field.name for field in fields(Figure) if field.name in self.metrics.columns]
        found = (
            Figure(**{name: row[name] for name in names})
            for row in self.metrics.iter_rows(named=True)
            if row["stage"] == stage
        )
        return StageFigures({(one.metric, one.statistic): one for one in found})
