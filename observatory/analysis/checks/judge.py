"""What a run is worth: every check over every window, and one line with the reason.

A pure function of the manifest and the sealed frames. The numbers are in thresholds, the checks in
record_checks, identity_checks, client_checks, foreign_checks, service_checks, answer_checks,
sensor_checks, server_checks and energy_checks.
"""

from collections.abc import Iterator, Sequence

from observatory.analysis.checks import (
    answer_checks,
    client_checks,
    energy_checks,
    foreign_checks,
    identity_checks,
    record_checks,
    sensor_checks,
    server_checks,
    service_checks,
)
from observatory.analysis.checks.findings import as_found
from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.analysis.frames import request_frame
from observatory.analysis.stage_data import StageData, gather
from observatory.analysis.windows import loaded_stages, window_of
from observatory.core.run import (
    SEVERITIES,
    Finding,
    Manifest,
    StageTimes,
    Verdict,
    VerdictLevel,
    status_words,
)
from observatory.core.stage_words import stage_words
from observatory.store.frames import RunFrames

_CODES = list(THRESHOLDS)


def judge_run(manifest: Manifest, frames: RunFrames) -> tuple[list[Finding], Verdict]:
    """Return the findings, gravest first, and the verdict that they make."""
    findings = sorted(
        _findings(manifest, frames),
        key=lambda f: (-SEVERITIES.index(f.severity), _CODES.index(f.code), f.stage or 0),
    )
    return findings, verdict_of(findings, manifest.stages)


def verdict_of(findings: list[Finding], stages: Sequence[StageTimes] = ()) -> Verdict:
    """Return the gravest severity, the codes behind it, and a sentence; notes alone leave a run valid.

    stages give the findings' stages a level in the sentence.
    """
    grave = [finding for finding in findings if finding.severity != "note"]
    level: VerdictLevel = "valid"
    if grave:
        level = "invalid" if any(f.severity == "invalid" for f in grave) else "degraded"
    codes = list(dict.fromkeys(finding.code for finding in grave))
    if not grave:
        notes = dict.fromkeys(f.message for f in findings if f.code in _NOTED_WHERE_VALID)
        return Verdict(
            level, codes, "; ".join(["valid: no check found a reason for doubt", *notes])
        )
    worst = [finding for finding in grave if finding.severity == level]
    reasons = [_reason(worst, code, stages) for code in dict.fromkeys(f.code for f in worst)]
    also = [code for code in codes if all(finding.code != code for finding in worst)]
    if also:
        reasons.append(f"also degraded: {', '.join(also)}")
    return Verdict(level, codes, f"{level}: {'; '.join(reasons)}")


_NOTED_WHERE_VALID = ("interrupted", "budget_reached", "emulated")


def _reason(findings: list[Finding], code: str, stages: Sequence[StageTimes]) -> str:
    """Return one code's worst finding in words, with its stage and how many others there are."""
    same = [finding for finding in findings if finding.code == code]
    worst = max(same, key=lambda finding: finding.value or 0.0)
    where = "" if worst.stage is None else f"{stage_words(worst.stage, stages)}: "
    others = "" if len(same) == 1 else f" and in {len(same) - 1} more"
    return f"{where}{worst.message}{others} ({code})"


def _findings(manifest: Manifest, frames: RunFrames) -> Iterator[Finding]:
    yield from _of_run(manifest, frames)
    requests = request_frame(frames)
    measured, starved = 0, False
    for stage in loaded_stages(manifest):
        window = window_of(manifest, stage)
        if window is not None:
            measured += 1
            for finding in _of_stage(gather(manifest, frames, requests, window), frames, stage):
                starved |= finding.code == "foreign_cpu" and finding.severity != "note"
                yield finding
        elif manifest.status == "complete":
            yield as_found("no_requests", "the stage never reached its steady window", stage.index)
    refused = record_checks.is_refused_alike(manifest)
    if not measured and manifest.status != "complete" and not refused:
        reason = manifest.status_reason if manifest.not_run else None
        yield as_found("no_requests", reason or "the run ended before anything was measured")
    yield from foreign_checks.shared_cores(manifest, frames.samples, starved=starved)


def _of_run(manifest: Manifest, frames: RunFrames) -> Iterator[Finding]:
    if manifest.target.emulated:
        yield as_found("emulated", "an emulated target: no figure is of a real service")
    refused = record_checks.is_refused_alike(manifest)
    if manifest.status in ("crashed", "interrupted", "budget_reached") and not (
        refused or manifest.not_run
    ):
        why = f": {manifest.status_reason}" if manifest.status_reason else ""
        words = status_words(manifest.status, manifest.status_reason)
        yield as_found(manifest.status, f"{words}, judged on what it has{why}")
    yield from record_checks.refused_alike(manifest)
    yield from record_checks.lost_records(manifest, frames)
    yield from record_checks.lost_workers(manifest)
    yield from record_checks.torn_journals(manifest)
    yield from record_checks.duplicate_records(manifest)
    yield from identity_checks.identity_changes(manifest, frames)
    yield from record_checks.cap_exceeded(manifest)


def _of_stage(data: StageData, frames: RunFrames, stage: StageTimes) -> Iterator[Finding]:
    yield from service_checks.window_and_population(data)
    yield from service_checks.errors(data)
    yield from service_checks.throttled(data)
    yield from service_checks.stale_connections(data)
    yield from answer_checks.empty_answers(data)
    yield from answer_checks.answer_lengths(data)
    yield from answer_checks.not_streamed(data)
    yield from answer_checks.burst_streams(data)
    yield from answer_checks.odd_events(data)
    yield from service_checks.pace_not_kept(data)
    yield from client_checks.client_cpu(data, frames.ticks)
    yield from client_checks.client_delay(data, frames.ticks)
    yield from foreign_checks.foreign_cpu(data, frames.ticks)
    yield from client_checks.shared_stamps(data)
    yield from client_checks.offered_rate(data, stage)
    yield from client_checks.clock_steps(data)
    yield from service_checks.drift(data)
    mismatch = list(service_checks.token_mismatch(data))
    state = list(service_checks.cache_state(data))
    yield from mismatch
    yield from state
    yield from service_checks.telemetry_gap(data)
    yield from energy_checks.energy_gates(data)
    yield from sensor_checks.sensor_down(data)
    yield from sensor_checks.sensor_lies(data)
    yield from sensor_checks.sampler_cpu(data)
    yield from server_checks.server_cap(data)
    yield from _by_the_servers_counts(data, mismatch, state)


def _by_the_servers_counts(
    data: StageData, mismatch: list[Finding], state: list[Finding]
) -> Iterator[Finding]:
    """Yield findings by the server's counts.

    Others' requests explain every other difference. Usage that the stream contradicts, and a cache state
    that the responses show to be another, are doubted already.
    """
    counts = server_checks.counts_of(data)
    if counts is None:
        return
    foreign = list(server_checks.foreign_load(data, counts))
    yield from foreign
    if not foreign and not mismatch:
        yield from server_checks.server_tokens(data, counts)
    if not foreign and not state:
        yield from server_checks.prefix_cache_state(data, counts)
