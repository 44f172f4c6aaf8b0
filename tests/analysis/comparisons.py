"""Two sealed runs compared figure by figure, from their manifests and their frames of figures."""

from dataclasses import replace

import polars as pl

from observatory.analysis.comparison.compare import ComparedRun, Statement, statement
from observatory.analysis.statistics.estimate import Estimate
from observatory.core.metric import FOREIGN_CPU
from observatory.core.run import Manifest


def side_of(manifest: Manifest) -> ComparedRun:
    """Return the side that a run takes in a comparison."""
    return ComparedRun(
        run_id=manifest.run_id,
        target=manifest.target.name,
        emulated=manifest.target.emulated,
        comparison_key=manifest.comparison_key,
        comparison_fields=manifest.comparison_fields,
        verdict=manifest.verdict.level if manifest.verdict else None,
        model=manifest.target.model,
        tokenizer=manifest.target.tokenizer,
        not_streamed=frozenset(stage.index for stage in manifest.stages if stage.streamed is False),
    )


def statements(
    first: ComparedRun,
    second: ComparedRun,
    first_metrics: pl.DataFrame,
    second_metrics: pl.DataFrame,
) -> list[Statement]:
    """Return one statement for each figure that both have a row for (frames as stage_metrics gives them).

    Statistics over successes only (_ok) make no statement of their own and are left out.
    """
    theirs = _estimates(second_metrics)
    first = replace(first, foreign_cpu=foreign_cpu(first_metrics))
    second = replace(second, foreign_cpu=foreign_cpu(second_metrics))
    scores = tuple(
        {stage: each for (stage, metric, _), each in found.items() if metric == "score"}
        for found in (_estimates(first_metrics), theirs)
    )
    return [
        statement(
            first,
            second,
            key,
            (mine, theirs[key]),
            (scores[0].get(key[0]), scores[1].get(key[0])),
        )
        for key, mine in _estimates(first_metrics).items()
        if key in theirs and not key[2].endswith("_ok")
    ]


def foreign_cpu(metrics: pl.DataFrame) -> dict[int, float]:
    """Return stage -> the share of the machine that other work took, where it is known."""
    rows = metrics.filter((pl.col("metric") == FOREIGN_CPU) & pl.col("value").is_not_null())
    return dict(rows.select("stage", "value").iter_rows())


def _estimates(metrics: pl.DataFrame) -> dict[tuple[int, str, str], Estimate]:
    return {
        (row["stage"], row["metric"], row["statistic"]): Estimate(
            **{name: row[name] for name in Estimate.__dataclass_fields__}
        )
        for row in metrics.iter_rows(named=True)
    }
