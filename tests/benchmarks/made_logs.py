"""Truth logs and sealed frames with a test's own contents, built by hand."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.truth_log import READ, RECORD, TOKEN

ANCHOR = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Answer:
    """One request on both sides, nanoseconds from ANCHOR; seen holds the client's token instants."""

    number: int
    sent: int
    read: int
    written: list[int]
    seen: list[int]
    read_late: int = -1
    phase: str = "steady"
    outcome: str = "ok"
    shared: tuple[int, ...] = ()
    request_id: str | None = None


def log_bytes(answers: list[Answer], late: int = 0) -> bytes:
    """As the server would have written it, but request by request."""
    records = []
    for answer in answers:
        records.append((ANCHOR + answer.read, answer.read_late, answer.number, READ, 0))
        for token, at in enumerate(answer.written):
            records.append((ANCHOR + at, late, answer.number, TOKEN, token))
    return np.array(records, dtype=RECORD).tobytes()


def requests_frame(answers: list[Answer]) -> pl.DataFrame:
    """requests.parquet's columns that the benchmarks read."""
    return pl.DataFrame(
        {
            "stage": [0] * len(answers),
            "request": list(range(len(answers))),
            "scheduled_ns": [answer.sent for answer in answers],
            "phase": [answer.phase for answer in answers],
        },
        schema=pl.Schema(
            {
                "stage": pl.Int64(),
                "request": pl.Int64(),
                "scheduled_ns": pl.Int64(),
                "phase": pl.String(),
            }
        ),
    )


def attempts_frame(answers: list[Answer]) -> pl.DataFrame:
    """attempts.parquet's columns that the benchmarks read."""
    gaps = [np.diff([answer.sent, *answer.seen]).tolist() for answer in answers]
    shared = [[i in answer.shared for i in range(len(answer.seen))] for answer in answers]
    return pl.DataFrame(
        {
            "stage": [0] * len(answers),
            "request": list(range(len(answers))),
            "final": [True] * len(answers),
            "outcome": [answer.outcome for answer in answers],
            "provider_request_id": [
                answer.request_id or f"truth-{answer.number}" for answer in answers
            ],
            "sent_ns": [answer.sent for answer in answers],
            "event_gap_ns": gaps,
            "event_shared": shared,
        },
        schema=pl.Schema(
            {
                "stage": pl.Int64(),
                "request": pl.Int64(),
                "final": pl.Boolean(),
                "outcome": pl.String(),
                "provider_request_id": pl.String(),
                "sent_ns": pl.Int64(),
                "event_gap_ns": pl.List(pl.Int64()),
                "event_shared": pl.List(pl.Boolean()),
            }
        ),
    )
