"""The view `throttling`: of each stage, what was refused, and what users waited for and why.

Counts are of its requests that stage metrics are over; quantiles are those of stage_metrics, with
their floors and their failures.
"""

from observatory.core.metric import BY_NAME, COUNTED, OVERLOADED
from observatory.store.views.stage_columns import column_name
from observatory.store.views.view import View, ViewColumn, view_columns

_SIDES = {
    "service": ("e2e_s", "End to end of the attempt that succeeded"),
    "throttle_wait": ("throttle_wait_s", "From the first attempt to the one that succeeded"),
    "pace_wait": ("pace_wait_s", "Held back on purpose before the first attempt"),
    "user": ("e2e_scheduled_s", "End to end from the scheduled instant: what a user waited"),
    "service_ttft": ("ttft_s", "Time to first token of the attempt that succeeded"),
    "user_ttft": ("ttft_scheduled_s", "Time to first token from the scheduled instant"),
}
"""The parts of a latency side by side: how each is called here, and whose figure it is."""
_STATISTICS = ("p50", "p90", "p95", "p99")


def _counts() -> tuple[ViewColumn, ...]:
    return view_columns("""
        coalesce(c.requests, 0) AS requests -- requests of the steady window that ended
        coalesce(c.attempts, 0) AS attempts -- their HTTP attempts
        coalesce(c.throttled_attempts, 0) AS throttled_attempts
            -- attempts that the service answered with "not now": 429, 529, 503, or in words with
            another status
        coalesce(c.overloaded_attempts, 0) AS overloaded_attempts
            -- those of them that were 503 or 529, or stated an overload with another status: the
            service's load, not this client's limit
        coalesce(c.throttled_requests, 0) AS throttled_requests
            -- requests that were throttled at least once
        c.throttled_requests / nullif(c.requests, 0) AS throttled_share
            -- their share of all; null without a request
        coalesce(c.served_after_waiting, 0) AS served_after_waiting
            -- those of them that were answered whole in the end
        coalesce(c.given_up, 0) AS given_up -- those of them that never were
        coalesce(c.lost_s, 0) AS throttle_lost_s
            -- seconds lost to throttling, over the throttled requests: from the first attempt to
            the one that succeeded, or to the end of the last
        coalesce(c.paced_s, 0) AS pace_lost_s
            -- seconds that requests were held back on purpose, over all of them
    """)


def _quantiles() -> tuple[ViewColumn, ...]:
    return tuple(
        ViewColumn(
            f"{side}_{statistic}_s",
            f"s.{column_name(BY_NAME[metric], statistic)}",
            f"{what}, {statistic} of {metric}, s",
        )
        for side, (metric, what) in _SIDES.items()
        for statistic in _STATISTICS
    )


_OF_REQUEST = f"""WITH of_request AS (
  SELECT run_id, stage, request, count(*) AS attempts,
    count(*) FILTER (WHERE outcome = 'throttled') AS throttled,
    count(*) FILTER (WHERE outcome = 'throttled' AND {OVERLOADED}) AS overloaded,
    min(sent_ns) FILTER (WHERE first_sent) AS first_sent_ns,
    max(sent_ns) FILTER (WHERE final) AS final_sent_ns,
    max(ended_ns) FILTER (WHERE final) AS final_ended_ns
  FROM attempts GROUP BY run_id, stage, request
), counted AS (
  SELECT r.run_id, r.stage, r.outcome, r.pace_wait_ns,
    t.attempts, t.throttled, t.overloaded, t.throttled > 0 AS hit,
    CASE WHEN r.outcome = 'ok' THEN t.final_sent_ns ELSE t.final_ended_ns END
      - t.first_sent_ns AS lost_ns
  FROM requests r
  JOIN stages g ON g.run_id = r.run_id AND g.stage = r.stage
  JOIN of_request t ON t.run_id = r.run_id AND t.stage = r.stage AND t.request = r.request
  WHERE {COUNTED}
    AND r.scheduled_ns >= g.steady_start_ns AND r.scheduled_ns < g.steady_end_ns
), counts AS (
  SELECT run_id, stage, count(*) AS requests,
    sum(attempts)::BIGINT AS attempts,
    sum(throttled)::BIGINT AS throttled_attempts,
    sum(overloaded)::BIGINT AS overloaded_attempts,
    count(*) FILTER (WHERE hit) AS throttled_requests,
    count(*) FILTER (WHERE hit AND outcome = 'ok') AS served_after_waiting,
    count(*) FILTER (WHERE hit AND outcome <> 'ok') AS given_up,
    sum(lost_ns) FILTER (WHERE hit) / 1e9 AS lost_s,
    sum(pace_wait_ns) / 1e9 AS paced_s
  FROM counted GROUP BY run_id, stage
)
"""


def throttling(identity: tuple[ViewColumn, ...], level: tuple[ViewColumn, ...]) -> View:
    """Return the view, each line with the run's identity and the stage's level before it."""
    return View(
        "throttling",
        "One row a stage of every run: how many attempts the service refused for now, what became of "
        "their requests, and the parts of what users waited side by side (docs/rate-limits.md).",
        (
            *identity,
            *level,
            ViewColumn("policy", "u.throttling", "record, obey or pace; null in older runs"),
            *_counts(),
            *_quantiles(),
        ),
        """FROM stages g
JOIN runs u ON u.run_id = g.run_id
JOIN stage_summary s ON s.run_id = g.run_id AND s.stage = g.stage
LEFT JOIN counts c ON c.run_id = g.run_id AND c.stage = g.stage
WHERE g.kind <> 'prime'""",
        _OF_REQUEST,
    )
