"""What happened to a request: the raw facts, as a worker journals them (METRICS.md, Raw facts).

Instants are nanoseconds from the run's anchor, None where they never happened. No metric is
computed here: every metric is a view over these.
"""

from typing import Literal

import msgspec

Outcome = Literal[
    "ok",
    "error",
    "timeout",
    "throttled",
    "filtered",
    "refused_by_budget",
    "not_issued",
    "interrupted",
]
"""ok: a whole answer. error: any failure of the attempt. timeout: still open at its limit or at the
drain limit. throttled: 429 or a similar refusal that was not retried, or whose retries were all
refused. filtered: a content filter ended the answer. refused_by_budget and not_issued: planned, never sent. interrupted: still open
when a person stopped the run."""

NEVER_SENT = ("not_issued", "refused_by_budget")
"""Outcomes of requests that were planned and not issued."""

ErrorPhase = Literal["dns", "connect", "tls", "send", "headers", "first_event", "stream", "body"]
ErrorKind = Literal[
    "refused",
    "unreachable",
    "reset",
    "early_close",
    "timeout",
    "stall",
    "no_end",
    "tls",
    "http_status",
    "not_sse",
    "bad_json",
    "error_event",
    "rate_limited",
    "overloaded",
    "bad_finish",
    "content_filter",
    "protocol",
    "too_large",
    "empty_answer",
    "cancelled",
    "client",
]
TokensFrom = Literal["usage", "tokenizer", "characters", "events"]
StampSource = Literal["kernel", "read"]
"""kernel: SO_TIMESTAMPNS of the segment; read: CLOCK_REALTIME when the read returned."""
Phase = Literal["prime", "warmup", "steady", "drain"]


class Tokens(msgspec.Struct, frozen=True, array_like=True):
    """Token counts of one answer; None is unknown. cached, reasoning are parts of the others."""

    prompt: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None
    streamed: int | None = None
    output_from: TokensFrom | None = None
    streamed_from: TokensFrom | None = None
    tokenizer: str | None = None
    cache_write: int | None = None


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One HTTP attempt. Events are those that carried reasoning, content or tool-call text.

    event_ns are their arrival instants, event_tokens and event_characters what each carried
    (event_tokens is empty where the split is unknown). shared_stamps counts events whose stamp is
    another segment's because this client was late; event_shared marks them. odd_events counts what the
    stream held that its API does not define and that was passed over; odd_event is the first of them.
    """

    number: int
    connect_started: int | None = None
    resolved: int | None = None
    connected: int | None = None
    sent: int | None = None
    body_sent: int | None = None
    headers: int | None = None
    first_event: int | None = None
    first_token: int | None = None
    first_reasoning: int | None = None
    first_answer: int | None = None
    last_token: int | None = None
    usage_event: int | None = None
    ended: int | None = None
    http_status: int | None = None
    outcome: Outcome = "ok"
    error_phase: ErrorPhase | None = None
    error_kind: ErrorKind | None = None
    error_text: str | None = None
    retry_after_s: float | None = None
    rate_limit_headers: dict[str, str] = {}
    provider_request_id: str | None = None
    model_reported: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    processing_ms: float | None = None
    finish_reason: str | None = None
    bytes_sent: int = 0
    bytes_received: int = 0
    stamp_source: StampSource = "read"
    reused_connection: bool = False
    saw_done: bool = False
    event_ns: list[int] = []
    event_tokens: list[int] = []
    event_characters: list[int] = []
    event_shared: list[bool] = []
    shared_stamps: int = 0
    tokens: Tokens = Tokens()
    answer_characters: int = 0
    reasoning_characters: int = 0
    tool_calls: int = 0
    streamed: bool | None = None
    odd_events: int = 0
    odd_event: str | None = None
    gateway_cost_usd: float | None = None
    gateway_call_id: str | None = None
    gateway_overhead_ms: float | None = None
    gateway_fallbacks: int | None = None


class RequestRecord(msgspec.Struct, frozen=True, array_like=True, tag="request"):
    """One request of the plan and its attempts.

    index is its place in its stage's order. scheduled: open loop, from the plan; closed loop, when
    the simulated user became free. released: after any pacing wait. answer and reasoning texts are
    None unless the scenario stores text; answer_sha256 is always set.
    """

    index: int
    stage: int
    prompt_id: str
    prompt_sha256: str
    scheduled: int
    released: int | None
    outcome: Outcome
    attempts: list[Attempt]
    worker: int = 0
    user: int = 0
    task: str | None = None
    item: int = 0
    conversation: str | None = None
    turn: int | None = None
    reason: str | None = None
    phase: Phase = "steady"
    clock_step: bool = False
    answer_sha256: str | None = None
    answer: str | None = None
    reasoning: str | None = None
    score: float | None = None
    scorer: str | None = None
    score_note: str | None = None
    pace_wait_ns: int = 0
    max_tokens: int | None = None


class WorkerStart(msgspec.Struct, frozen=True, array_like=True, tag="start"):
    """The first entry of a worker's journal; stage_started is the instant all workers count from."""

    worker: int
    pid: int
    stage: int
    at: int
    stage_started: int | None = None


class WorkerTick(msgspec.Struct, frozen=True, array_like=True, tag="tick"):
    """A worker's heartbeat, about once a second.

    Counts are since the stage began. cpu_ns is the process's CPU time since the worker started,
    loop_lag_ns the worst delay of a timer in the last interval, offset_change_ns realtime against
    monotonic since the anchor, clock_step whether that moved by more than STEP_NS since the last.
    ttft_recent_ns is the median of the answers decoded in the last interval, for the live display
    alone. spent_* count what ended at its real cost and what is in flight at its worst case.
    """

    at: int
    issued: int
    recorded: int
    in_flight: int
    errors: int
    cpu_ns: int
    loop_lag_ns: int
    offset_change_ns: int
    clock_step: bool
    decode_queue: int = 0
    rss_bytes: int = 0
    streamed_tokens: int = 0
    ttft_recent_ns: int | None = None
    spent_usd: float = 0.0
    spent_output_tokens: int = 0


class WorkerEnd(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The last entry: the counts that issued = recorded is checked with, and why the worker ended.

    spent_* are as in a tick, and nothing is in flight any more. spent_requests counts every attempt;
    assumed_usd is the part of spent_usd that no usage stated; overrun is how many times its worst
    case an answer was billed, at least 1. refused: answers that were refusals (load.refusals.likeness);
    alike: what all answers have in common where all were refused alike, else 0; refusal: the first one's
    words.
    """

    at: int
    issued: int
    recorded: int
    not_issued: int
    cpu_ns: int
    reason: Literal["complete", "interrupted", "budget_reached", "crashed"]
    detail: str | None = None
    spent_usd: float = 0.0
    spent_output_tokens: int = 0
    spent_requests: int = 0
    assumed_usd: float = 0.0
    overrun: float = 1.0
    refused: int = 0
    alike: int = 0
    refusal: str | None = None


JournalEntry = WorkerStart | RequestRecord | WorkerTick | WorkerEnd
