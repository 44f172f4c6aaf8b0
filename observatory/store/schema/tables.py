"""The warehouse's tables as data: every column with its type and a comment that gives its unit.

DDL, the data dictionary (docs/schema.md) and ingest are all made from this.
"""

from dataclasses import dataclass

from observatory.core.commented_lines import commented_lines

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


def columns(text: str) -> tuple[Column, ...]:
    """Return the columns of lines `name type -- comment`.

    INSTANT as a type: nanoseconds from the run's anchor, BIGINT in SQL.
    """
    return tuple(_column(sql, comment) for sql, comment in commented_lines(text))


def _column(sql: str, comment: str) -> Column:
    name, kind = sql.split(" ", 1)
    if kind != "INSTANT":
        return Column(name, kind, comment)
    what = f"{comment}; nanoseconds from the run's anchor, null if it never happened"
    return Column(name, "BIGINT", what)


_RUN = "run_id VARCHAR -- run this row belongs to"
_STAGE = "stage INTEGER -- stage of the run, from 0"

RUNS = Table(
    "runs",
    "One plan executed on one target. Every run is here, of any status and verdict.",
    ("run_id",),
    columns(f"""
        {_RUN}
        campaign_id VARCHAR -- runs of one `run` command, meant to be compared
        scenario VARCHAR -- scenario name
        seed BIGINT -- seed of the plan
        comparison_key VARCHAR -- hash of workload, arrivals, stage levels and SLO
        comparison_fields JSON -- the fields behind comparison_key
        plan_sha256 VARCHAR -- identity of the plan: equal plans send equal requests
        target VARCHAR -- target name
        target_kind VARCHAR -- llamacpp, vllm, url, api or emulated
        hosting VARCHAR -- self or managed
        weights VARCHAR -- open or closed
        billing VARCHAR -- hours or tokens
        emulated BOOLEAN -- the target is a seeded stand-in: no figure is of a real service
        model VARCHAR -- model as requested
        model_reported VARCHAR -- model as the endpoint reported it
        license VARCHAR -- licence of the weights
        tokenizer VARCHAR -- tokenizer of per-token figures
        engine VARCHAR -- serving engine where known
        engine_version VARCHAR -- its version
        engine_distribution VARCHAR -- package that the engine came from; names a third party's
            build
        engine_sha256 VARCHAR -- SHA-256 of the wheel that it was installed from
        model_sha256 VARCHAR -- SHA-256 of the weights as served
        model_revision VARCHAR -- revision of the weights
        parameters BIGINT -- parameters of the model
        weight_format VARCHAR -- format and type of the stored weights, e.g. GGUF Q4_1
        dtype VARCHAR -- what the engine computes in
        quantization VARCHAR -- quantisation method of the engine
        endpoint VARCHAR -- URL without credentials or query
        address_hash VARCHAR -- keyed hash of the endpoint's normalised address; equal in one
            workspace alone
        other_address_in VARCHAR -- latest earlier run of this target's name that was at another
            address
        provider VARCHAR -- provider of the catalogue (target_kind api)
        wire VARCHAR -- API spoken: openai (chat or completions, as requested), responses or
            messages
        transport VARCHAR -- lean (our own sockets) or sdk (the openai package)
        service_tier VARCHAR -- service tier that every request names
        throttling VARCHAR -- policy towards 429 and its kin: record, obey or pace
        quote JSON -- what the run was expected to take and cost, before it ran
        target_facts JSON -- settings, hashes, price and rate as applied
        status VARCHAR -- running, complete, interrupted, budget_reached or crashed
        status_reason VARCHAR -- why it ended so
        verdict VARCHAR -- valid, degraded or invalid; null before it was judged
        sound BOOLEAN -- it was judged, and not as invalid
        whole BOOLEAN -- it is sound and did all that was requested of it
        verdict_codes VARCHAR[] -- codes of the findings behind the verdict
        verdict_sentence VARCHAR -- the verdict in one line
        anchor_unix_ns BIGINT -- the run's anchor, Unix time in nanoseconds
        created_at TIMESTAMP -- start, UTC
        ended_at TIMESTAMP -- end, UTC
        environment JSON -- host, CPU, governor, cores, memory, GPU, git state
        software JSON -- package versions
        scenario_json JSON -- the resolved scenario, without secrets
        slo_attainment DOUBLE -- share of requests that must meet the scenario's bounds per request;
            null without bounds
        pue DOUBLE -- power usage effectiveness as stated; null where none is
        label VARCHAR -- name given by a person
        publish BOOLEAN -- shown on the published site
        changed_since_sealed VARCHAR -- what of the folder has changed since it was sealed, or that
            its process died before the seal; null: nothing, or no seal was made then
        factors JSON -- matrix: each varied field of the target and its level in this run
        block INTEGER -- matrix: repetition of all cells that this run belongs to, from 0
        cell INTEGER -- matrix: place of the run's cell in the scenario, from 0
        matrix_order INTEGER -- matrix: place of the run in the order that was drawn, from 0
        turn INTEGER -- deprecated: the same value under its old name, use matrix_order
        confounded VARCHAR[] -- matrix: which factors change together, in sentences
        idle_start_ns INSTANT -- start of the idle baseline: engines loaded, no requests
        idle_end_ns INSTANT -- end of the idle baseline
        folder VARCHAR -- run folder's name under results/runs
        manifest_sha256 VARCHAR -- SHA-256 of the manifest that was ingested
    """),
)

STAGES = Table(
    "stages",
    "One load level of a run, as it really ran.",
    ("run_id", "stage"),
    columns(f"""
        {_RUN}
        {_STAGE}
        kind VARCHAR -- closed, constant, poisson or prime
        concurrency INTEGER -- simulated users (closed loop)
        rate_per_s DOUBLE -- planned requests a second (open loop)
        started_ns INSTANT -- first user or first slot began
        steady_start_ns INSTANT -- start of the steady window
        steady_end_ns INSTANT -- end of the steady window
        ended_ns INSTANT -- last open request ended or was given up
        planned BIGINT -- requests planned (open loop)
        issued BIGINT -- requests that workers report as issued
        recorded BIGINT -- records of issued requests found
        not_issued BIGINT -- planned requests that were never sent, each with a reason
        lost_workers VARCHAR[] -- workers that died
        streamed BOOLEAN -- whether its whole answers really came as streams: false where at least
            half did not; null without such an answer, and in older runs
    """),
)

REQUESTS = Table(
    "requests",
    "One planned request and its outcome; its HTTP attempts are in attempts.",
    ("run_id", "stage", "request"),
    columns(f"""
        {_RUN}
        {_STAGE}
        request BIGINT -- place in the stage's order, from 0
        prompt_id VARCHAR -- item of the data set; the cold nonce does not enter it
        prompt_sha256 VARCHAR -- SHA-256 of the item's body without nonce
        task VARCHAR -- task set or the user's task
        max_tokens BIGINT -- output limit that was sent; null in older runs
        conversation VARCHAR -- conversation, if any
        turn INTEGER -- turn in it, from 0
        worker INTEGER -- worker process, from 0
        simulated_user INTEGER -- simulated user within the worker
        scheduled_ns INSTANT -- intended send (plan), or when the simulated user became free
        released_ns INSTANT -- after any pacing wait
        pace_wait_ns BIGINT -- deliberate client-side pacing wait, nanoseconds
        outcome VARCHAR -- ok, error, timeout, throttled, filtered (by a content filter),
            refused_by_budget, not_issued, interrupted
        reason VARCHAR -- why it was not issued or not ok: drain_limit, rate_limited, overloaded,
            reset ...
        phase VARCHAR -- prime, warmup, steady or drain, by scheduled
        clock_step BOOLEAN -- realtime stepped while it was open: left out of latencies
        attempts INTEGER -- HTTP attempts
        score DOUBLE -- task scorer's verdict, 0 to 1; null where nothing was expected
        scorer VARCHAR -- name of the scorer
        score_note VARCHAR -- truncated, refused, empty ... where a guard spoke
        answer_sha256 VARCHAR -- SHA-256 of the answer text
        answer VARCHAR -- answer text, only where the scenario stores text
        reasoning VARCHAR -- reasoning text, only where the scenario stores text
        cost_usd DOUBLE -- US dollars by billed tokens; null for billing by hours
        cost_basis VARCHAR -- list_price, stated, example, emulated; null without a cost
    """),
)

ATTEMPTS = Table(
    "attempts",
    "One HTTP attempt of a request, with every instant and every event's arrival.",
    ("run_id", "stage", "request", "attempt"),
    columns(f"""
        {_RUN}
        {_STAGE}
        request BIGINT -- request of the stage
        attempt INTEGER -- number of the attempt, from 0
        final BOOLEAN -- the attempt that succeeded, else the last one
        first_sent BOOLEAN -- the first attempt of the request that was sent at all
        outcome VARCHAR -- outcome of this attempt
        connect_started_ns INSTANT -- connection begun (name lookup included)
        resolved_ns INSTANT -- name resolved
        connected_ns INSTANT -- connection ready, TLS included; null on a reused one
        sent_ns INSTANT -- just before the request's first byte went to the kernel
        body_sent_ns INSTANT -- request's last byte handed over
        headers_ns INSTANT -- response head complete
        first_event_ns INSTANT -- first event of any kind
        first_token_ns INSTANT -- first event with reasoning, content or tool-call text
        first_reasoning_ns INSTANT -- first reasoning text
        first_answer_ns INSTANT -- first answer text or tool call
        last_token_ns INSTANT -- last event with text
        usage_event_ns INSTANT -- event that carried usage
        ended_ns INSTANT -- response complete, or given up
        http_status INTEGER -- HTTP status
        error_phase VARCHAR -- dns, connect, tls, send, headers, first_event, stream, body
        error_kind VARCHAR -- refused, reset, early_close, timeout, http_status, error_event ...;
            rate_limited or overloaded where the status alone does not show it; no_end: a whole
            answer whose stream did not end
        error_text VARCHAR -- first 300 characters of the error, keys masked
        retry_after_s DOUBLE -- Retry-After, seconds
        rate_limit_headers JSON -- rate-limit headers as received
        provider_request_id VARCHAR -- the server's own id of the request
        model_reported VARCHAR -- model named in the answer
        system_fingerprint VARCHAR -- fingerprint named in the answer
        service_tier VARCHAR -- service tier named in the answer
        processing_ms DOUBLE -- server's own time by a header, milliseconds: openai-processing-ms,
            else fireworks-server-processing-time, x-envoy-upstream-service-time (until its
            headers), server-timing
        finish_reason VARCHAR -- stop, length, tool_calls, content_filter ...
        bytes_sent BIGINT -- bytes of the request
        bytes_received BIGINT -- bytes of the response
        stamp_source VARCHAR -- kernel (SO_TIMESTAMPNS) or read (CLOCK_REALTIME at the read)
        reused_connection BOOLEAN -- sent on a connection that was already open
        saw_done BOOLEAN -- the stream ended with its end mark, as its wire does
        streamed BOOLEAN -- false: the text came at once, as one JSON document or one event
            (docs/wires.md); null without text, and in older runs
        odd_events INTEGER -- events that the wire does not define: read where that is clear, else
            passed over; null in older runs
        odd_event VARCHAR -- the first of them, or what was odd
        gateway_cost_usd DOUBLE -- US dollars that a gateway states for the answer: usage.cost, else
            x-litellm-response-cost; never part of cost_usd
        gateway_call_id VARCHAR -- a gateway's own id of the call: x-litellm-call-id
        gateway_overhead_ms DOUBLE -- time that a gateway states for itself, milliseconds:
            x-litellm-overhead-duration-ms
        gateway_fallbacks INTEGER -- fallbacks that a gateway states it tried:
            x-litellm-attempted-fallbacks
        prompt_tokens BIGINT -- tokens of the prompt, cached ones included
        cached_tokens BIGINT -- prompt tokens read from the server's cache
        cache_write_tokens BIGINT -- prompt tokens written to it, where reported
        output_tokens BIGINT -- billed output tokens, hidden reasoning included
        reasoning_tokens BIGINT -- reasoning tokens
        streamed_tokens BIGINT -- tokens whose text arrived in events
        output_tokens_from VARCHAR -- usage, tokenizer, characters or events
        streamed_tokens_from VARCHAR -- usage, tokenizer, characters or events
        tokenizer VARCHAR -- tokenizer's name
        answer_characters BIGINT -- characters of the answer
        reasoning_characters BIGINT -- characters of the reasoning
        tool_calls INTEGER -- tool calls in the answer
        shared_stamps INTEGER -- events whose stamp is another segment's: the client was late
        event_gap_ns BIGINT[] -- gaps between text events, the first from sent; nanoseconds
        event_tokens INTEGER[] -- tokens in each text event; empty where unknown
        event_characters INTEGER[] -- characters in each text event
        event_shared BOOLEAN[] -- that event shared its stamp
    """),
)

SAMPLES = Table(
    "samples",
    "One reading of one sensor during the load.",
    ("run_id", "at_ns", "sensor", "device", "metric"),
    columns(f"""
        {_RUN}
        at_ns INSTANT -- reading taken
        stage INTEGER -- stage that was running, null between stages
        sensor VARCHAR -- name of the sensor, e.g. host, process, nvml, engine (docs/telemetry.md)
        subject VARCHAR -- target (this run's own), client or shared_host (another target's engine
            too)
        device VARCHAR -- which of several, e.g. gpu0, engine:<target>, client
        metric VARCHAR -- what was read; its unit ends the name; `up` is 1 or 0
        value DOUBLE -- the reading; null where the sensor had none
        reason VARCHAR -- why it could not
    """),
)

TICKS = Table(
    "ticks",
    "The load generator's own heartbeat: what each worker process reported, once a second.",
    ("run_id", "stage", "worker", "at_ns", "kind"),
    columns(f"""
        {_RUN}
        {_STAGE}
        worker INTEGER -- worker process, from 0
        kind VARCHAR -- start, tick or end
        at_ns INSTANT -- when it was written
        stage_started_ns INSTANT -- instant that all workers of the stage count from (start)
        pid BIGINT -- process id (start)
        issued BIGINT -- requests issued since the stage began
        recorded BIGINT -- requests recorded since the stage began
        not_issued BIGINT -- planned requests never sent (end)
        in_flight BIGINT -- requests open at that moment
        errors BIGINT -- requests failed since the stage began
        cpu_ns BIGINT -- CPU time of the process since the worker started, nanoseconds
        loop_lag_ns BIGINT -- worst delay of a timer in the last interval, nanoseconds
        offset_change_ns BIGINT -- realtime against monotonic since the anchor, nanoseconds
        clock_step BOOLEAN -- that moved by more than 100 us since the last tick
        decode_queue BIGINT -- answers waiting to be decoded
        rss_bytes BIGINT -- resident memory, bytes
        streamed_tokens BIGINT -- tokens streamed since the stage began
        ttft_recent_ns BIGINT -- median of the last interval; for the live display
        spent_usd DOUBLE -- US dollars counted against the cap, in flight at worst case
        spent_output_tokens BIGINT -- output tokens counted against the cap, alike
        reason VARCHAR -- complete, interrupted, budget_reached or crashed (end)
        detail VARCHAR -- why, in words (end)
    """),
)

ENERGY = Table(
    "energy",
    "Energy of one subject and scope over one window: never mixed silently.",
    ("run_id", "stage", "subject", "scope", "basis", "method"),
    columns(f"""
        {_RUN}
        stage INTEGER -- stage of the run, from 0; null for the idle baseline
        subject VARCHAR -- target, client or shared_host; only target enters j_per_*
        scope VARCHAR -- gpu, cpu, memory, host or datacentre_overhead
        basis VARCHAR -- measured, estimated or modelled
        method VARCHAR -- e.g. nvml_counter, codecarbon cpu_load, rapl
        counts BOOLEAN -- enters its subject's sum; false: a second method over the same joules,
            which checks it
        window_start_ns INSTANT -- start of the window
        window_end_ns INSTANT -- end of the window
        energy_j DOUBLE -- joules; null where it could not be had, with the reason
        low_j DOUBLE -- lower end of a modelled range, joules
        high_j DOUBLE -- upper end of a modelled range, joules
        pue DOUBLE -- power usage effectiveness that a datacentre_overhead row was made with
        coverage_fraction DOUBLE -- share of the window that readings cover
        longest_gap_s DOUBLE -- longest time in the window without a reading, seconds
        limit_w DOUBLE -- what the devices may draw by their power limits, watts
        disagreement_fraction DOUBLE -- counter against integral of power, of the device where they
            differ most
        grid_zone VARCHAR -- zone of the grid intensity
        grid_kgco2e_per_kwh DOUBLE -- grid intensity, kg CO2e per kWh
        kgco2e DOUBLE -- kg CO2e
        source VARCHAR -- where method and intensity come from
        reason VARCHAR -- why a value is missing or doubtful
    """),
)

PRICES = Table(
    "prices",
    "Prices and rates as they were applied to a run.",
    ("run_id", "kind"),
    columns(f"""
        {_RUN}
        kind VARCHAR -- input, output, cached_input, cache_write (per million tokens); machine_hour,
            operations_hour (an hour of the whole target); electricity_kwh
        usd DOUBLE -- US dollars per million tokens, per hour, or per kWh
        basis VARCHAR -- list_price, stated, example or emulated
        source VARCHAR -- where the price comes from
        effective_from VARCHAR -- date from which it holds, where the source has it
        details JSON -- tiers, package version and what else the source gave; of a machine_hour:
            accelerators, commitment, rate_includes, purchase
        provider VARCHAR -- provider as its book names it; null: the target states its price
        model VARCHAR -- model as its book names it
        service_tier VARCHAR -- tier that the price is of; null: the standard one
        tiers STRUCT(above_prompt_tokens BIGINT, usd DOUBLE)[] -- prices for prompts longer than a
            bound, by rising bound; null: none
        accelerators BIGINT -- accelerators whose hour a machine_hour is
        commitment VARCHAR -- of a machine_hour: on_demand, reserved or owned
        rate_includes VARCHAR[] -- what a machine_hour contains
        usd_per_kwh DOUBLE -- of a machine_hour: the tariff, where one is stated
        pays_electricity BOOLEAN -- of a machine_hour: electricity is paid apart
    """),
)

BILLED_TOKENS = Table(
    "billed_tokens",
    "Tokens of each attempt by kind, as a bill counts them, with the price that was applied; only of attempts "
    "whose counts are stated by usage, whole, and not contradicted. Filled when a run is taken in.",
    ("run_id", "stage", "request", "attempt", "kind"),
    columns(f"""
        {_RUN}
        {_STAGE}
        request BIGINT -- request of the stage
        attempt INTEGER -- number of the attempt, from 0
        kind VARCHAR -- input (not cached), cached_input, cache_write or output; a kind without a
            token is left out, but for input and output
        tokens BIGINT -- tokens of the kind
        usd_per_million DOUBLE -- US dollars per million tokens at this prompt's size; null where
            the target has no price by tokens
    """),
)

STAGE_COSTS = Table(
    "stage_costs",
    "Components of what each steady window cost, by accounting; the view cost_components adds the run and "
    "the load level. Filled when a run is taken in.",
    ("run_id", "stage", "accounting", "component"),
    columns(f"""
        {_RUN}
        {_STAGE}
        accounting VARCHAR -- tokens, reservation or usage
        component VARCHAR -- as in cost_components
        quantity DOUBLE -- in unit; null where it is not known
        unit VARCHAR -- accelerator-hour, kWh, hour or million tokens
        usd_per_unit DOUBLE -- US dollars per unit; null where it is not known
        basis VARCHAR -- stated, example, list_price, emulated, estimated or modelled
        source VARCHAR -- where price and energy come from
        reason VARCHAR -- why it is missing or doubtful
    """),
)

COST_LINES = Table(
    "cost_lines",
    "What a run's target, billed by hours, costs a day by component, before a demand is applied: quantity = "
    "a_day + steps x (a_step + a_step_hour x active hours) + a_request x requests. The macros monthly_cost and "
    "break_even apply it. No rows without an hourly rate, or where no stage met the SLO.",
    ("run_id", "bound", "capacity", "component"),
    columns(f"""
        {_RUN}
        bound VARCHAR -- at: at the measured goodput; low, high: at the ends of the cost's interval
        capacity VARCHAR -- always_on, active_window or scale_to_zero
        component VARCHAR -- accelerators, electricity or operations
        unit VARCHAR -- accelerator-hour, kWh or hour
        usd_per_unit DOUBLE -- US dollars per unit
        a_day DOUBLE -- quantity a day at any volume; null: paid, and not known
        a_step DOUBLE -- quantity a day for each step
        a_step_hour DOUBLE -- quantity for each step and active hour of the day
        a_request DOUBLE -- quantity for each request
        step_requests DOUBLE -- requests that a step serves, busy throughout
        by_hour BOOLEAN -- a step is an hour of a replica, without spares; else a replica, sized for
            the peak hour
        basis VARCHAR -- stated, example or modelled
        source VARCHAR -- where the price comes from
    """),
)

FINDINGS = Table(
    "findings",
    "Doubts about a run, each with what was seen and the threshold it was held against.",
    ("run_id", "code", "stage", "message"),
    columns(f"""
        {_RUN}
        code VARCHAR -- code of the check
        severity VARCHAR -- note, degraded or invalid
        {_STAGE}
        message VARCHAR -- in words
        value DOUBLE -- what was seen
        threshold DOUBLE -- what it was held against
    """),
)

THRESHOLDS = Table(
    "thresholds",
    "The table of codes that a run was judged by, as it was then; findings hold what exceeded it.",
    ("run_id", "code"),
    columns(f"""
        {_RUN}
        code VARCHAR -- code of the check
        unit VARCHAR -- of the numbers
        degraded DOUBLE -- a value above it degrades the run
        invalid DOUBLE -- a value above it makes the run invalid
        as_found VARCHAR -- how grave a code without numbers is wherever it is found
    """),
)

STAGE_METRICS = Table(
    "stage_metrics",
    "Stage-grain metrics, filled at ingest and refilled by rebuild; stage_summary pivots it.",
    ("run_id", "stage", "metric", "statistic"),
    columns(f"""
        {_RUN}
        {_STAGE}
        metric VARCHAR -- name in the metric table, unit at its end
        statistic VARCHAR -- value, mean, p50, p90, p95, p99, p999, or the same with _ok
        value DOUBLE -- the figure; null below its sample floor or where it has none
        low DOUBLE -- lower end of the 95 % interval, or of a modelled range
        high DOUBLE -- upper end of the 95 % interval, infinite where failures reach it, or of a
            modelled range
        bound DOUBLE -- one-sided bound the data support where value is null
        n BIGINT -- requests behind it
        needs_n BIGINT -- sample floor, in independent requests
        basis VARCHAR -- measured, estimated, modelled, list_price, stated, example, emulated
        reason VARCHAR -- why value is null or doubtful: failures, sample_floor, ...
        scopes VARCHAR -- energy: what is in the figure, each scope with its basis, e.g. cpu
            estimated, gpu measured
        effective_n BIGINT -- independent requests with as much evidence as the n; floors count it;
            null: not estimated
        needs_s DOUBLE -- below the floor: about how long the window would have to be at this load,
            seconds
    """),
)

PRICE_BOOK = Table(
    "price_book",
    "Other prices that runs can be priced at, of no run in particular: the public ledger as each version "
    "of its package had it, and the price files of scenarios/.",
    (
        "book", "version", "provider", "model", "kind", "service_tier", "effective_from", "utc_from",
        "above_prompt_tokens",
    ),
    columns("""
        book VARCHAR -- genai-prices, or prices.yaml: the workspace's own
        version VARCHAR -- package version, or the file's SHA-256 (and the package that it takes
            discounts off)
        taken_at TIMESTAMP -- when this version was first seen here, UTC
        is_current BOOLEAN -- the version that runs would be priced by now; false: another
        provider VARCHAR -- provider as the book names it
        model VARCHAR -- model as the book names it
        kind VARCHAR -- input, output, cached_input or cache_write
        usd_per_million DOUBLE -- US dollars per million tokens of the kind
        service_tier VARCHAR -- tier that the price is of; null: the standard one
        effective_from DATE -- day from which it holds; null: the source gives none
        effective_until DATE -- day from which it no longer holds; null: open
        utc_from TIME -- hour of the day (UTC) from which it holds; null: the whole day
        utc_until TIME -- hour from which it no longer holds; null: to midnight
        above_prompt_tokens BIGINT -- holds for whole requests with prompts longer than this; 0: for
            all others
        basis VARCHAR -- list_price, stated or example
        source VARCHAR -- where the price comes from
        details JSON -- what else the source gives
        days VARCHAR -- mon-fri or sat-sun, by the date in UTC; null: every day
        not_counted VARCHAR[] -- what the provider charges for in addition to tokens
    """),
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
