"""The metric table: one row per metric, from which SQL views, terminal and pages are made.

Request-grain SQL is over r (requests), a (the final attempt), f (the first attempt that was sent)
and g (stages); definitions are those of METRICS.md, kept in docs/metrics.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from observatory.core.commented_lines import commented_lines

HELD_BACK_REASON = "drain_limit"
"""Why a request was not issued that an in-flight or rate limit kept back until the drain limit: its
user waited and got nothing, so it has failed wherever time counts from `scheduled`."""

COUNTED_OUTCOMES = ("ok", "error", "timeout", "throttled", "filtered")
"""Outcomes that a target is answerable for. The others (interrupted, not_issued, refused_by_budget) are left
out of every distribution and counted, but for those held back."""
COUNTED = f"r.outcome IN {COUNTED_OUTCOMES}"
"""SQL: whether a request counts in the figures of the window that it was scheduled in."""
HELD_BACK = f"coalesce(r.outcome = 'not_issued' AND r.reason = '{HELD_BACK_REASON}', false)"
"""SQL: due, and kept back by an in-flight or rate limit until the drain limit: in no distribution from
`sent`, infinite in those from `scheduled`, a failure in goodput and in the error rate."""

RATE_LIMITED = "coalesce(http_status = 429 OR error_kind = 'rate_limited', false)"
"""SQL over attempts: refused for this client's own limit, by a 429 (RFC 6585, 4) or in words with another status."""
OVERLOADED = "coalesce(http_status IN (503, 529) OR error_kind = 'overloaded', false)"
"""SQL over attempts: the service is overloaded, by any client's load; also stated inside a 200."""

FOREIGN_CPU = "foreign_cpu_fraction"
"""The stage's metric of the share of the cores that other work used."""
FOREIGN_CPU_APART = 0.10
"""Of the machine: runs of which other work took shares that lie further apart make no ratio."""

Grain = Literal["attempt", "request", "event", "stage"]
Better = Literal["lower", "higher", "neither"]
Trait = Literal[
    "from_scheduled",
    "of_stream",
    "of_client",
    "per_token",
    "of_streamed_tokens",
    "with_p95",
    "share",
]
"""The properties of a metric that code reads:

- from_scheduled: a request that was held back counts as infinite.
- of_stream: an answer that does not come as a stream has none.
- of_client: the client's own doing, so that a request which the target failed is no infinity.
- per_token: tokens of different tokenizers are different units.
- of_streamed_tokens: counts tokens by their text, and is no better than what counted them.
- with_p95: a mean over readings, stored with their 95th percentile.
- share: a share, written in per cent, though its name does not end in _fraction.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """name ends in the unit; sql gives one value a request (None: computed per stage).

    stage_sql: a stage's value, as an aggregate of the window's counted requests over r (also window_s, in each
    row, and attempts_recorded, _throttled and _stale), a and f; n_sql: of how many. Without it a function that
    analysis.stage_metrics names computes it.
    """

    name: str
    title: str
    unit: str
    better: Better
    definition: str
    grain: Grain = "stage"
    sql: str | None = None
    needs: tuple[str, ...] = ()
    traits: tuple[Trait, ...] = ()
    stage_sql: str | None = None
    n_sql: str = "count(*)"

    @property
    def quantiles(self) -> bool:
        """Return whether a stage has percentiles and the mean of it; else one value."""
        return self.grain != "stage"


def _first(end: str, start: str) -> str:
    """Return seconds to a first text; null where all of it came at once, and where a filter took it back."""
    known = "coalesce(a.streamed, true) AND r.outcome <> 'filtered'"
    return f"CASE WHEN {known} THEN ({end} - {start}) / 1e9 END"


def _of_stage(text: str) -> Iterator[Metric]:
    """Yield the metrics of lines `name | title | unit | better | traits ... -- definition`."""
    for line, definition in commented_lines(text):
        name, title, unit, better, *traits = line.split(" | ")
        fields = {"name": name, "title": title, "unit": unit, "better": better, "traits": traits}
        yield msgspec.convert({**fields, "definition": definition}, Metric)


METRICS: tuple[Metric, ...] = (
    Metric(
        "ttft_s",
        "Time to first token",
        "s",
        "lower",
        "first_token - sent, on the attempt that succeeded; null where the answer did not come as a stream",
        grain="attempt",
        sql=_first("a.first_token_ns", "a.sent_ns"),
        needs=("first_token_ns", "sent_ns"),
        traits=("of_stream",),
    ),
    Metric(
        "ttft_connect_s",
        "Time to first token, connecting included",
        "s",
        "lower",
        "first_token - connect_started; equals ttft_s on a reused connection",
        grain="attempt",
        sql=_first("a.first_token_ns", "coalesce(a.connect_started_ns, a.sent_ns)"),
        needs=("first_token_ns",),
        traits=("of_stream",),
    ),
    Metric(
        "ttft_scheduled_s",
        "Time to first token, as a user waits",
        "s",
        "lower",
        "first_token - scheduled: client queueing and throttling included; infinite for a request "
        "that was due and kept back until the drain limit",
        grain="request",
        sql=_first("a.first_token_ns", "r.scheduled_ns"),
        needs=("first_token_ns", "scheduled_ns"),
        traits=("of_stream", "from_scheduled"),
    ),
    Metric(
        "ttfa_s",
        "Time to first answer text",
        "s",
        "lower",
        "first_answer - sent (after reasoning)",
        grain="request",
        sql=_first("a.first_answer_ns", "a.sent_ns"),
        needs=("first_answer_ns", "sent_ns"),
        traits=("of_stream",),
    ),
    Metric(
        "itl_s",
        "Inter-token latency",
        "s",
        "lower",
        "gaps between successive text events, pooled over the window; n is requests",
        grain="event",
        needs=("event_gap_ns",),
        traits=("of_stream", "per_token"),
    ),
    Metric(
        "tpot_s",
        "Time per output token",
        "s",
        "lower",
        "(last_token - first_token) / (streamed tokens after the first event), of whole answers; "
        "null under 2 tokens or where the split is unknown",
        grain="request",
        sql="CASE WHEN r.outcome = 'ok' AND len(a.event_tokens) > 1 "
        "AND a.streamed_tokens > a.event_tokens[1] "
        "THEN (a.last_token_ns - a.first_token_ns) / 1e9 "
        "/ (a.streamed_tokens - a.event_tokens[1]) END",
        needs=("event_tokens",),
        traits=("of_stream", "per_token", "of_streamed_tokens"),
    ),
    Metric(
        "e2e_s",
        "End-to-end latency",
        "s",
        "lower",
        "ended - sent",
        grain="request",
        sql="CASE WHEN r.outcome = 'ok' THEN (a.ended_ns - a.sent_ns) / 1e9 END",
        needs=("ended_ns", "sent_ns"),
    ),
    Metric(
        "e2e_scheduled_s",
        "End-to-end latency, as a user waits",
        "s",
        "lower",
        "ended - scheduled; infinite for a request that was due and kept back until the drain limit",
        grain="request",
        sql="CASE WHEN r.outcome = 'ok' THEN (a.ended_ns - r.scheduled_ns) / 1e9 END",
        needs=("ended_ns", "scheduled_ns"),
        traits=("from_scheduled",),
    ),
    Metric(
        "pace_wait_s",
        "Deliberate pacing wait",
        "s",
        "neither",
        "time a request was held back on purpose (max_rate, token buckets)",
        grain="request",
        sql="r.pace_wait_ns / 1e9",
        traits=("of_client",),
    ),
    Metric(
        "sched_lag_s",
        "Schedule lag",
        "s",
        "lower",
        "first attempt's sent - scheduled - pace_wait_s: the client's own fault",
        grain="request",
        sql="(f.sent_ns - r.scheduled_ns - r.pace_wait_ns) / 1e9",
        needs=("sent_ns", "scheduled_ns"),
        traits=("of_client",),
    ),
    Metric(
        "throttle_wait_s",
        "Throttle wait",
        "s",
        "lower",
        "successful attempt's sent - first attempt's sent",
        grain="request",
        sql="CASE WHEN r.outcome = 'ok' THEN (a.sent_ns - f.sent_ns) / 1e9 END",
        needs=("sent_ns",),
    ),
    Metric(
        "output_tps_user",
        "Output tokens a second, one user",
        "1/s",
        "higher",
        "1 / tpot_s",
        grain="request",
        sql="CASE WHEN r.outcome = 'ok' AND len(a.event_tokens) > 1 "
        "AND a.streamed_tokens > a.event_tokens[1] "
        "AND a.last_token_ns > a.first_token_ns "
        "THEN (a.streamed_tokens - a.event_tokens[1]) * 1e9 / (a.last_token_ns - a.first_token_ns) END",
        needs=("event_tokens",),
        traits=("of_stream", "per_token", "of_streamed_tokens"),
    ),
    *_of_stage("""
        output_tps | Output tokens a second | 1/s | higher | per_token | of_streamed_tokens
            -- streamed tokens whose arrival falls in the window / window
        chars_per_s | Characters a second | 1/s | higher
            -- streamed characters whose arrival falls in the window / window
        request_rate | Requests a second | 1/s | higher
            -- successes ended in the window / window
        attempt_rate | HTTP attempts a second | 1/s | neither
            -- HTTP attempts sent in the window / window
        goodput_fraction | Goodput fraction | 1 | higher
            -- requests meeting every bound of slo.per_request (ttft and e2e as a user waits, from
            scheduled); errors stay in the denominator, and requests kept back until the drain limit
        goodput_rps | Goodput | 1/s | higher
            -- requests meeting every bound of slo.per_request / window
        error_rate | Error rate | 1 | lower | share
            -- failed / ended requests; one that was due and kept back until the drain limit has
            failed
        throttle_rate | Throttle rate | 1 | lower | share
            -- throttled / all attempts
    """),
    Metric(
        "stale_retries",
        "Attempts on stale connections",
        "attempts",
        "lower",
        "HTTP attempts of the window's requests that the server answered with no byte, by closing the kept "
        "connection that they were sent on; each was made again on a new connection",
        stage_sql="coalesce(sum(r.attempts_stale), 0)",
        n_sql="coalesce(sum(r.attempts_recorded), 0)",
    ),
    *_of_stage(f"""
        open_requests | Open requests | requests | neither
            -- mean number of requests between scheduled and ended over the window
        open_requests_change | Change of open requests | 1 | neither
            -- open requests of the window's second half / first half - 1; reason within_noise where
            the net flow of requests shows no trend
        kv_cache_fraction | KV cache in use | 1 | neither | with_p95
            -- share of the engine's KV cache in use by its own word, mean over the readings in the
            window
        engine_running | Requests running in the engine | requests | neither
            -- requests that the engine works on by its own word, mean over the readings in the
            window
        engine_waiting | Requests waiting in the engine | requests | lower
            -- requests that wait in the engine by its own word, mean over the readings in the
            window
        prefix_cache_hit_fraction | Prefix cache hits | 1 | neither
            -- prompt tokens found in the engine's prefix cache / looked up there, between the
            window's first and last reading
        preemptions | Preemptions | requests | lower
            -- running requests that the engine put back for want of KV cache, between the window's
            first and last reading
        server_queue_s | Time in the engine's queue, by its own word | s | lower
            -- mean, from the sums and counts that the engine's histogram grew by between the
            window's first and last reading; n is requests
        server_prefill_s | Prefill time, by the engine's own word | s | lower
            -- mean time from the engine's queue to the first token, as server_queue_s
        server_decode_s | Decode time, by the engine's own word | s | lower
            -- mean time from the first token to the last, as server_queue_s
        server_ttft_s | Time to first token, by the engine's own word | s | lower
            -- mean, as server_queue_s: from the request's arrival in the engine, so that transport
            and what waits before it are not in it
        server_output_tps | Output tokens a second, by the engine's own count | 1/s | higher
            -- growth of the engine's counter between the window's first and last reading / the time
            between them
        cpu_util_fraction | CPU utilisation | 1 | neither
            -- share of all cores busy, mean over the window (host collector)
        {FOREIGN_CPU} | Cores taken by other work | 1 | neither
            -- share of all cores that other processes used, the hypervisor took or a CPU quota
            withheld, mean over the window; of a target on another machine, that of the load
            generator's machine
        gpu_util_fraction | GPU utilisation | 1 | neither | with_p95
            -- share of time with any kernel running (NVML): not occupancy; mean over the GPUs that
            the target uses, where that is known, else all of its host
        sm_active_fraction | GPU activity of its processors | 1 | neither | with_p95
            -- share of cycles in which a streaming multiprocessor had a warp, mean over all of them
            (DCGM exporter)
        gpu_memory_used_bytes | GPU memory in use | B | neither | with_p95
            -- mean over the window (NVML), added up over the same GPUs
        gpu_power_w | GPU power | W | lower | with_p95
            -- mean over the window (NVML), added up over the same GPUs
        energy_j | Energy of the target | J | lower
            -- energy of subject target in the window, all scopes that were had (column scopes),
            without the data centre's overhead; null where a gate of docs/energy.md fails
        power_w | Power of the target | W | lower
            -- energy_j / its window: the mean over it
        idle_power_w | Idle power of the target | W | lower
            -- mean power of the target in the idle baseline: engine loaded, no requests; beside,
            never subtracted
        idle_share_fraction | Share of idle power | 1 | lower
            -- idle_power_w / power_w, of the same scopes
        j_per_request | Energy per request | J | lower
            -- energy_j / successes ended in the window
        j_per_output_token | Energy per output token | J | lower | per_token
            -- energy_j / streamed tokens arrived in the window
        tokens_per_j | Output tokens per joule | 1/J | higher | per_token
            -- streamed tokens arrived in the window / energy_j
        wh_per_1k_requests | Energy per 1,000 requests | Wh | lower
            -- j_per_request x 1,000 / 3,600
        kwh_per_million_requests | Energy per million requests | kWh | lower
            -- j_per_request x 1,000,000 / 3,600,000
        kwh_per_million_output_tokens | Energy per million output tokens | kWh | lower
            -- j_per_output_token x 1,000,000 / 3,600,000
        kgco2e_per_million_requests | Emissions per million requests | kg CO2e | lower
            -- kg CO2e of energy_j at the grid's intensity / successes ended in the window x
            1,000,000
        gpu_energy_j | Energy of the target's GPUs | J | lower
            -- the GPUs' part of energy_j alone, as tools that read only GPUs report it
        gpu_j_per_output_token | GPU energy per output token | J | lower
            -- gpu_energy_j / streamed tokens arrived in the window
        facility_energy_j | Energy with the data centre's overhead | J | lower
            -- energy_j x PUE where telemetry.pue states one; of a modelled API the range has it
            already
        shared_host_energy_j | Energy of the shared host | J | lower
            -- energy of subject shared_host in the window: engine and client together
        cost_usd | Cost | USD | lower
            -- billing by tokens: of requests ended in the window; by hours: the window kept for it,
            accelerator-hours, electricity where it is paid apart, operations (reservation-based)
        usd_per_1k_requests | Cost per 1,000 requests | USD | lower
            -- cost_usd / successes ended in the window x 1,000
        usd_per_million_output | Cost per million output tokens | USD | lower | per_token
            -- cost_usd / billed output tokens of requests ended in the window x 1,000,000
        usd_per_million_tokens | Cost per million tokens, prompt and output | USD | lower | per_token
            -- cost_usd / prompt and output tokens of requests ended in the window x 1,000,000
        busy_fraction | Share of time with a request open | 1 | neither
            -- share of the window in which at least one request was between scheduled and ended
        usage_cost_usd | Cost, usage-based | USD | lower
            -- by hours: busy_fraction of the accelerator-hours and of operations, and the energy
            without the idle draw of the other time; by tokens: cost_usd. Not to be compared with an
            API's price
        usage_usd_per_1k_requests | Cost per 1,000 requests, usage-based | USD | lower
            -- usage_cost_usd / successes ended in the window x 1,000
        usage_usd_per_million_output | Cost per million output tokens, usage-based | USD | lower | per_token
            -- usage_cost_usd / billed output tokens of requests ended in the window x 1,000,000
        usage_usd_per_million_tokens | Cost per million tokens, usage-based | USD | lower | per_token
            -- usage_cost_usd / prompt and output tokens of requests ended in the window x 1,000,000
        marginal_usd_per_1k_requests | Cost of 1,000 more requests | USD | lower
            -- at the present capacity: by hours the electricity above the idle draw where it is
            paid apart, else 0; by tokens usd_per_1k_requests
        usd_per_1k_characters | Cost per 1,000 characters of answer | USD | lower
            -- cost_usd / characters of answers ended in the window x 1,000
        usd_per_correct | Cost per correct answer | USD | lower
            -- cost_usd / sum of scores of requests ended in the window
        score | Score | 1 | higher
            -- mean of the task scorers over requests of the window; failures score 0
    """),
)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in METRICS}


def has_trait(name: str, trait: Trait) -> bool:
    """Return whether the metric of that name has the trait; False for a name that is not in the table."""
    return name in BY_NAME and trait in BY_NAME[name].traits


REQUEST_METRICS: tuple[Metric, ...] = tuple(metric for metric in METRICS if metric.sql is not None)

MEAN_FLOOR = 30
"""Requests that a mean or a ratio of sums needs."""
FLOORS: dict[str, int] = {"p50": 11, "p90": 64, "p95": 130, "p99": 662, "p999": 6636}
"""Requests below which a percentile is null: MLPerf early stopping, confidence 0.99 (METRICS.md)."""
QUANTILES: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
