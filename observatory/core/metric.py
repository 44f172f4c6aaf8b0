"""The metric table: one row per metric, from which SQL views, terminal and pages are made.

Request-grain SQL is over r (requests), a (the final attempt), f (the first attempt that was sent)
and g (stages); definitions are those of METRICS.md, kept in docs/metrics.md.
"""

from dataclasses import dataclass
from typing import Literal

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

    quantiles: the stage has percentiles and the mean of it; else one value.
    """

    name: str
    title: str
    unit: str
    better: Better
    grain: Grain
    definition: str
    source: str
    sql: str | None = None
    needs: tuple[str, ...] = ()
    quantiles: bool = False
    traits: tuple[Trait, ...] = ()


def _seconds(end: str, start: str) -> str:
    return f"({end} - {start}) / 1e9"


def _first(end: str, start: str) -> str:
    """Return seconds to a first text; null where all of it came at once, and where a filter took it back."""
    known = "coalesce(a.streamed, true) AND r.outcome <> 'filtered'"
    return f"CASE WHEN {known} THEN {_seconds(end, start)} END"


_OURS = "docs/metrics.md"

METRICS: tuple[Metric, ...] = (
    Metric(
        "ttft_s",
        "Time to first token",
        "s",
        "lower",
        "attempt",
        "first_token - sent, on the attempt that succeeded; null where the answer did not come as a stream",
        _OURS,
        _first("a.first_token_ns", "a.sent_ns"),
        ("first_token_ns", "sent_ns"),
        True,
        traits=("of_stream",),
    ),
    Metric(
        "ttft_connect_s",
        "Time to first token, connecting included",
        "s",
        "lower",
        "attempt",
        "first_token - connect_started; equals ttft_s on a reused connection",
        _OURS,
        _first("a.first_token_ns", "coalesce(a.connect_started_ns, a.sent_ns)"),
        ("first_token_ns",),
        True,
        traits=("of_stream",),
    ),
    Metric(
        "ttft_scheduled_s",
        "Time to first token, as a user waits",
        "s",
        "lower",
        "request",
        "first_token - scheduled: client queueing and throttling included; infinite for a request "
        "that was due and kept back until the drain limit",
        _OURS,
        _first("a.first_token_ns", "r.scheduled_ns"),
        ("first_token_ns", "scheduled_ns"),
        True,
        traits=(
            "of_stream",
            "from_scheduled",
        ),
    ),
    Metric(
        "ttfa_s",
        "Time to first answer text",
        "s",
        "lower",
        "request",
        "first_answer - sent (after reasoning)",
        _OURS,
        _first("a.first_answer_ns", "a.sent_ns"),
        ("first_answer_ns", "sent_ns"),
        True,
        traits=("of_stream",),
    ),
    Metric(
        "itl_s",
        "Inter-token latency",
        "s",
        "lower",
        "event",
        "gaps between successive text events, pooled over the window; n is requests",
        _OURS,
        None,
        ("event_gap_ns",),
        True,
        traits=(
            "of_stream",
            "per_token",
        ),
    ),
    Metric(
        "tpot_s",
        "Time per output token",
        "s",
        "lower",
        "request",
        "(last_token - first_token) / (streamed tokens after the first event), of whole answers; "
        "null under 2 tokens or where the split is unknown",
        _OURS,
        "CASE WHEN r.outcome = 'ok' AND len(a.event_tokens) > 1 "
        "AND a.streamed_tokens > a.event_tokens[1] "
        "THEN (a.last_token_ns - a.first_token_ns) / 1e9 "
        "/ (a.streamed_tokens - a.event_tokens[1]) END",
        ("event_tokens",),
        True,
        traits=(
            "of_stream",
            "per_token",
            "of_streamed_tokens",
        ),
    ),
    Metric(
        "e2e_s",
        "End-to-end latency",
        "s",
        "lower",
        "request",
        "ended - sent",
        _OURS,
        "CASE WHEN r.outcome = 'ok' THEN (a.ended_ns - a.sent_ns) / 1e9 END",
        ("ended_ns", "sent_ns"),
        True,
    ),
    Metric(
        "e2e_scheduled_s",
        "End-to-end latency, as a user waits",
        "s",
        "lower",
        "request",
        "ended - scheduled; infinite for a request that was due and kept back until the drain limit",
        _OURS,
        "CASE WHEN r.outcome = 'ok' THEN (a.ended_ns - r.scheduled_ns) / 1e9 END",
        ("ended_ns", "scheduled_ns"),
        True,
        traits=("from_scheduled",),
    ),
    Metric(
        "pace_wait_s",
        "Deliberate pacing wait",
        "s",
        "neither",
        "request",
        "time a request was held back on purpose (max_rate, token buckets)",
        _OURS,
        "r.pace_wait_ns / 1e9",
        (),
        True,
        traits=("of_client",),
    ),
    Metric(
        "sched_lag_s",
        "Schedule lag",
        "s",
        "lower",
        "request",
        "first attempt's sent - scheduled - pace_wait_s: the client's own fault",
        _OURS,
        "(f.sent_ns - r.scheduled_ns - r.pace_wait_ns) / 1e9",
        ("sent_ns", "scheduled_ns"),
        True,
        traits=("of_client",),
    ),
    Metric(
        "throttle_wait_s",
        "Throttle wait",
        "s",
        "lower",
        "request",
        "successful attempt's sent - first attempt's sent",
        _OURS,
        "CASE WHEN r.outcome = 'ok' THEN (a.sent_ns - f.sent_ns) / 1e9 END",
        ("sent_ns",),
        True,
    ),
    Metric(
        "output_tps_user",
        "Output tokens a second, one user",
        "1/s",
        "higher",
        "request",
        "1 / tpot_s",
        _OURS,
        "CASE WHEN r.outcome = 'ok' AND len(a.event_tokens) > 1 "
        "AND a.streamed_tokens > a.event_tokens[1] "
        "AND a.last_token_ns > a.first_token_ns "
        "THEN (a.streamed_tokens - a.event_tokens[1]) * 1e9 / (a.last_token_ns - a.first_token_ns) END",
        ("event_tokens",),
        True,
        traits=(
            "of_stream",
            "per_token",
            "of_streamed_tokens",
        ),
    ),
    Metric(
        "output_tps",
        "Output tokens a second",
        "1/s",
        "higher",
        "stage",
        "streamed tokens whose arrival falls in the window / window",
        _OURS,
        traits=(
            "per_token",
            "of_streamed_tokens",
        ),
    ),
    Metric(
        "chars_per_s",
        "Characters a second",
        "1/s",
        "higher",
        "stage",
        "streamed characters whose arrival falls in the window / window",
        _OURS,
    ),
    Metric(
        "request_rate",
        "Requests a second",
        "1/s",
        "higher",
        "stage",
        "successes ended in the window / window",
        _OURS,
    ),
    Metric(
        "attempt_rate",
        "HTTP attempts a second",
        "1/s",
        "neither",
        "stage",
        "HTTP attempts sent in the window / window",
        _OURS,
    ),
    Metric(
        "goodput_fraction",
        "Goodput fraction",
        "1",
        "higher",
        "stage",
        "requests meeting every bound of slo.per_request (ttft and e2e as a user waits, from "
        "scheduled); errors stay in the denominator, and requests kept back until the drain limit",
        _OURS,
    ),
    Metric(
        "goodput_rps",
        "Goodput",
        "1/s",
        "higher",
        "stage",
        "requests meeting every bound of slo.per_request / window",
        _OURS,
    ),
    Metric(
        "error_rate",
        "Error rate",
        "1",
        "lower",
        "stage",
        "failed / ended requests; one that was due and kept back until the drain limit has failed",
        _OURS,
        traits=("share",),
    ),
    Metric(
        "throttle_rate",
        "Throttle rate",
        "1",
        "lower",
        "stage",
        "throttled / all attempts",
        _OURS,
        traits=("share",),
    ),
    Metric(
        "stale_retries",
        "Attempts on stale connections",
        "attempts",
        "lower",
        "stage",
        "HTTP attempts of the window's requests that the server answered with no byte, by closing the kept "
        "connection that they were sent on; each was made again on a new connection",
        _OURS,
    ),
    Metric(
        "open_requests",
        "Open requests",
        "requests",
        "neither",
        "stage",
        "mean number of requests between scheduled and ended over the window",
        _OURS,
    ),
    Metric(
        "open_requests_change",
        "Change of open requests",
        "1",
        "neither",
        "stage",
        "open requests of the window's second half / first half - 1; reason within_noise where "
        "the net flow of requests shows no trend",
        _OURS,
    ),
    Metric(
        "kv_cache_fraction",
        "KV cache in use",
        "1",
        "neither",
        "stage",
        "share of the engine's KV cache in use by its own word, mean over the readings in the window",
        _OURS,
        traits=("with_p95",),
    ),
    Metric(
        "engine_running",
        "Requests running in the engine",
        "requests",
        "neither",
        "stage",
        "requests that the engine works on by its own word, mean over the readings in the window",
        _OURS,
    ),
    Metric(
        "engine_waiting",
        "Requests waiting in the engine",
        "requests",
        "lower",
        "stage",
        "requests that wait in the engine by its own word, mean over the readings in the window",
        _OURS,
    ),
    Metric(
        "prefix_cache_hit_fraction",
        "Prefix cache hits",
        "1",
        "neither",
        "stage",
        "prompt tokens found in the engine's prefix cache / looked up there, between the window's first and last reading",
        _OURS,
    ),
    Metric(
        "preemptions",
        "Preemptions",
        "requests",
        "lower",
        "stage",
        "running requests that the engine put back for want of KV cache, between the window's first and last reading",
        _OURS,
    ),
    Metric(
        "server_queue_s",
        "Time in the engine's queue, by its own word",
        "s",
        "lower",
        "stage",
        "mean, from the sums and counts that the engine's histogram grew by between the window's first and last reading; n is requests",
        _OURS,
    ),
    Metric(
        "server_prefill_s",
        "Prefill time, by the engine's own word",
        "s",
        "lower",
        "stage",
        "mean time from the engine's queue to the first token, as server_queue_s",
        _OURS,
    ),
    Metric(
        "server_decode_s",
        "Decode time, by the engine's own word",
        "s",
        "lower",
        "stage",
        "mean time from the first token to the last, as server_queue_s",
        _OURS,
    ),
    Metric(
        "server_ttft_s",
        "Time to first token, by the engine's own word",
        "s",
        "lower",
        "stage",
        "mean, as server_queue_s: from the request's arrival in the engine, so that transport and what waits before it are not in it",
        _OURS,
    ),
    Metric(
        "server_output_tps",
        "Output tokens a second, by the engine's own count",
        "1/s",
        "higher",
        "stage",
        "growth of the engine's counter between the window's first and last reading / the time between them",
        _OURS,
    ),
    Metric(
        "cpu_util_fraction",
        "CPU utilisation",
        "1",
        "neither",
        "stage",
        "share of all cores busy, mean over the window (host collector)",
        _OURS,
    ),
    Metric(
        FOREIGN_CPU,
        "Cores taken by other work",
        "1",
        "neither",
        "stage",
        "share of all cores that other processes used, the hypervisor took or a CPU quota withheld, mean "
        "over the window; of a target on another machine, that of the load generator's machine",
        _OURS,
    ),
    Metric(
        "gpu_util_fraction",
        "GPU utilisation",
        "1",
        "neither",
        "stage",
        "share of time with any kernel running (NVML): not occupancy; mean over the GPUs that the "
        "target uses, where that is known, else all of its host",
        _OURS,
        traits=("with_p95",),
    ),
    Metric(
        "sm_active_fraction",
        "GPU activity of its processors",
        "1",
        "neither",
        "stage",
        "share of cycles in which a streaming multiprocessor had a warp, mean over all of them (DCGM exporter)",
        _OURS,
        traits=("with_p95",),
    ),
    Metric(
        "gpu_memory_used_bytes",
        "GPU memory in use",
        "B",
        "neither",
        "stage",
        "mean over the window (NVML), added up over the same GPUs",
        _OURS,
        traits=("with_p95",),
    ),
    Metric(
        "gpu_power_w",
        "GPU power",
        "W",
        "lower",
        "stage",
        "mean over the window (NVML), added up over the same GPUs",
        _OURS,
        traits=("with_p95",),
    ),
    Metric(
        "energy_j",
        "Energy of the target",
        "J",
        "lower",
        "stage",
        "energy of subject target in the window, all scopes that were had (column scopes), "
        "without the data centre's overhead; null where a gate of docs/energy.md fails",
        _OURS,
    ),
    Metric(
        "power_w",
        "Power of the target",
        "W",
        "lower",
        "stage",
        "energy_j / its window: the mean over it",
        _OURS,
    ),
    Metric(
        "idle_power_w",
        "Idle power of the target",
        "W",
        "lower",
        "stage",
        "mean power of the target in the idle baseline: engine loaded, no requests; beside, "
        "never subtracted",
        _OURS,
    ),
    Metric(
        "idle_share_fraction",
        "Share of idle power",
        "1",
        "lower",
        "stage",
        "idle_power_w / power_w, of the same scopes",
        _OURS,
    ),
    Metric(
        "j_per_request",
        "Energy per request",
        "J",
        "lower",
        "stage",
        "energy_j / successes ended in the window",
        _OURS,
    ),
    Metric(
        "j_per_output_token",
        "Energy per output token",
        "J",
        "lower",
        "stage",
        "energy_j / streamed tokens arrived in the window",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "tokens_per_j",
        "Output tokens per joule",
        "1/J",
        "higher",
        "stage",
        "streamed tokens arrived in the window / energy_j",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "wh_per_1k_requests",
        "Energy per 1,000 requests",
        "Wh",
        "lower",
        "stage",
        "j_per_request x 1,000 / 3,600",
        _OURS,
    ),
    Metric(
        "kwh_per_million_requests",
        "Energy per million requests",
        "kWh",
        "lower",
        "stage",
        "j_per_request x 1,000,000 / 3,600,000",
        _OURS,
    ),
    Metric(
        "kwh_per_million_output_tokens",
        "Energy per million output tokens",
        "kWh",
        "lower",
        "stage",
        "j_per_output_token x 1,000,000 / 3,600,000",
        _OURS,
    ),
    Metric(
        "kgco2e_per_million_requests",
        "Emissions per million requests",
        "kg CO2e",
        "lower",
        "stage",
        "kg CO2e of energy_j at the grid's intensity / successes ended in the window x 1,000,000",
        _OURS,
    ),
    Metric(
        "gpu_energy_j",
        "Energy of the target's GPUs",
        "J",
        "lower",
        "stage",
        "the GPUs' part of energy_j alone, as tools that read only GPUs report it",
        _OURS,
    ),
    Metric(
        "gpu_j_per_output_token",
        "GPU energy per output token",
        "J",
        "lower",
        "stage",
        "gpu_energy_j / streamed tokens arrived in the window",
        _OURS,
    ),
    Metric(
        "facility_energy_j",
        "Energy with the data centre's overhead",
        "J",
        "lower",
        "stage",
        "energy_j x PUE where telemetry.pue states one; of a modelled API the range has it already",
        _OURS,
    ),
    Metric(
        "shared_host_energy_j",
        "Energy of the shared host",
        "J",
        "lower",
        "stage",
        "energy of subject shared_host in the window: engine and client together",
        _OURS,
    ),
    Metric(
        "cost_usd",
        "Cost",
        "USD",
        "lower",
        "stage",
        "billing by tokens: of requests ended in the window; by hours: the window kept for it, "
        "accelerator-hours, electricity where it is paid apart, operations (reservation-based)",
        _OURS,
    ),
    Metric(
        "usd_per_1k_requests",
        "Cost per 1,000 requests",
        "USD",
        "lower",
        "stage",
        "cost_usd / successes ended in the window x 1,000",
        _OURS,
    ),
    Metric(
        "usd_per_million_output",
        "Cost per million output tokens",
        "USD",
        "lower",
        "stage",
        "cost_usd / billed output tokens of requests ended in the window x 1,000,000",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "usd_per_million_tokens",
        "Cost per million tokens, prompt and output",
        "USD",
        "lower",
        "stage",
        "cost_usd / prompt and output tokens of requests ended in the window x 1,000,000",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "busy_fraction",
        "Share of time with a request open",
        "1",
        "neither",
        "stage",
        "share of the window in which at least one request was between scheduled and ended",
        _OURS,
    ),
    Metric(
        "usage_cost_usd",
        "Cost, usage-based",
        "USD",
        "lower",
        "stage",
        "by hours: busy_fraction of the accelerator-hours and of operations, and the energy without the "
        "idle draw of the other time; by tokens: cost_usd. Not to be compared with an API's price",
        _OURS,
    ),
    Metric(
        "usage_usd_per_1k_requests",
        "Cost per 1,000 requests, usage-based",
        "USD",
        "lower",
        "stage",
        "usage_cost_usd / successes ended in the window x 1,000",
        _OURS,
    ),
    Metric(
        "usage_usd_per_million_output",
        "Cost per million output tokens, usage-based",
        "USD",
        "lower",
        "stage",
        "usage_cost_usd / billed output tokens of requests ended in the window x 1,000,000",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "usage_usd_per_million_tokens",
        "Cost per million tokens, usage-based",
        "USD",
        "lower",
        "stage",
        "usage_cost_usd / prompt and output tokens of requests ended in the window x 1,000,000",
        _OURS,
        traits=("per_token",),
    ),
    Metric(
        "marginal_usd_per_1k_requests",
        "Cost of 1,000 more requests",
        "USD",
        "lower",
        "stage",
        "at the present capacity: by hours the electricity above the idle draw where it is paid apart, "
        "else 0; by tokens usd_per_1k_requests",
        _OURS,
    ),
    Metric(
        "usd_per_1k_characters",
        "Cost per 1,000 characters of answer",
        "USD",
        "lower",
        "stage",
        "cost_usd / characters of answers ended in the window x 1,000",
        _OURS,
    ),
    Metric(
        "usd_per_correct",
        "Cost per correct answer",
        "USD",
        "lower",
        "stage",
        "cost_usd / sum of scores of requests ended in the window",
        _OURS,
    ),
    Metric(
        "score",
        "Score",
        "1",
        "higher",
        "stage",
        "mean of the task scorers over requests of the window; failures score 0",
        _OURS,
    ),
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
