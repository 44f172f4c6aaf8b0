"""What the pages read of a search for limits."""

import polars as pl

from observatory.site.queries.reader import Reader


def limit_attempts(reader: Reader, run_id: str) -> pl.DataFrame:
    """Return of every attempt what its target's limits are read from (analysis.rate_limits.limit_reading)."""
    return reader.frame(
        """
        SELECT stage, sent_ns, ended_ns, outcome, http_status, error_kind, error_text, retry_after_s, rate_limit_headers,
               prompt_tokens, output_tokens
        FROM attempts WHERE run_id = $run_id ORDER BY stage, request, attempt
        """,
        run_id=run_id,
    )


def limit_costs(reader: Reader, run_id: str) -> pl.DataFrame:
    """Return cost_usd of every request of a run."""
    return reader.frame(
        "SELECT cost_usd FROM requests WHERE run_id = $run_id ORDER BY stage, request",
        run_id=run_id,
    )
