"""The warehouse's views as data: SQL and comment of every column, from which DDL is made.

Plain SQL only: analysts read the file with DuckDB 1.5 too.
"""

from observatory.core.metric import COUNTED, HELD_BACK, Metric
from observatory.core.metric import REQUEST_METRICS as METRICS_OF_REQUESTS
from observatory.store.views.cost_view import REQUEST_COSTS
from observatory.store.views.energy_view import energy_per_stage
from observatory.store.views.matrix_views import MATRIX_COMPARISON, MATRIX_FIGURES
from observatory.store.views.money_views import cost_components, money_per_run
from observatory.store.views.stage_columns import stage_columns
from observatory.store.views.throttle_view import throttling
from observatory.store.views.view import View, ViewColumn, view_columns

_IDENTITY = view_columns("""
    u.run_id -- run
    u.campaign_id -- campaign: runs meant to be compared
    u.scenario -- scenario name
    u.comparison_key -- only runs with equal keys are compared
    u.target -- target name
    CASE WHEN u.emulated THEN u.target || ' (emulated)' ELSE u.target END AS target_label
        -- target name for people: an emulated one is marked
    u.target_kind -- llamacpp, vllm, url, api or emulated
    u.hosting -- self or managed
    u.weights -- open or closed
    u.billing -- hours or tokens
    u.emulated -- a seeded stand-in: no figure is of a real service
    u.model -- model as requested
    u.status -- how the run ended: complete, interrupted, ...
    u.verdict -- valid, degraded or invalid; null before it was judged
    u.label -- name given to the run by a person
""")

_LEVEL = view_columns("""
    g.stage -- stage of the run, from 0
    g.kind AS stage_kind -- closed, constant, poisson or prime
    g.concurrency -- simulated users (closed loop)
    g.rate_per_s -- planned requests a second (open loop)
""")


def _metric_column(metric: Metric) -> ViewColumn:
    """Return a metric's column; null for a request that the clock stepped under: its times are no latencies."""
    unit = f", {metric.unit}" if metric.unit != "1" else ""
    sql = f"CASE WHEN r.clock_step IS NOT TRUE THEN {metric.sql} END"
    return ViewColumn(metric.name, sql, f"{metric.title}{unit}: {metric.definition}")


def _unix(name: str, instant: str, what: str) -> ViewColumn:
    return ViewColumn(
        f"{name}_unix_ns", f"u.anchor_unix_ns + {instant}", f"{what}, Unix time in nanoseconds"
    )


_IN_WINDOW = (
    "coalesce(r.scheduled_ns >= g.steady_start_ns AND r.scheduled_ns < g.steady_end_ns, false)"
)

REQUEST_METRICS = View(
    "request_metrics",
    "One row a request of every run, of any status and verdict: identifiers, outcome, tokens, "
    "cost, score and every metric of a single request.",
    (
        *_IDENTITY,
        *_LEVEL,
        *view_columns(f"""
            r.request -- place in the stage's order, from 0
            r.prompt_id -- item of the data set
            r.task -- task set or the user's task
            r.conversation -- conversation, if any
            r.turn -- turn in it, from 0
            r.worker -- worker process, from 0
            a.provider_request_id -- the server's own id of the request
            r.outcome -- ok, error, timeout, throttled, filtered, refused_by_budget, not_issued, ...
            r.reason -- why it was not issued or not ok: drain_limit, rate_limited, overloaded,
                reset ...
            a.finish_reason -- stop, length, tool_calls, content_filter ...
            a.http_status -- HTTP status of the final attempt
            a.error_phase -- where the final attempt failed
            a.error_kind -- how the final attempt failed
            r.attempts -- HTTP attempts
            r.phase -- prime, warmup, steady or drain, by scheduled
            {_IN_WINDOW} AS in_window
                -- scheduled in the steady window: the requests that stage metrics are over
            {HELD_BACK} AS held_back
                -- due and kept back by a limit until the drain limit: infinite in ttft_scheduled_s
                and e2e_scheduled_s (null here), a failure in goodput and error rate, in nothing
                else
            {_IN_WINDOW} AND {COUNTED} AND r.clock_step IS NOT TRUE AS counted
                -- its latencies are in the stage's percentiles: scheduled in the window, of an
                outcome that the target is answerable for, without a clock step
            r.clock_step -- realtime stepped while it was open: its latencies are null
            a.prompt_tokens -- tokens of the prompt, cached ones included
            a.cached_tokens -- prompt tokens read from the server's cache
            a.output_tokens -- billed output tokens, hidden reasoning included
            a.reasoning_tokens -- reasoning tokens
            a.streamed_tokens -- tokens whose text arrived in events
            a.output_tokens_from -- usage, tokenizer, characters or events
            a.streamed_tokens_from -- usage, tokenizer, characters or events
            a.tokenizer -- tokenizer that counted
            a.answer_characters -- characters of the answer
            r.score -- task scorer's verdict, 0 to 1; null where nothing was expected
            r.scorer -- name of the scorer
            r.score_note -- truncated, refused, empty ... where a guard spoke
            r.cost_usd -- US dollars by billed tokens; null for billing by hours
            r.cost_basis -- list_price, stated, example, emulated; null without a cost
            CASE
                WHEN r.cost_usd IS NOT NULL THEN NULL
                WHEN u.billing <> 'tokens' THEN 'billed by hours'
                WHEN r.outcome IN ('not_issued', 'refused_by_budget') THEN 'never sent'
                WHEN u.run_id NOT IN (SELECT run_id FROM prices WHERE kind = 'input')
                    THEN 'no price is known'
                WHEN a.output_tokens IS NULL AND a.streamed_tokens_from IN ('usage', 'characters')
                    THEN 'its token counts contradict each other'
                WHEN a.prompt_tokens IS NULL OR a.output_tokens IS NULL
                        OR a.output_tokens_from IS DISTINCT FROM 'usage'
                    THEN 'no answer says how many tokens'
                WHEN a.outcome <> 'ok' AND a.finish_reason IS NULL
                        AND NOT coalesce(a.saw_done, false)
                    THEN 'it broke off before its last count'
                ELSE 'its token counts contradict each other' END AS cost_reason
                -- why cost_usd is null, in words
        """),
        *(_metric_column(metric) for metric in METRICS_OF_REQUESTS),
        _unix("scheduled", "r.scheduled_ns", "intended send"),
        _unix("sent", "a.sent_ns", "first byte of the final attempt handed to the kernel"),
        _unix("first_token", "a.first_token_ns", "first text of the answer"),
        _unix("last_token", "a.last_token_ns", "last text of the answer"),
        _unix("ended", "a.ended_ns", "answer complete, or given up"),
    ),
    """FROM requests r
JOIN runs u ON u.run_id = r.run_id
LEFT JOIN stages g ON g.run_id = r.run_id AND g.stage = r.stage
LEFT JOIN attempts a
  ON a.run_id = r.run_id AND a.stage = r.stage AND a.request = r.request AND a.final
LEFT JOIN attempts f
  ON f.run_id = r.run_id AND f.stage = r.stage AND f.request = r.request AND f.first_sent""",
)


def _pivot() -> str:
    listed = ",\n    ".join(
        f"max({column.field}) FILTER (WHERE metric = '{column.metric.name}'"
        f" AND statistic = '{column.statistic}') AS {column.name}"
        for column in stage_columns()
    )
    return f"""SELECT run_id, stage,
    max(n) FILTER (WHERE metric IN ('ttft_s', 'e2e_s')) AS n,
    max(basis) FILTER (WHERE metric = 'cost_usd') AS cost_basis,
    max(basis) FILTER (WHERE metric = 'energy_j') AS energy_basis,
    max(scopes) FILTER (WHERE metric = 'energy_j') AS energy_scopes,
    {listed}
  FROM stage_metrics GROUP BY run_id, stage"""


STAGE_SUMMARY = View(
    "stage_summary",
    "One row a stage of every run, of any status and verdict: stage_metrics side by side, GPU, "
    "energy and cost included. Why a figure is missing, and its bound, is in "
    "stage_metrics.",
    (
        *_IDENTITY,
        *_LEVEL,
        *view_columns("""
            (g.steady_end_ns - g.steady_start_ns) / 1e9 AS window_s
                -- length of the steady window, s
            g.planned -- requests planned (open loop)
            g.issued -- requests that workers report as issued
            g.recorded -- records of issued requests found
            g.not_issued -- planned requests that were never sent
            g.streamed -- whether the answers really came as streams; where not, there is no time to
                first token
            m.n -- requests behind the latencies
            m.cost_basis -- list_price, stated, example or emulated; null without a cost
            m.energy_basis -- measured, estimated or modelled; null without energy
            m.energy_scopes -- what is in energy_j and j_per_*, each scope with its basis, e.g. gpu
                measured
        """),
        *(
            ViewColumn(column.name, f"m.{column.name}", column.comment)
            for column in stage_columns()
        ),
    ),
    f"""FROM stages g
JOIN runs u ON u.run_id = g.run_id
LEFT JOIN (
  {_pivot()}
) m ON m.run_id = g.run_id AND m.stage = g.stage""",
)


def _complete_sum(metric: str) -> str:
    """Return a sum over the stages that is null where a stage has none: a part of it would pass for the whole.

    In order of size: threads would add in any order, and another order gives other last digits.
    """
    own = f"FILTER (WHERE metric = '{metric}')"
    return f"CASE WHEN count(*) {own} = count(value) {own} THEN sum(value ORDER BY value) {own} END"


RUN_SUMMARY = View(
    "run_summary",
    "One row a run, of any status and verdict.",
    (
        *_IDENTITY,
        *view_columns("""
            u.status_reason -- why it ended so
            u.verdict_sentence -- the verdict in one line
            u.verdict_codes -- codes of the findings behind the verdict
            u.engine -- serving engine where known
            u.engine_version -- its version
            u.engine_distribution -- package that the engine came from; names a third party's build
            u.created_at -- start, UTC
            u.ended_at -- end, UTC
            u.publish -- shown on the published site
            u.other_address_in -- latest earlier run of this target's name that was at another
                address
            u.changed_since_sealed -- what of the folder has changed since it was sealed, or that
                its process died before; null: nothing that is known
            coalesce(g.stages, 0) AS stages -- stages that ran
            g.issued -- requests that workers report as issued
            coalesce(r.requests, 0) AS requests -- requests recorded
            coalesce(r.ok, 0) AS ok -- requests answered whole
            coalesce(r.failed, 0) AS failed -- requests sent that were not answered whole
            coalesce(r.not_sent, 0) AS not_sent -- requests planned and never sent
            r.mean_score -- mean score of the requests that have one
            r.spent_usd -- US dollars of all requests; null for billing by hours
            m.cost_usd AS window_cost_usd
                -- US dollars of the steady windows, tokens or hours; null where one is not known
            m.energy_j -- joules of subject target in the steady windows; null where one is not
                known
            coalesce(d.findings, 0) AS findings -- doubts about the run, notes included
        """),
    ),
    f"""FROM runs u
LEFT JOIN (
  SELECT run_id, count(*) AS stages, sum(issued)::BIGINT AS issued FROM stages GROUP BY run_id
) g ON g.run_id = u.run_id
LEFT JOIN (
  SELECT run_id, count(*) AS requests,
    count(*) FILTER (WHERE outcome = 'ok') AS ok,
    count(*) FILTER (WHERE outcome IN ('error', 'timeout', 'throttled', 'filtered', 'interrupted')) AS failed,
    count(*) FILTER (WHERE outcome IN ('refused_by_budget', 'not_issued')) AS not_sent,
    avg(score ORDER BY score) AS mean_score,
    sum(cost_usd ORDER BY cost_usd) AS spent_usd
  FROM requests GROUP BY run_id
) r ON r.run_id = u.run_id
LEFT JOIN (
  SELECT run_id, {_complete_sum("cost_usd")} AS cost_usd, {_complete_sum("energy_j")} AS energy_j
  FROM stage_metrics GROUP BY run_id
) m ON m.run_id = u.run_id
LEFT JOIN (
  SELECT run_id, count(*) AS findings FROM findings GROUP BY run_id
) d ON d.run_id = u.run_id""",
)

_OF_SUMMARY = {
    column.name: ViewColumn(column.name, f"s.{column.name}", column.comment)
    for column in STAGE_SUMMARY.columns
}

TARGET_COMPARISON = View(
    "target_comparison",
    "One row per comparison_key, target and stage, of the latest campaign with that key all of whose "
    "runs are complete (or reached their budget) and not invalid; where there is none, of the latest "
    "with one such run, else of the latest with a run that is not invalid: see status. Of a matrix, "
    "one for each block too (matrix_comparison takes the blocks together). Runs that are invalid, or "
    "were never judged, are left out and counted, and so are later campaigns that did not complete.",
    (
        *(_OF_SUMMARY[column.name] for column in (*_IDENTITY, *_LEVEL)),
        *view_columns("""
            sound.block -- matrix: repetition that the row is of, from 0
            c.invalid_runs -- runs with this comparison_key that are left out: invalid or unjudged
                ones of this campaign or a later one, and all of later campaigns that did not
                complete
            coalesce(w.targets, 0) AS not_streamed_targets
                -- targets that are left out of this stage because their answers did not come as
                streams, where another's did
            s.streamed -- whether the answers really came as streams
        """),
        *(
            _OF_SUMMARY[name]
            for name in ("window_s", "n", "cost_basis", "energy_basis", "energy_scopes")
        ),
        *(_OF_SUMMARY[column.name] for column in stage_columns()),
    ),
    """FROM latest
JOIN sound ON sound.comparison_key = latest.comparison_key AND sound.campaign_id = latest.campaign_id
JOIN (
  SELECT latest.comparison_key,
    count(*) FILTER (WHERE NOT candidates.sound OR candidates.campaign_id <> latest.campaign_id)
      AS invalid_runs
  FROM latest JOIN candidates ON candidates.comparison_key = latest.comparison_key
    AND (candidates.begun, candidates.campaign_id) >= (latest.begun, latest.campaign_id)
  GROUP BY latest.comparison_key
) c ON c.comparison_key = latest.comparison_key
JOIN stage_summary s ON s.run_id = sound.run_id AND s.stage_kind <> 'prime'
LEFT JOIN came_how w ON w.comparison_key = latest.comparison_key AND w.stage = s.stage
WHERE s.streamed IS NOT FALSE OR NOT coalesce(w.streams, false)""",
    """WITH candidates AS (
  SELECT run_id, comparison_key, campaign_id, target, block, created_at,
    coalesce(sound, false) AS sound, coalesce(whole, false) AS whole,
    min(created_at) OVER (PARTITION BY comparison_key, campaign_id) AS begun
  FROM runs
), best AS (
  SELECT * FROM candidates
  QUALIFY row_number() OVER (
    PARTITION BY comparison_key, campaign_id, target, block
    ORDER BY whole DESC, sound DESC, created_at DESC, run_id DESC
  ) = 1
), sound AS (
  SELECT * FROM best WHERE sound
), ranked AS (
  SELECT comparison_key, campaign_id, min(begun) AS begun, bool_and(whole) AS all_whole,
    bool_or(whole) AS any_whole
  FROM best GROUP BY comparison_key, campaign_id HAVING bool_or(sound)
), latest AS (
  SELECT comparison_key, campaign_id, begun FROM ranked
  QUALIFY row_number() OVER (
    PARTITION BY comparison_key
    ORDER BY all_whole DESC, any_whole DESC, begun DESC, campaign_id DESC
  ) = 1
), came_how AS (
  SELECT latest.comparison_key, g.stage, bool_or(g.streamed IS NOT FALSE) AS streams,
    CASE WHEN bool_or(g.streamed IS NOT FALSE)
      THEN count(DISTINCT sound.target) FILTER (WHERE g.streamed IS FALSE) END AS targets
  FROM latest
  JOIN sound ON sound.comparison_key = latest.comparison_key
    AND sound.campaign_id = latest.campaign_id
  JOIN stages g ON g.run_id = sound.run_id
  GROUP BY latest.comparison_key, g.stage
)
""",
)

VIEWS: tuple[View, ...] = (
    REQUEST_METRICS,
    STAGE_SUMMARY,
    RUN_SUMMARY,
    TARGET_COMPARISON,
    energy_per_stage(_IDENTITY),
    throttling(_IDENTITY, _LEVEL),
    REQUEST_COSTS,
    cost_components(_IDENTITY, _LEVEL),
    money_per_run(_IDENTITY),
    MATRIX_FIGURES,
    MATRIX_COMPARISON,
)
