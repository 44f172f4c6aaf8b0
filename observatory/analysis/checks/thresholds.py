"""What makes a run doubtful, as data: one row a code, with the evidence behind its numbers.

A value above `degraded` (or `invalid`) is that grave. The checks that find the values are in
record_checks, identity_checks, client_checks, foreign_checks, service_checks, sensor_checks,
server_checks and energy_checks; the verdict is made in judge.
"""

from dataclasses import dataclass

from observatory.core.run import AppliedThreshold, Severity


@dataclass(frozen=True, slots=True)
class Threshold:
    """unit is of the numbers; a code without numbers is as grave as `as_found` wherever found."""

    code: str
    unit: str
    evidence: str
    degraded: float | None = None
    invalid: float | None = None
    as_found: Severity | None = None

    def severity(self, value: float) -> Severity | None:
        """Return how grave a value is; None below all limits."""
        if self.invalid is not None and value > self.invalid:
            return "invalid"
        if self.degraded is not None and value > self.degraded:
            return "degraded"
        return None

    def limit(self, severity: Severity) -> float | None:
        """Return the number that a value of this severity exceeds."""
        return self.invalid if severity == "invalid" else self.degraded


_ROWS = (
    Threshold(
        "lost_records",
        "requests",
        "a request that was issued and not recorded could have had any latency, so any loss "
        "falsifies every distribution",
        invalid=0,
    ),
    Threshold(
        "lost_worker",
        "",
        "a dead worker's slice of the plan was not sent: the load was less than planned; requests "
        "that it had open are `lost_records`",
        as_found="degraded",
    ),
    Threshold(
        "torn_journal",
        "bytes",
        "a death cut a record off in the middle of its writing: what was being written is lost",
        as_found="degraded",
    ),
    Threshold(
        "duplicate_records",
        "records",
        "a request that was recorded twice was sent twice: the target had more load than is stated",
        as_found="degraded",
    ),
    Threshold(
        "refused_alike",
        "",
        "where every request is refused in the same way, what was sent is at fault: no figure is of an "
        "answer",
        as_found="invalid",
    ),
    Threshold(
        "no_requests",
        "",
        "without a finished request in the window nothing was measured",
        as_found="invalid",
    ),
    Threshold(
        "client_cpu",
        "share of a core",
        "an event loop is one core's work; queueing delay grows as 1/(1 - busy), fivefold at 80 %",
        degraded=0.80,
        invalid=0.95,
    ),
    Threshold(
        "client_delay",
        "share of the stage's p50 TTFT",
        "p99 of the client's own lateness, held against what it measures: beyond a tenth it "
        "measures itself",
        degraded=0.02,
        invalid=0.10,
    ),
    Threshold(
        "shared_stamps",
        "share of events",
        "such events have another segment's arrival time; 1.25 % were seen at 1,000 streams on one "
        "core, where gaps p99 were already wrong by 10 ms",
        degraded=0.01,
        invalid=0.10,
    ),
    Threshold(
        "offered_rate",
        "share of the planned rate",
        "a load that was not offered was not withstood",
        degraded=0.02,
        invalid=0.10,
    ),
    Threshold(
        "drift",
        "change between the halves of the window",
        "percentiles of a window describe a state only if there was one; of latencies, counted where "
        "block medians of the halves differ at p < 0.001, and of open requests, where their net flow "
        "is not zero at p < 0.001",
        degraded=0.10,
        invalid=0.30,
    ),
    Threshold(
        "token_mismatch",
        "share of tokens",
        "two counts of the same answers; one stop token an answer is allowed for",
        degraded=0.02,
    ),
    Threshold(
        "telemetry_gap",
        "s",
        "energy and utilisation over a window need readings in it (ML.ENERGY and InferenceX reject "
        "longer gaps)",
        degraded=3.0,
    ),
    Threshold(
        "energy_disagrees",
        "share of the larger figure",
        "a GPU's energy counter and the integral of its power are two readings of the same joules; "
        "its power is specified to be right to 5 % (nvidia-smi, power.draw)",
        degraded=0.05,
    ),
    Threshold(
        "energy_power",
        "W",
        "a device that works draws no less than at rest, and on average not 1.1 times its power "
        "limit: such readings are not of its power",
        as_found="degraded",
    ),
    Threshold(
        "sensor_down",
        "s",
        "a sensor that worked and now reports that it does not leaves this part of the window "
        "unmeasured; the bound is that of `telemetry_gap`",
        degraded=3.0,
    ),
    Threshold(
        "sensor_lies",
        "readings",
        "a value that physics or the device's own limits exclude: the sensor's other values are "
        "not to be believed either",
        as_found="degraded",
    ),
    Threshold(
        "server_cap",
        "requests run at once",
        "what waits in the server waits in TTFT: the stage's level is the server's, not the "
        "client's; up to 2 requests, or a tenth of those open, may be on the way",
        as_found="degraded",
    ),
    Threshold(
        "server_tokens",
        "share of tokens",
        "the engine counts every token that it takes in and makes; between two idle readings that is what "
        "usage states over all answers, and vLLM's and llama.cpp's agree to the token",
        degraded=0.02,
    ),
    Threshold(
        "foreign_load",
        "share of the server's requests",
        "others' requests take slots, cache and time: the load was not the planned one",
        degraded=0.02,
    ),
    Threshold(
        "model_changed",
        "models more than were requested",
        "answers of two models have no latency, score or price in common; a note where the whole run was "
        "answered by another model than the latest one before it of the same target",
        degraded=0,
    ),
    Threshold(
        "clock_step",
        "requests",
        "realtime moved by more than 100 us while they were open: their latencies are left out",
        as_found="degraded",
    ),
    Threshold(
        "errors",
        "share of ended requests",
        "above 1 % failures reach p99; above half they reach the median, and what remains "
        "describes the exceptions",
        degraded=0.01,
        invalid=0.50,
    ),
    Threshold(
        "throttled",
        "share of HTTP attempts",
        "above 1 % the wait for a limit reaches p99 of what users wait, and the load that was served is "
        "the limit's, not the planned one; below it a note",
        degraded=0.01,
    ),
    Threshold(
        "stale_connections",
        "share of HTTP attempts",
        "each was made again on a new connection, whose opening and second sending are in its user's wait",
        degraded=0.01,
    ),
    Threshold(
        "empty_answers",
        "share of answers",
        "an answer without text, reasoning or tool call is of no use to anyone, and a fast one: it makes "
        "end-to-end latency look better; up to 1 % of them a note",
        degraded=0.01,
    ),
    Threshold(
        "short_answers",
        "share of answers",
        "under `ignore_eos` an engine that obeys gives every requested token; an answer with less "
        "than nine tenths of them was not the work that was requested; up to 1 % of them a note",
        degraded=0.01,
    ),
    Threshold(
        "long_answers",
        "share of answers",
        "an answer with at least two tokens more than its limit is not the work that was requested, nor "
        "the bill that was expected; up to 1 % of them a note",
        degraded=0.01,
    ),
    Threshold(
        "not_streamed",
        "answers",
        "text that comes at once, as one JSON document or one event, has no first token: a time to it "
        "would be the whole answer's",
        as_found="degraded",
    ),
    Threshold(
        "burst_streams",
        "share of streams",
        "a proxy that holds a stream back until its end makes the first token as late as the last; single "
        "streams may meet in one read by chance",
        degraded=0.10,
    ),
    Threshold(
        "model_substituted",
        "share of answers",
        "an answer of another model is no measurement of the requested one",
        degraded=0,
    ),
    Threshold(
        "cache_state",
        "share of prompt tokens",
        "cold prompts share no prefix longer than the chat template; 64 tokens of each prompt are "
        "allowed for it",
        degraded=0.02,
    ),
    Threshold(
        "foreign_cpu",
        "share of the machine",
        "llama.cpp on all cores lost 5 % of its throughput where others took 4 % of them, and 20 % where they took "
        "12 %; graver than a note only where the engine's waits for a core, or the client's lateness, pass the "
        "same limits, where those are known",
        degraded=0.04,
        invalid=0.12,
    ),
    Threshold(
        "shared_cores",
        "share of the cores busy",
        "the engine and the load generator take processor time from each other; with more than "
        "half of all cores busy, threads of one wait for the other",
        degraded=0.50,
    ),
    Threshold("crashed", "", "the run ended by a failure", as_found="degraded"),
    Threshold(
        "interrupted", "", "the run was stopped early and is judged on what it has", as_found="note"
    ),
    Threshold(
        "budget_reached",
        "",
        "the run spent its budget and is judged on what it has",
        as_found="note",
    ),
    Threshold(
        "cap_exceeded",
        "",
        "the service billed more than the output limits that it was sent: a cap that is kept by them "
        "was passed, and the answers are not of the length that was set",
        as_found="degraded",
    ),
    Threshold(
        "window_cut",
        "s",
        "the stage was stopped early: its rates are over the seconds that were measured",
        as_found="note",
    ),
    Threshold(
        "energy_window",
        "s",
        "energy is withheld where the window is shorter than 30 s (ML.ENERGY's benchmark requires as much "
        "of its steady state): sensors average over seconds and boards warm up over more",
        as_found="note",
    ),
    Threshold(
        "energy_gap",
        "s",
        "energy is withheld where its readings are more than 3 s apart (InferenceX) or cover less "
        "than 90 % of the window (ML.ENERGY requires 75 %)",
        as_found="note",
    ),
    Threshold(
        "pace_not_kept",
        "HTTP attempts",
        "a client that keeps to the limit is not refused: the service's limit is another one, is counted "
        "otherwise, or is shared with somebody else",
        as_found="note",
    ),
    Threshold(
        "fingerprint_changed",
        "fingerprints",
        'a system fingerprint identifies a backend\'s configuration (OpenAI, "seed"): with another one, '
        "answers and latencies may be others'; services with many backends name several all the time",
        as_found="note",
    ),
    Threshold(
        "odd_events",
        "events",
        "what an API's pages do not know was passed over; it may be a comment or a ping that is wrapped, or "
        "text under a name that is not read",
        as_found="note",
    ),
    Threshold(
        "left_out",
        "requests",
        "requests of the window that the target is not answerable for enter no distribution",
        as_found="note",
    ),
    Threshold(
        "percentile_floor",
        "requests",
        "MLPerf early stopping at confidence 0.99: below it even p90 is a bound only",
        as_found="note",
    ),
    Threshold(
        "sampler_cpu",
        "share of a core",
        "above 5 %, where a reading a second takes less than 1 %; it yields to the load, and whether "
        "the load still felt it is what the client's own checks show",
        as_found="note",
    ),
    Threshold(
        "emulated", "", "no figure of an emulated target is of a real service", as_found="note"
    ),
)

THRESHOLDS: dict[str, Threshold] = {row.code: row for row in _ROWS}
"""By code, in the order in which a verdict names them."""


def as_applied() -> list[AppliedThreshold]:
    """Return the whole table as it is stored with a run, so that its verdict can be read in years."""
    return [
        AppliedThreshold(row.code, row.unit, row.degraded, row.invalid, row.as_found)
        for row in _ROWS
    ]
