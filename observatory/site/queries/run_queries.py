"""The queries of pages: rows in a fixed order, hosts masked. Reads only."""

from collections import defaultdict

import polars as pl

from observatory.core.metric import has_trait
from observatory.presentation.figures import Figure, StageFigures
from observatory.site.queries.reader import (
    OF_CAMPAIGNS,
    UNSHOWN,
    VIEWS,
    Reader,
)
from observatory.site.queries.rows import (
    DescribedColumn,
    FailedAttempts,
    FigureOfBlock,
    FigureOfStage,
    FindingRow,
    LedgerRow,
    MatrixFigure,
    NamedByService,
    NeverSent,
    OutcomeCount,
    PriceOfRun,
    RunBill,
    StageRow,
    StatedTimes,
    ThrottlingRow,
)
from observatory.store.queries.typed_rows import Typed, columns_of


def stages(reader: Reader, run_id: str) -> list[StageRow]:
    """Return the stages of a run, priming left out."""
    return reader.typed(
        StageRow,
        f"SELECT {columns_of(StageRow)} FROM stages WHERE run_id = $run_id AND kind <> 'prime' ORDER BY stage",
        run_id=run_id,
    )


def figures(reader: Reader, run_id: str) -> dict[int, StageFigures]:
    """Return the figures of every stage of a run."""
    by_stage: dict[int, dict[tuple[str, str], Figure]] = defaultdict(dict)
    for row in _all_of(reader, FigureOfStage, "stage_metrics", run_id):
        by_stage[row.stage][row.metric, row.statistic] = row
    return {stage: StageFigures(found) for stage, found in by_stage.items()}


def energy(reader: Reader, run_id: str) -> list[LedgerRow]:
    """Return the energy ledger of a run."""
    return _all_of(reader, LedgerRow, "energy", run_id)


def throttling(reader: Reader, run_id: str) -> list[ThrottlingRow]:
    """Return what was refused and held back at each stage of a run."""
    return _all_of(reader, ThrottlingRow, "throttling", run_id)


def matrix_figures(reader: Reader, campaign_id: str) -> list[MatrixFigure]:
    """Return each figure of each cell of one campaign over its blocks."""
    return reader.typed(
        MatrixFigure,
        f"SELECT {columns_of(MatrixFigure)} FROM matrix_figures WHERE campaign_id = $campaign_id"
        " ORDER BY ALL",
        campaign_id=campaign_id,
    )


def matrix_blocks(reader: Reader, campaign_id: str) -> list[FigureOfBlock]:
    """Return every figure of every run that matrix_figures is made of.

    The same runs: complete or at their budget, judged and not invalid, the latest of a cell and block.
    """
    return reader.typed(
        FigureOfBlock,
        """
        WITH sound AS (
          SELECT run_id, target, block FROM runs
          WHERE campaign_id = $campaign_id AND cell IS NOT NULL
            AND whole
          QUALIFY row_number() OVER (
            PARTITION BY target, block ORDER BY created_at DESC, run_id DESC
          ) = 1
        )
        SELECT s.run_id, s.target, s.block, m.stage, m.metric, m.statistic, m.value, m.reason
        FROM sound s JOIN stage_metrics m USING (run_id) ORDER BY ALL
        """,
        campaign_id=campaign_id,
    )


def requests_in_time(reader: Reader, run_id: str) -> pl.DataFrame:
    """Return one row a request: start_s, took_s (null if it never ended), outcome, stage, phase."""
    return reader.frame(
        """
        SELECT r.scheduled_ns / 1e9 AS start_s,
               (max(a.ended_ns) - r.scheduled_ns) / 1e9 AS took_s,
               r.outcome, r.stage, r.phase
        FROM requests r LEFT JOIN attempts a USING (run_id, stage, request)
        WHERE r.run_id = $run_id AND r.phase IS DISTINCT FROM 'prime'
        GROUP BY r.scheduled_ns, r.outcome, r.stage, r.phase, r.request
        ORDER BY start_s, r.stage, r.request
        """,
        run_id=run_id,
    )


def samples(reader: Reader, run_id: str) -> pl.DataFrame:
    """Return readings of a run: at_s, sensor, subject, device, metric, value, reason."""
    return reader.frame(
        """
        SELECT at_ns / 1e9 AS at_s, sensor, subject, device, metric, value, reason
        FROM samples WHERE run_id = $run_id ORDER BY sensor, device, metric, at_ns
        """,
        run_id=run_id,
    )


def latencies(reader: Reader, run_id: str, metric: str) -> pl.DataFrame:
    """Return stage and value (null: it failed first) of the requests that a stage's percentiles are over.

    The population of analysis.latencies, ascending, failures last.
    """
    held_back = "held_back" if has_trait(metric, "from_scheduled") else "false"
    return reader.frame(
        f"""
        SELECT stage, {metric} AS value FROM request_metrics
        WHERE run_id = $run_id AND in_window AND NOT coalesce(clock_step, false)
          AND (counted OR {held_back}) AND (outcome <> 'ok' OR {metric} IS NOT NULL)
        ORDER BY stage, value NULLS LAST
        """,
        run_id=run_id,
    )


def counted_attempts(reader: Reader, run_id: str, stage: int) -> pl.DataFrame:
    """Return the final attempts of the requests that a stage's percentiles are over, with outcome and events."""
    return reader.frame(
        """
        SELECT m.request, m.outcome, a.sent_ns, a.event_gap_ns, a.event_shared
        FROM request_metrics m JOIN attempts a USING (run_id, stage, request)
        WHERE m.run_id = $run_id AND m.stage = $stage AND a.final AND m.counted
        ORDER BY m.request
        """,
        run_id=run_id,
        stage=stage,
    )


STATED = ("model_reported", "system_fingerprint", "service_tier")
"""Columns of attempts in which a service names what answered."""


def stated_by_service(reader: Reader, run_id: str, column: str) -> list[NamedByService]:
    """Return what the answers of a run named in one column of STATED: stated, n; the most frequent first."""
    assert column in STATED
    return reader.typed(
        NamedByService,
        f"""
        SELECT {column} AS stated, count(*) AS n FROM attempts
        WHERE run_id = $run_id AND {column} IS NOT NULL GROUP BY 1 ORDER BY n DESC, stated
        """,
        run_id=run_id,
    )


def stated_waits_and_work(reader: Reader, run_id: str) -> StatedTimes:
    """Return refusals, those that named a wait and its median; answers that named their processing time, and
    its median."""
    [row] = reader.typed(
        StatedTimes,
        """
        SELECT count(*) FILTER (WHERE outcome = 'throttled') AS refusals,
               count(retry_after_s) FILTER (WHERE outcome = 'throttled') AS waits,
               median(retry_after_s) FILTER (WHERE outcome = 'throttled') AS wait_s,
               count(processing_ms) AS worked, median(processing_ms) / 1e3 AS work_s
        FROM attempts WHERE run_id = $run_id
        """,
        run_id=run_id,
    )
    return row


def latest_limit_headers(reader: Reader, run_id: str) -> pl.DataFrame:
    """Return rate_limit_headers and ended_ns of the last attempts of each status that had such headers."""
    return reader.frame(
        """
        SELECT rate_limit_headers, ended_ns FROM attempts
        WHERE run_id = $run_id AND rate_limit_headers IS NOT NULL
        QUALIFY row_number() OVER (
          PARTITION BY http_status ORDER BY ended_ns DESC, stage, request, attempt
        ) <= 200
        ORDER BY ended_ns, stage, request, attempt
        """,
        run_id=run_id,
    )


def bill(reader: Reader, run_id: str) -> RunBill:
    """Return what all requests of a run came to, warm-up and failures included: requests, prompt_tokens,
    output_tokens, usd (null: not known), and unpriced, answers without a known cost (the terminal's count)."""
    [row] = reader.typed(
        RunBill,
        """
        SELECT r.requests, r.usd, r.unpriced, a.prompt_tokens, a.output_tokens FROM (
          SELECT count(*) FILTER (WHERE q.outcome NOT IN ('not_issued', 'refused_by_budget')) AS requests,
                 sum(q.cost_usd) AS usd,
                 count(*) FILTER (WHERE q.cost_usd IS NULL AND f.first_event_ns IS NOT NULL) AS unpriced
          FROM requests q LEFT JOIN attempts f
            ON f.run_id = q.run_id AND f.stage = q.stage AND f.request = q.request AND f.final
          WHERE q.run_id = $run_id
        ) r, (
          SELECT sum(prompt_tokens)::BIGINT AS prompt_tokens, sum(output_tokens)::BIGINT AS output_tokens
          FROM attempts WHERE run_id = $run_id
        ) a
        """,
        run_id=run_id,
    )
    return row


def findings(reader: Reader, run_id: str) -> list[FindingRow]:
    """Return the findings of a run, by stage and code."""
    return _all_of(reader, FindingRow, "findings", run_id)


def prices(reader: Reader, run_id: str) -> list[PriceOfRun]:
    """Return the prices that were applied to a run, by kind."""
    return _all_of(reader, PriceOfRun, "prices", run_id)


def _all_of(reader: Reader, row_type: type[Typed], table: str, run_id: str) -> list[Typed]:
    query = f"SELECT {columns_of(row_type)} FROM {table} WHERE run_id = $run_id ORDER BY ALL"
    return reader.typed(row_type, query, run_id=run_id)


def outcomes(reader: Reader, run_id: str) -> list[OutcomeCount]:
    """Return how many requests of each stage ended how: stage, outcome, n."""
    return reader.typed(
        OutcomeCount,
        """
        SELECT stage, outcome, count(*) AS n FROM requests
        WHERE run_id = $run_id AND phase IS DISTINCT FROM 'prime' GROUP BY ALL ORDER BY ALL
        """,
        run_id=run_id,
    )


def errors(reader: Reader, run_id: str) -> list[FailedAttempts]:
    """Return failed attempts by kind: stages, outcome, phase, kind, status, n and one text as an example."""
    return reader.typed(
        FailedAttempts,
        """
        SELECT a.outcome, a.error_phase, a.error_kind, a.http_status, count(*) AS n,
               list_sort(list(DISTINCT a.stage)) AS stages,
               min(a.error_text) AS error_text
        FROM attempts a WHERE a.run_id = $run_id AND a.outcome <> 'ok'
        GROUP BY a.outcome, a.error_phase, a.error_kind, a.http_status
        ORDER BY n DESC, a.outcome, a.error_phase, a.error_kind, a.http_status
        """,
        run_id=run_id,
    )


def never_sent(reader: Reader, run_id: str) -> list[NeverSent]:
    """Return requests that were planned and never sent: outcome, reason, n."""
    return reader.typed(
        NeverSent,
        """
        SELECT outcome, reason, count(*) AS n FROM requests
        WHERE run_id = $run_id AND outcome IN ('not_issued', 'refused_by_budget')
        GROUP BY ALL ORDER BY n DESC, outcome, reason
        """,
        run_id=run_id,
    )


def view_names(reader: Reader, name: str) -> list[str]:
    """Return the columns of a view that a download has: all but those in UNSHOWN."""
    names = reader.values(f"SELECT column_name FROM (DESCRIBE {name})")
    return [column for column in names if column not in UNSHOWN]


def view_rows(reader: Reader, name: str) -> int:
    """Return how many rows of a view the site shows."""
    [rows] = reader.values(f"SELECT count(*) FROM {name} WHERE {_shown(reader, name)}")
    return int(rows)


def view(reader: Reader, name: str) -> pl.DataFrame:
    """Return a whole view for download, fully ordered."""
    chosen = ", ".join(f'"{column}"' for column in view_names(reader, name))
    return reader.frame(f"SELECT {chosen} FROM {name} WHERE {_shown(reader, name)} ORDER BY ALL")


def _shown(reader: Reader, name: str) -> str:
    """Return the condition on a view; one over whole campaigns shows those that are published whole."""
    if not reader.only_published or name not in OF_CAMPAIGNS:
        return reader.shown
    return "campaign_id IN (SELECT campaign_id FROM runs GROUP BY 1 HAVING bool_and(publish))"


def view_columns(reader: Reader) -> list[DescribedColumn]:
    """Return the columns of the views, view by view."""
    return reader.typed(
        DescribedColumn,
        f"""
        SELECT {columns_of(DescribedColumn)} FROM duckdb_columns()
        WHERE table_name IN {VIEWS} ORDER BY table_name, column_index
        """,
    )
